import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import ts from 'typescript-eslint';

export default ts.config(
  {
    ignores: [
      'node_modules',
      'lib',
      'dist',
      'src/api/schema.ts',
      'test-results',
      'playwright-report'
    ]
  },
  js.configs.recommended,
  ...ts.configs.strict,
  ...jupyter.configs.recommended.map(part => ({ ...part, plugins: { ...part.plugins, jupyter } })),
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { URL: 'readonly', console: 'readonly', process: 'readonly' } }
  },
  {
    files: ['src/**/*.ts', 'src/**/*.tsx'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true }
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // All of the panel is one small file; in parts it would only come later.
      'jupyter/prefer-lazy-imports': 'off',
      eqeqeq: 'error',
      'no-console': ['error', { allow: ['warn'] }]
    },
    languageOptions: { parserOptions: { project: './tsconfig.test.json' } }
  },
  {
    files: ['ui-tests/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      // The tests are plain Playwright's, which has no such helper.
      'jupyter/galata-prefer-menu-helper': 'off'
    },
    languageOptions: { parserOptions: { project: './tsconfig.test.json' } }
  }
);
