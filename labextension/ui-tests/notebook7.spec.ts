/** Notebook 7 takes the same extension: it must keep working, and have datarun's commands. */
import { expect, test } from './fixtures';
import { irisCsv } from './samples';

test('Notebook 7 opens its tree and a notebook, with datarun in it', async ({ lab, server }) => {
  await server.dataset('iris in a notebook', irisCsv());
  server.write('seven.ipynb', EMPTY);
  const page = await lab.page.context().newPage();
  const faults: string[] = [];
  // Notebook 7 has faults of its own, which are the same without datarun.
  page.on('pageerror', fault => {
    if (fault.stack?.includes('/extensions/datarun/')) {
      faults.push(fault.stack);
    }
  });
  try {
    await page.goto(`${server.url}tree`);
    await expect(page.getByRole('listitem', { name: /seven\.ipynb/ })).toBeVisible();
    await page.goto(`${server.url}notebooks/seven.ipynb`);
    await expect(page.locator('.jp-Notebook .jp-Cell')).toBeVisible();
    await page.getByRole('menuitem', { name: 'View' }).click();
    await page.getByRole('menuitem', { name: 'Show datarun' }).click();
    const panel = page.locator('#datarun-panel');
    await expect(
      panel.locator('.jp-Datarun-dataset', { hasText: 'iris in a notebook' })
    ).toBeVisible();
    expect(faults).toEqual([]);
  } finally {
    await page.close();
  }
});

const EMPTY = JSON.stringify({
  nbformat: 4,
  nbformat_minor: 5,
  metadata: { kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' } },
  cells: [
    {
      id: 'one',
      cell_type: 'code',
      execution_count: null,
      metadata: {},
      outputs: [],
      source: '1 + 1'
    }
  ]
});
