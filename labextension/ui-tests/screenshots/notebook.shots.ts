/** Pictures of what a notebook shows: `npm run screenshots` writes them to `docs/screenshots/`. */
import { join } from 'node:path';
import { CONTEXT, expect, test } from '../fixtures';
import { Lab } from '../lab';
import { BROKEN, GOOD, irisCsv, notebook, SLOW } from '../samples';
import { Server } from '../server';

const FOLDER = join(__dirname, '..', '..', '..', 'docs', 'screenshots');

test('pictures of the views', async ({ browser }) => {
  // Its own: the pictures of the panel begin with an empty one.
  const server = await Server.start();
  const page = await browser.newPage(CONTEXT);
  const lab = new Lab(page, server);
  await server.dataset('iris in pictures', irisCsv());
  const submit = (name: string, code: string, more: string): string =>
    `%%datarun submit "iris in pictures" ${name} ${more}\n${code}`;
  const file = 'pictures.ipynb';
  const way = new URL(server.lab('pictures'));
  await page.request.put(`${server.url}api/contents/${file}${way.search}`, {
    data: notebook([
      '%load_ext datarun_ext',
      submit('logistic', GOOD, '--cv 5'),
      submit('broken', BROKEN, '--cv 2'),
      submit('boosting', SLOW, '--cv 4')
    ])
  });
  await page.goto(`${server.url}lab/workspaces/pictures/tree/${file}${way.search}`);
  await page.locator('.jp-Notebook').waitFor();
  await expect(page.locator('.jp-Toolbar-kernelName').first()).toContainText('Python 3');
  await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
  await page.getByRole('menuitem', { name: 'Run', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Run All Cells', exact: true }).click();
  const output = (index: number) =>
    page.locator(`.jp-Cell[data-windowed-list-index="${index}"] .jp-Cell-outputArea`).first();
  await expect(output(1)).toContainText('5 tested', { timeout: 90_000 });
  await expect(output(3)).toContainText('training');
  for (const theme of ['light', 'dark'] as const) {
    await lab.theme(theme);
    for (const [index, what] of ['done', 'failed', 'running'].entries()) {
      const shown = output(index + 1);
      await shown.scrollIntoViewIfNeeded();
      await shown.screenshot({
        path: join(FOLDER, `view-${what}-${theme}.png`),
        animations: 'disabled'
      });
    }
  }
  await page.close();
  await server.dispose();
});
