import { defineConfig } from '@playwright/test';
import tests from './playwright.config';

/** Started by `benchmarks/panel.py`, which fills the database. */
export default defineConfig(tests, {
  testDir: './benchmark',
  testMatch: '*.bench.ts',
  reporter: 'line',
  timeout: 600_000
});
