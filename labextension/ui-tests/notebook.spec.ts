/** A notebook: cells that submit, and views that live without any further cell. */
import { CONTEXT, expect, test } from './fixtures';
import { GOOD, irisCsv, notebook, SLOW } from './samples';

/** Where the same notebook can be opened. */
const PLACES = {
  JupyterLab: (file: string) => `lab/workspaces/notebook/tree/${file}`,
  'Notebook 7': (file: string) => `notebooks/${file}`
};

for (const [place, path] of Object.entries(PLACES)) {
  test(`${place}: a cell is submitted, its view becomes done by itself, and cancels while idle`, async ({
    browser,
    server
  }) => {
    const page = await browser.newPage(CONTEXT);
    const data = `iris in ${place}`;
    await server.dataset(data, irisCsv());
    const file = `cells-${place.length}.ipynb`;
    const way = new URL(server.lab('notebook'));
    const made = await page.request.put(`${server.url}api/contents/${file}${way.search}`, {
      data: notebook([
        '%load_ext datarun_ext',
        `%%datarun submit "${data}" good --cv 3\n${GOOD}`,
        `%%datarun submit "${data}" slow --cv 2 -o slow\n${SLOW}`,
        'slow.timeline()'
      ])
    });
    expect(made.ok()).toBeTruthy();
    await page.goto(`${server.url}${path(file)}${way.search}`);
    await page.locator('.jp-Notebook').waitFor();
    // Without a kernel it looks idle too, and to run a cell would ask for one.
    await expect(page.locator('.jp-KernelName, .jp-Toolbar-kernelName').first()).toContainText(
      'Python 3',
      { timeout: 90_000 }
    );
    await page
      .locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
      .waitFor({ timeout: 90_000 });
    await page.getByRole('menuitem', { name: 'Run', exact: true }).click();
    await page.getByRole('menuitem', { name: 'Run All Cells', exact: true }).click();

    const good = page.locator('.jp-Cell[data-windowed-list-index="1"] .jp-OutputArea').first();
    const slow = page.locator('.jp-Cell[data-windowed-list-index="2"] .jp-OutputArea').first();
    await expect(good).toContainText('3 tested', { timeout: 90_000 });
    await expect(good.getByRole('cell', { name: '✓ tested' })).toHaveCount(3);

    await expect(slow.getByRole('cell', { name: '▶ training' }).first()).toBeVisible();
    await slow.getByRole('button', { name: 'Log' }).click();
    await expect(slow.locator('pre')).toContainText('step');
    await slow.getByRole('button', { name: 'Cancel' }).click();
    await expect(slow).toContainText('2 cancelled');
    await expect(slow.getByRole('cell', { name: '■ cancelled' })).toHaveCount(2);

    const chart = page.locator('.jp-Cell[data-windowed-list-index="3"]');
    await chart.scrollIntoViewIfNeeded();
    await expect(chart.locator('.vega-embed canvas, .vega-embed svg').first()).toBeVisible();
    await page.close();
  });
}
