/** axe on every view, in light, dark and high contrast. */
import type { WebSocketRoute } from '@playwright/test';
import { expect, test } from './fixtures';
import { Lab } from './lab';
import { BROKEN, GOOD, irisCsv } from './samples';

test('axe finds nothing in any view', async ({ lab, page, server }) => {
  const dataset = await server.dataset('iris for axe', irisCsv());
  const good = await server.submit(dataset, 'good', GOOD, 2);
  const bad = await server.submit(dataset, 'bad', BROKEN, 2);
  await server.ended(good);
  await server.ended(bad);

  await lab.openSubmission(bad);
  await page.getByRole('button', { name: 'Show the first of 2 folds' }).click();
  await expect(page.getByRole('log')).toContainText('about to fail');
  await lab.expectAccessible('panel, folds, a failed one');
  await lab.openSubmission(good);
  for (const name of ['Timeline', 'Scores', 'Code']) {
    await page.getByRole('tab', { name, exact: true }).last().click();
    await lab.expectAccessible(name);
  }
  await lab.run('datarun:open-dataset', { id: dataset });
  await expect(page.getByRole('region', { name: 'Class balance' })).toBeVisible();
  await lab.expectAccessible('dataset');
  await lab.run('datarun:new-submission', { dataset });
  await expect(page.getByRole('heading', { name: 'New submission' })).toBeVisible();
  await lab.expectAccessible('new submission');

  await lab.drop(lab.panel.locator('.jp-Datarun-panel'), { 'other.csv': irisCsv() });
  await expect(page.getByRole('dialog').getByLabel('Column to predict')).toHaveValue('species');
  await lab.expectAccessible('new dataset');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();

  const asked = lab.run('datarun:split', { id: dataset });
  await expect(page.getByRole('dialog')).toBeVisible();
  await lab.expectAccessible('split');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await asked;
  await lab.submission(good).getByRole('checkbox').click();
  await lab.expectAccessible('selected');
  await lab.panel.getByRole('searchbox').fill('no such thing');
  await expect(lab.panel.getByText('No submission is like that.')).toBeVisible();
  await lab.expectAccessible('nothing found');
  await lab.panel.getByRole('button', { name: 'Show all' }).click();
  await expect(lab.submission(good)).toBeVisible();
});

test('axe finds nothing while the server is away', async ({ lab: first, server }) => {
  const page = await first.page.context().newPage();
  const sockets: WebSocketRoute[] = [];
  let away = false;
  try {
    await page.routeWebSocket(/runapp\/events/, async socket => {
      if (away) {
        await socket.close();
      } else {
        socket.connectToServer();
        sockets.push(socket);
      }
    });
    const lab = new Lab(page, server);
    await lab.open(server.lab('away'));
    await expect(lab.panel.getByText(/slots busy/).first()).toBeVisible();
    away = true;
    // Only what is datarun's: the themes come from the server too.
    await page.route(/\/runapp\//, route => route.abort());
    await Promise.all(sockets.map(socket => socket.close()));
    await expect(lab.panel.getByText(/What you see is from before/)).toBeVisible();
    await lab.expectAccessible('offline');
  } finally {
    await page.close();
  }
});
