/** Several at once, a try before it is queued, files of the server, and cells from rows. */
import { expect, test } from './fixtures';
import { BROKEN, GOOD, irisCsv, SLOW } from './samples';

test('several submissions are cancelled and deleted at once', async ({ lab, page, server }) => {
  const dataset = await server.dataset('iris several', irisCsv());
  const ids = await Promise.all(
    ['first', 'second', 'third'].map(name => server.submit(dataset, name, SLOW, 2))
  );
  for (const [index, id] of ids.entries()) {
    const box = lab.submission(id).getByRole('checkbox');
    await box.click({ modifiers: index === 2 ? ['Shift'] : [] });
  }
  const bar = lab.panel.getByRole('toolbar', { name: 'Actions on what is selected' });
  await expect(bar).toContainText('3 selected');
  await bar.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel them' }).click();
  for (const id of ids) {
    await expect(lab.submission(id)).toContainText('Cancelled 2/2');
  }
  await bar.getByRole('button', { name: 'Delete…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete them' }).click();
  for (const id of ids) {
    await expect(lab.submission(id)).toHaveCount(0);
  }
  await expect(bar).toBeHidden();
});

test('folds are chosen in their table, and run again', async ({ lab, page, server }) => {
  const dataset = await server.dataset('iris folds', irisCsv());
  const id = await server.submit(dataset, 'some folds', GOOD, 3);
  await server.ended(id);
  await lab.openSubmission(id);
  await page.getByRole('checkbox', { name: 'Select all folds' }).click();
  const before = await server.lastEnd(id);
  const bar = page.getByRole('toolbar', { name: 'Actions on what is selected' });
  await expect(bar).toContainText('3 selected');
  await bar.getByRole('button', { name: 'Run again' }).click();
  await expect.poll(() => server.lastEnd(id)).toBeGreaterThan(before);
  await expect(page.getByText('3 of 3 folds', { exact: true })).toBeVisible();
});

test('a model that fails is told of before it is queued, and goes through once mended', async ({
  lab,
  page,
  server
}) => {
  const dataset = await server.dataset('iris try', irisCsv());
  await lab.run('datarun:new-submission', {
    dataset,
    name: 'mended',
    files: { 'classifier.py': BROKEN }
  });
  const draft = page.getByRole('region', { name: 'New submission' });
  await draft.getByRole('button', { name: 'Submit', exact: true }).click();
  await expect(draft.getByRole('alert')).toContainText('Not sent: it failed on the first rows');
  await expect(draft.locator('.jp-Datarun-lines mark')).toContainText('weights[7]');
  const mine = lab.panel.locator('.jp-Datarun-submission', { hasText: 'mended' });
  await expect(mine).toHaveCount(0);

  await lab.drop(draft.locator('.jp-Datarun-new'), { 'classifier.py': GOOD });
  await expect(draft.locator('.cm-content')).toContainText('LogisticRegression');
  await draft.getByRole('button', { name: 'Submit', exact: true }).click();
  await expect(mine).toContainText('Done 5/5');
});

test('a file of the server becomes a dataset without an upload', async ({ lab, page, server }) => {
  server.write('on server.csv', irisCsv());
  const sent: string[] = [];
  page.on('request', request => {
    if (request.url().includes('/runapp/') && request.method() === 'POST') {
      sent.push(`${new URL(request.url()).pathname} ${request.postData() ?? ''}`);
    }
  });
  await lab.run('filebrowser:activate');
  await lab.run('filebrowser:refresh');
  await page
    .locator('.jp-DirListing-item', { hasText: 'on server.csv' })
    .click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Send to datarun' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Column to predict')).toHaveValue('species');
  await dialog.getByRole('button', { name: 'Send' }).click();
  await lab.run('datarun:open-panel');
  await expect(lab.dataset('on server')).toContainText('120 train · 30 test');
  expect(sent[0]).toContain('"server_files":{"on server.csv":"on server.csv"}');
});

test('a row that is dragged into a notebook becomes a cell', async ({ lab, page, server }) => {
  const dataset = await server.dataset('iris drag', irisCsv());
  const id = await server.submit(dataset, 'dragged', GOOD, 2);
  await lab.run('notebook:create-new', { kernelName: 'python3' });
  const cell = page.locator('.jp-Notebook .jp-Cell').first();
  await cell.waitFor();
  // Both must have come to rest: the row moves as long as others come in above it.
  await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
  await expect(lab.submission(id)).toContainText('Done 2/2');
  const row = lab.submission(id).locator('.jp-Datarun-rowTitle');
  await row.scrollIntoViewIfNeeded();
  await expect(async () => {
    const [from, to] = [await row.boundingBox(), await cell.boundingBox()];
    if (!from || !to) {
      throw new Error('The row or the notebook is not in sight.');
    }
    await page.mouse.move(from.x + 30, from.y + 5);
    await page.mouse.down();
    await page.mouse.move(from.x + 60, from.y + 25, { steps: 4 });
    await page.locator('body > .lm-mod-drag-image').waitFor({ timeout: 5_000 });
    await page.mouse.move(to.x + to.width / 2, to.y + 12, { steps: 8 });
    await page.mouse.up();
    await expect(page.locator('.jp-Notebook')).toContainText(`submission = dr.submission(${id})`, {
      timeout: 5_000
    });
  }).toPass();
  await expect(page.getByRole('region', { name: `Submission ${id}` })).toHaveCount(0);
});
