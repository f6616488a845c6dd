/** A notebook: cells that submit, and views that live without any further cell. */
import { expect, test } from './fixtures';
import { GOOD, irisCsv, SLOW } from './samples';

function notebook(cells: readonly string[]): object {
  return {
    type: 'notebook',
    format: 'json',
    content: {
      nbformat: 4,
      nbformat_minor: 5,
      metadata: { kernelspec: { name: 'python3', display_name: 'Python 3' } },
      cells: cells.map((source, n) => ({
        id: `cell-${n}`,
        cell_type: 'code',
        execution_count: null,
        metadata: {},
        outputs: [],
        source
      }))
    }
  };
}

test('a cell is submitted, its view becomes done by itself, and cancels while idle', async ({
  page: other,
  server
}) => {
  const page = await other.context().newPage();
  await server.dataset('iris cells', irisCsv());
  const way = new URL(server.lab('notebook'));
  const made = await page.request.put(`${server.url}api/contents/cells.ipynb${way.search}`, {
    data: notebook([
      '%load_ext datarun_ext',
      `%%datarun submit "iris cells" good --cv 3\n${GOOD}`,
      `%%datarun submit "iris cells" slow --cv 2 -o slow\n${SLOW}`,
      'slow.timeline()'
    ])
  });
  expect(made.ok()).toBeTruthy();
  await page.goto(`${server.url}lab/workspaces/notebook/tree/cells.ipynb${way.search}`);
  await page.locator('.jp-Notebook').waitFor();
  await page.getByRole('button', { name: '(ipykernel) | Idle' }).waitFor({ timeout: 90_000 });
  await page.evaluate(() =>
    (
      window as unknown as {
        jupyterapp: { commands: { execute(id: string): Promise<void> } };
      }
    ).jupyterapp.commands.execute('notebook:run-all-cells')
  );

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
