import AxeBuilder from '@axe-core/playwright';
import { BROKEN, expect, GOOD, irisCsv, Lab, SLOW, test } from './fixtures';
import { Server } from './server';

test('iris by drop, split, a file by drop, and the folds are tested without a reload', async ({
  lab,
  page
}) => {
  await lab.open('drop');
  await lab.drop(lab.panel.locator('.jp-Datarun-panel'), { 'iris.csv': irisCsv() });
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Column to predict')).toHaveValue('species');
  await dialog.getByLabel('Name').fill('iris by drop');
  await dialog.getByRole('checkbox', { name: /Split it/ }).uncheck();
  await dialog.getByRole('button', { name: 'Send' }).click();

  const row = lab.panel.locator('.jp-Datarun-dataset', { hasText: 'iris by drop' });
  await row.getByRole('button', { name: 'Split…' }).click();
  await dialog.getByLabel('Test part').fill('20%');
  await dialog.getByRole('button', { name: 'Split' }).click();
  await expect(row).toContainText('120 train · 30 test');

  await lab.drop(lab.panel.locator('.jp-Datarun-panel'), { 'classifier.py': GOOD });
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
  await server.ended(await server.submit(dataset, 'broken', BROKEN, 2));
  await lab.open('broken');
  await lab.panel
    .locator('.jp-Datarun-submission', { hasText: 'broken' })
    .getByRole('button', { name: /broken/ })
    .first()
    .click();
  await page.getByRole('button', { name: 'Show the first of 2 folds' }).click();
  await expect(page.locator('.jp-Datarun-lines mark')).toContainText('self.scale = weights[7]');
  await expect(page.getByRole('log')).toContainText('about to fail');
  await expect(page.getByText(/IndexError/).first()).toBeVisible();

  const folds = page.getByRole('table', { name: 'Folds' });
  await page.getByRole('button', { name: 'Run again' }).last().click();
  await expect(page.getByText('1 of 2 folds', { exact: true })).toBeVisible();
  await expect(page.getByText('2 of 2 folds', { exact: true })).toBeVisible();
  await expect(folds.getByRole('cell', { name: 'Failed' })).toHaveCount(2);
});

test('a long fold is watched while it prints, and cancelled', async ({ lab, page, server }) => {
  const dataset = await server.dataset('iris slow', irisCsv());
  const id = await server.submit(dataset, 'slow one', SLOW, 2);
  await lab.open('slow');
  await lab.panel
    .locator(`.jp-Datarun-submission[data-id="${id}"]`)
    .getByRole('button', { name: /slow one/ })
    .first()
    .click();
  const folds = page.getByRole('table', { name: 'Folds' });
  await expect(folds.getByRole('cell', { name: 'Training' }).first()).toBeVisible();
  await folds
    .getByRole('row', { name: /Training/ })
    .first()
    .getByRole('button')
    .click();
  const log = page.getByRole('log');
  await expect(log).toContainText('step 3');
  await expect(log).toContainText('step 6');
  await page
    .getByRole('toolbar', { name: 'Actions', exact: true })
    .getByRole('button', { name: 'Cancel' })
    .click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel its folds' }).click();
  await expect(folds.getByRole('cell', { name: 'Cancelled' })).toHaveCount(2);
  await expect(lab.panel.locator(`.jp-Datarun-submission[data-id="${id}"]`)).toContainText(
    'Cancelled 2/2'
  );
});

test('the server goes away in the middle, and the panel goes on by itself', async ({
  lab,
  page,
  server
}) => {
  const dataset = await server.dataset('iris restart', irisCsv());
  await lab.open('restart');
  await expect(lab.panel.locator('.jp-Datarun-dataset', { hasText: 'iris restart' })).toBeVisible();
  await server.down();
  await expect(lab.panel.getByText(/What you see is from before/)).toBeVisible();
  await expect(lab.panel.locator('.jp-Datarun-dataset', { hasText: 'iris restart' })).toBeVisible();
  await expect(lab.panel.getByRole('button', { name: 'New submission' }).first()).toHaveAttribute(
    'aria-disabled',
    'true'
  );
  await server.up();
  await expect(lab.panel.getByText(/What you see is from before/)).toBeHidden({ timeout: 60_000 });
  const id = await server.submit(dataset, 'after restart', GOOD, 2);
  await expect(lab.panel.locator(`.jp-Datarun-submission[data-id="${id}"]`)).toContainText(
    'Done 2/2',
    { timeout: 90_000 }
  );
  await page.keyboard.press('Escape');
});

test('all of it by keyboard alone', async ({ lab, page, server }) => {
  await server.dataset('iris keys', irisCsv());
  await lab.open('keys');
  const row = lab.panel.locator('.jp-Datarun-dataset', { hasText: 'iris keys' });
  await row.getByRole('button', { name: 'Submit…' }).press('Enter');
  const draft = page.getByRole('region', { name: 'New submission' });
  await draft.getByLabel('Name').focus();
  await page.keyboard.type('by keys');
  await tabTo(lab, 'Submit');
  await page.keyboard.press('Enter');
  const folds = page.getByRole('table', { name: 'Folds' });
  await expect(folds.getByRole('cell', { name: 'Tested' })).toHaveCount(5);

  await folds.getByRole('row').nth(1).getByRole('button').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('region', { name: /^Fold \d+$/ })).toBeVisible();
  await page.getByRole('tab', { name: 'Folds' }).focus();
  for (const name of ['Timeline', 'Scores', 'Code']) {
    await page.keyboard.press('ArrowRight');
    await expect(page.getByRole('tab', { name, exact: true })).toBeFocused();
    await expect(page.getByRole('tab', { name, exact: true })).toHaveAttribute(
      'aria-selected',
      'true'
    );
  }
});

test('a server without datarun is told of once, with the remedy', async ({ page }) => {
  const bare = await Server.start(false);
  try {
    const asked: string[] = [];
    page.on('request', request => {
      // Jupyter sends an address that it does not know on to the one without a slash.
      if (/\/runapp\/.*\/\?/.test(request.url())) {
        asked.push(request.url());
      }
    });
    const lab = new Lab(page, bare);
    await lab.open('missing');
    await expect(lab.panel.getByRole('alert')).toContainText(
      'jupyter server extension enable datarun_ext'
    );
    await expect(lab.panel.getByRole('button', { name: 'New dataset' })).toHaveAttribute(
      'aria-disabled',
      'true'
    );
    expect(asked).toHaveLength(1);
    await lab.panel.getByRole('button', { name: 'Try again now' }).click();
    await expect.poll(() => asked.length).toBe(2);
  } finally {
    await bare.dispose();
  }
});

/** Press Tab until a button has the focus. */
async function tabTo({ page }: Lab, name: string): Promise<void> {
  const wanted = page.getByRole('button', { name, exact: true });
  for (let n = 0; n < 40; n++) {
    await page.keyboard.press('Tab');
    if (await wanted.evaluate(node => node === document.activeElement)) {
      return;
    }
  }
  throw new Error(`Tab does not lead to ${name}.`);
}

for (const theme of ['JupyterLab Light', 'JupyterLab Dark', 'JupyterLab Dark High Contrast']) {
  test(`axe finds nothing in ${theme}`, async ({ lab, page, server }) => {
    const dataset = await server.dataset(`axe ${theme}`, irisCsv());
    const good = await server.submit(dataset, 'good', GOOD, 2);
    const bad = await server.submit(dataset, 'bad', BROKEN, 2);
    await server.ended(good);
    await server.ended(bad);
    await lab.open(`axe-${theme.replace(/ /g, '-')}`);
    await lab.theme(theme);
    const check = async () => {
      const { violations } = await new AxeBuilder({ page })
        .include('.jp-Datarun')
        // The editor is CodeMirror's.
        .exclude('.cm-editor')
        .analyze();
      expect(
        violations.map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join('\n')}`)
      ).toEqual([]);
    };
    await check();
    await lab.panel
      .locator(`.jp-Datarun-submission[data-id="${bad}"] .jp-Datarun-rowButton`)
      .click();
    await page.getByRole('button', { name: 'Show the first of 2 folds' }).click();
    await expect(page.getByRole('log')).toContainText('about to fail');
    await check();
    await lab.panel
      .locator(`.jp-Datarun-submission[data-id="${good}"] .jp-Datarun-rowButton`)
      .click();
    for (const name of ['Timeline', 'Scores', 'Code']) {
      await page.getByRole('tab', { name, exact: true }).last().click();
      await check();
    }
    await lab.panel
      .locator(`.jp-Datarun-dataset[data-id="${dataset}"] .jp-Datarun-rowButton`)
      .click();
    await expect(page.getByRole('region', { name: 'Class balance' })).toBeVisible();
    await check();
    await lab.panel.getByRole('button', { name: 'New submission' }).first().click();
    await expect(page.getByRole('heading', { name: 'New submission' })).toBeVisible();
    await check();
  });
}
