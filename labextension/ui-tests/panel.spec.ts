/** The way of a person: a dataset, a model, its folds, what failed, what is long. */
import { expect, test } from './fixtures';
import { BROKEN, GOOD, irisCsv, SLOW } from './samples';

test('iris by drop, split, a file by drop, and the folds are tested without a reload', async ({
  lab,
  page
}) => {
  const dropOn = lab.panel.locator('.jp-Datarun-panel');
  await lab.drop(dropOn, { 'iris.csv': irisCsv() });
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Column to predict')).toHaveValue('species');
  await dialog.getByLabel('Name').fill('iris by drop');
  await dialog.getByRole('checkbox', { name: /Split it/ }).uncheck();
  await dialog.getByRole('button', { name: 'Send' }).click();

  const row = lab.dataset('iris by drop');
  await row.getByRole('button', { name: 'Split…' }).click();
  await dialog.getByLabel('Test part').fill('20%');
  await dialog.getByRole('button', { name: 'Split' }).click();
  await expect(row).toContainText('120 train · 30 test');

  await lab.drop(dropOn, { 'classifier.py': GOOD });
  const draft = page.getByRole('region', { name: 'New submission' });
  await draft.getByLabel('Dataset').selectOption('iris by drop');
  await draft.getByLabel('Name').fill('logistic');
  await draft.getByLabel('Folds').fill('4');
  await expect(draft.getByText('classifier.py is as the dataset asks.')).toBeVisible();
  await draft.getByRole('button', { name: 'Submit', exact: true }).click();

  const folds = page.getByRole('table', { name: 'Folds' });
  await expect(folds.getByRole('cell', { name: 'Tested' })).toHaveCount(4);
  await expect(page.getByText('4 of 4 folds', { exact: true })).toBeVisible();
  await expect(page.getByText(/“logistic” is done/).first()).toBeVisible();
  const submission = lab.panel.locator('.jp-Datarun-submission', { hasText: 'logistic' });
  await expect(submission).toContainText('Done 4/4');
  const download = page.waitForEvent('download');
  await folds.getByRole('row').nth(1).getByRole('button').click();
  await page.getByRole('button', { name: 'npz' }).click();
  expect((await download).suggestedFilename()).toMatch(/^fold-\d+-predictions\.npz$/);
});

test('a failed fold shows the line of the file, its log, and runs again', async ({
  lab,
  page,
  server
}) => {
  const dataset = await server.dataset('iris broken', irisCsv());
  const id = await server.submit(dataset, 'broken', BROKEN, 2);
  await server.ended(id);
  await lab
    .submission(id)
    .getByRole('button', { name: /broken/ })
    .first()
    .click();
  await page.getByRole('button', { name: 'Show the first of 2 folds' }).click();
  await expect(page.locator('.jp-Datarun-lines mark')).toContainText('self.scale = weights[7]');
  await expect(page.getByRole('log')).toContainText('about to fail');
  await expect(page.getByText(/IndexError/).first()).toBeVisible();

  const folds = page.getByRole('table', { name: 'Folds' });
  const before = await server.lastEnd(id);
  await page
    .getByRole('toolbar', { name: 'Actions of the fold' })
    .getByRole('button', { name: 'Run again' })
    .click();
  // A quick fold is over again before anybody sees it run.
  await expect.poll(() => server.lastEnd(id)).toBeGreaterThan(before);
  await expect(folds.getByRole('cell', { name: 'Failed' })).toHaveCount(2);
  await expect(page.getByText('2 of 2 folds', { exact: true })).toBeVisible();
});

test('a long fold is watched while it prints, cancelled, and is there after a reload', async ({
  lab,
  page,
  server
}) => {
  const dataset = await server.dataset('iris slow', irisCsv());
  const id = await server.submit(dataset, 'slow one', SLOW, 2);
  await lab
    .submission(id)
    .getByRole('button', { name: /slow one/ })
    .first()
    .click();
  const folds = page.getByRole('table', { name: 'Folds' });
  const training = folds.getByRole('row', { name: /Training/ }).first();
  await training.getByRole('button').click();
  const log = page.getByRole('log');
  await expect(log).toContainText('step 2');
  await expect(log).toContainText('step 4');
  await page
    .getByRole('toolbar', { name: 'Actions', exact: true })
    .getByRole('button', { name: 'Cancel' })
    .click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel its folds' }).click();
  await expect(folds.getByRole('cell', { name: 'Cancelled' })).toHaveCount(2);
  await expect(lab.submission(id)).toContainText('Cancelled 2/2');

  await page.reload();
  await lab.ready();
  await expect(page.getByRole('region', { name: `Submission ${id}` })).toBeVisible();
  await expect(folds.getByRole('cell', { name: 'Cancelled' })).toHaveCount(2);
});

test('all of it by keyboard alone', async ({ lab, page, server }) => {
  const { keyboard } = page;
  const press = async (part: Parameters<typeof lab.tabTo>[0], key = 'Enter') => {
    await lab.tabTo(part);
    await keyboard.press(key);
  };
  const choose = async (part: Parameters<typeof lab.tabTo>[0], name: string, text: string) => {
    const chooser = page.waitForEvent('filechooser');
    await press(part);
    await (await chooser).setFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
  };
  const dialog = page.getByRole('dialog');

  await lab.run('datarun:open-panel');
  await choose(
    lab.panel.getByRole('button', { name: 'New dataset', exact: true }),
    'keys.csv',
    irisCsv()
  );
  await expect(dialog.getByLabel('Column to predict')).toHaveValue('species');
  await press(dialog.getByRole('checkbox', { name: /Split it/ }), 'Space');
  await press(dialog.getByRole('button', { name: 'Send' }));
  const row = lab.dataset('keys');
  await row.waitFor();
  await lab.run('datarun:open-panel');
  await press(row.getByRole('button', { name: 'Split…' }));
  await dialog.getByLabel('Test part').waitFor();
  await press(dialog.getByRole('button', { name: 'Split' }));
  await expect(row).toContainText('120 train');

  await lab.run('datarun:open-panel');
  await press(row.getByRole('button', { name: 'Submit…' }));
  const draft = page.getByRole('region', { name: 'New submission' });
  await lab.tabTo(draft.getByLabel('Name'));
  await keyboard.type('by keys');
  await choose(
    draft.getByRole('button', { name: 'Take files from this computer' }),
    'classifier.py',
    BROKEN
  );
  await expect(draft.locator('.cm-content')).toContainText('weights[7]');
  await press(draft.getByRole('button', { name: 'Submit', exact: true }));
  await expect(draft.getByRole('alert')).toContainText('Not sent: it failed on the first rows');
  await press(draft.getByRole('button', { name: 'Submit without trying' }));

  const folds = page.getByRole('table', { name: 'Folds' });
  await expect(folds.getByRole('cell', { name: 'Failed' })).toHaveCount(5);
  await press(page.getByRole('button', { name: 'Show the first of 5 folds' }));
  await expect(page.locator('.jp-Datarun-lines mark')).toContainText('self.scale = weights[7]');
  const failed = Number(await page.locator('.jp-Datarun-page').getAttribute('data-submission'));
  const before = await server.lastEnd(failed);
  await press(page.getByRole('button', { name: 'Run failed again' }), 'Enter');
  await expect.poll(() => server.lastEnd(failed)).toBeGreaterThan(before);

  await lab.tabTo(page.getByRole('tab', { name: 'Folds' }));
  for (const name of ['Timeline', 'Scores', 'Code']) {
    await keyboard.press('ArrowRight');
    await expect(page.getByRole('tab', { name, exact: true })).toBeFocused();
  }

  const { raw_data: dataset } = await server.submission(failed);
  const slow = await server.submit(dataset, 'cancelled by keys', SLOW, 2);
  await lab.submission(slow).waitFor();
  await lab.run('datarun:open-panel');
  await press(lab.submission(slow).locator('.jp-Datarun-rowButton'), 'Delete');
  await press(dialog.getByRole('button', { name: 'Cancel its folds' }));
  await expect(lab.submission(slow)).toContainText('Cancelled 2/2');
});

test('the server goes away in the middle, and the panel goes on by itself', async ({
  lab,
  page,
  server
}) => {
  const dataset = await server.dataset('iris restart', irisCsv());
  const id = await server.submit(dataset, 'in the middle', SLOW, 2);
  await lab.openSubmission(id);
  const folds = page.getByRole('table', { name: 'Folds' });
  await expect(folds.getByRole('cell', { name: 'Training' }).first()).toBeVisible();
  const offline = lab.panel.getByText(/What you see is from before/);
  await server.down();
  await expect(offline).toBeVisible();
  await expect(lab.panel.getByText(/^Last seen .+ ago$/)).toBeVisible();
  await expect(lab.dataset('iris restart')).toBeVisible();
  await expect(lab.panel.getByRole('button', { name: 'New submission' }).first()).toHaveAttribute(
    'aria-disabled',
    'true'
  );
  await server.up();
  await expect(offline).toBeHidden();
  // The work that the server was stopped in is taken up again, and the panel hears of it.
  await expect(folds.getByRole('cell', { name: 'Training' }).first()).toBeVisible();
  const after = await server.submit(dataset, 'after restart', GOOD, 2);
  await server.cancel(id);
  await expect(lab.submission(after)).toContainText('Done 2/2');
  await expect(folds.getByRole('cell', { name: 'Cancelled' })).toHaveCount(2);
});
