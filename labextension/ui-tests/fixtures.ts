import { test as base, type BrowserContextOptions } from '@playwright/test';
import { Lab } from './lab';
import { Server } from './server';

/** Every page, also one that a test opens itself. */
export const CONTEXT: BrowserContextOptions = {
  viewport: { width: 1280, height: 800 },
  acceptDownloads: true,
  permissions: ['clipboard-read', 'clipboard-write']
};

/** How long a loaded machine may take for one step. */
const STEP = 60_000;

/**
 * Tests with one server and one page of JupyterLab for all of them: to load JupyterLab takes longer
 * than most of them. Each begins with an empty main area.
 */
export const test = base.extend<{ lab: Lab }, { server: Server; seat: Lab }>({
  server: [
    // Playwright wants the pattern, also when nothing is taken from it.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.dispose();
    },
    { scope: 'worker', timeout: 180_000 }
  ],
  seat: [
    async ({ browser, server }, use) => {
      const context = await browser.newContext(CONTEXT);
      context.setDefaultTimeout(STEP);
      const lab = new Lab(await context.newPage(), server);
      await lab.open();
      await use(lab);
      await context.close();
    },
    { scope: 'worker', timeout: 180_000 }
  ],
  lab: async ({ seat }, use, info) => {
    await seat.clear();
    await use(seat);
    if (info.status !== info.expectedStatus) {
      await seat.page.screenshot({ path: info.outputPath('page.png') });
    }
  },
  // The page of the worker; Playwright's own would be another one.
  page: async ({ lab }, use) => {
    await use(lab.page);
  }
});

export { expect } from '@playwright/test';
