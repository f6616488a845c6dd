/**
 * Pictures of the panel for the documentation, and to be looked at critically:
 * `npm run screenshots` writes them to `docs/screenshots/`.
 */
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { expect, test } from '../fixtures';
import type { Lab, Theme } from '../lab';
import { BROKEN, GOOD, irisCsv, SLOW } from '../samples';

const FOLDER = join(__dirname, '..', '..', '..', 'docs', 'screenshots');

const THEMES: readonly Theme[] = ['light', 'dark'];

async function shot(page: Page, name: string): Promise<void> {
  await page.mouse.move(640, 798);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(FOLDER, `${name}.png`), animations: 'disabled' });
}

async function both(lab: Lab, name: string): Promise<void> {
  for (const theme of THEMES) {
    await lab.theme(theme);
    await shot(lab.page, `${name}-${theme}`);
  }
}

test('pictures', async ({ lab, page, server }) => {
  await expect(lab.panel.getByText(/slots busy/).first()).toBeVisible();
  await both(lab, 'empty');

  const iris = await server.dataset('iris', irisCsv());
  const good = await server.submit(iris, 'logistic regression', GOOD, 5);
  const bad = await server.submit(iris, 'weights of a wrong length', BROKEN, 5);
  await server.ended(good);
  await server.ended(bad);
  const slow = await server.submit(iris, 'boosting, 600 rounds', SLOW, 8);
  const row = (id: number) => lab.panel.locator(`.jp-Datarun-submission[data-id="${id}"]`);
  await expect(row(slow)).toContainText('Running');
  await page.evaluate(() =>
    document.querySelectorAll('.jp-toastContainer').forEach(node => node.remove())
  );

  await row(slow).locator('.jp-Datarun-rowButton').click();
  await page
    .getByRole('row', { name: /Training/ })
    .first()
    .getByRole('button')
    .click();
  await expect(page.getByRole('log')).toContainText('step 4');
  await both(lab, 'busy');

  await row(bad).locator('.jp-Datarun-rowButton').click();
  await page.getByRole('button', { name: 'Show the first of 5 folds' }).click();
  await expect(page.getByRole('log')).toContainText('about to fail');
  await both(lab, 'error');

  await row(good).locator('.jp-Datarun-rowButton').click();
  for (const name of ['Timeline', 'Scores', 'Code'] as const) {
    await page.getByRole('tab', { name, exact: true }).last().click();
    await both(lab, name.toLowerCase());
  }

  await lab.panel.locator('.jp-Datarun-dataset .jp-Datarun-rowButton').click();
  await expect(page.getByRole('region', { name: 'Class balance' })).toBeVisible();
  await both(lab, 'dataset');

  await lab.run('datarun:new-submission', {
    dataset: iris,
    name: 'weights, once more',
    files: { 'classifier.py': BROKEN }
  });
  await expect(page.getByRole('heading', { name: 'New submission' })).toBeVisible();
  await both(lab, 'new-submission');
  await server.cancel(slow);
  await page.getByRole('button', { name: 'Submit', exact: true }).click();
  await expect(page.getByText('Not sent: it failed on the first rows')).toBeVisible();
  await both(lab, 'try-out');

  await row(good).getByRole('checkbox').click();
  await row(bad).getByRole('checkbox').click();
  await lab.widen(220);
  await both(lab, 'narrow');
  await lab.panel.getByRole('button', { name: 'Select nothing' }).click();
  await lab.widen(560);
  await both(lab, 'wide');
  await lab.widen(280);

  await server.down();
  await expect(lab.panel.getByText(/What you see is from before/)).toBeVisible();
  // JupyterLab has a word of its own to say.
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  // Another theme would be asked of the server.
  await shot(page, 'offline-dark');
});
