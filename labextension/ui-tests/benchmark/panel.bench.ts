/** What a person feels with very many folds: the wait for the first rows, and how smooth it stays. */
import { test, type Page } from '@playwright/test';
import { CONTEXT } from '../fixtures';
import { Lab } from '../lab';
import { Server } from '../server';

const EVENTS_A_SECOND = 50;
const SECONDS = 10;
/** The folds that change: those of the newest submissions wait, and no runner takes them. */
const CHANGING = 200;

interface IFrames {
  median: number;
  p95: number;
  longest: number;
  /** Frames that took longer than a person fails to notice. */
  over50: number;
  count: number;
}

/** Begin to measure frames; return how to end it. */
async function frames(page: Page): Promise<() => Promise<IFrames>> {
  await page.evaluate(() => {
    const all: number[] = [];
    let last = performance.now();
    const frame = (now: number) => {
      all.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    (window as unknown as { frameTimes: number[] }).frameTimes = all;
  });
  return () =>
    page.evaluate(() => {
      const times = (window as unknown as { frameTimes: number[] }).frameTimes
        .slice()
        .sort((a, b) => a - b);
      const at = (share: number) => times[Math.floor(share * (times.length - 1))];
      return {
        median: at(0.5),
        p95: at(0.95),
        longest: at(1),
        over50: times.filter(time => time > 50).length,
        count: times.length
      };
    });
}

/** Change folds over REST, at a steady rate. */
async function change(server: Server, folds: readonly number[]): Promise<number> {
  let sent = 0;
  const begin = Date.now();
  while (Date.now() - begin < SECONDS * 1000) {
    const due = Math.floor(((Date.now() - begin) / 1000) * EVENTS_A_SECOND) - sent;
    await Promise.all(
      Array.from({ length: due }, async () => {
        const priority = Math.floor(sent / folds.length) % 2 === 0 ? 'H' : 'L';
        const fold = folds[sent++ % folds.length];
        await server.ask(`submissionfold/${fold}/priority/`, { priority });
      })
    );
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return sent / SECONDS;
}

test('many folds', async ({ browser }) => {
  const server = await Server.start({
    dataDir: process.env.DATARUN_DATA_DIR,
    // No broker answers there, so no runner comes and every fold stays as it is.
    environ: { DATARUN_BROKER_URL: 'redis://127.0.0.1:1/0' }
  });
  try {
    const page = await browser.newPage(CONTEXT);
    page.setDefaultTimeout(300_000);
    const lab = new Lab(page, server);
    await lab.open(server.lab('benchmark'));
    const first = lab.panel.locator('.jp-Datarun-submission').first();
    await first.waitFor();
    const [newest] = (await (await server.ask('submission/?limit=1&order=-id')).json()) as {
      databoard_s_id: number;
    }[];

    // Again, as every day: JupyterLab is in the browser's cache, and the panel is open.
    await page.reload();
    const shown = await page.evaluate(
      () =>
        new Promise<number[]>(resolve => {
          const marks: number[] = [];
          const look = () => {
            if (marks.length === 0 && document.querySelector('#datarun-panel')) {
              marks.push(performance.now());
            }
            if (document.querySelector('.jp-Datarun-submission')) {
              resolve([...marks, performance.now()]);
            } else {
              requestAnimationFrame(look);
            }
          };
          look();
        })
    );
    const report = (what: string, value: unknown) =>
      process.stdout.write(`${what}: ${JSON.stringify(value)}\n`);
    report('ms from navigation to panel, to first submission', shown.map(Math.round));

    const begin = Date.now();
    await lab.openSubmission(newest.databoard_s_id);
    await page.getByRole('table', { name: 'Folds' }).locator('.jp-Datarun-fold').first().waitFor();
    report('ms to the folds of a submission', Date.now() - begin);

    const listed = (await (
      await server.ask('submissionfold/?limit=1000&state=TODO&view=summary')
    ).json()) as { databoard_sf_id: number }[];
    const folds = listed.slice(-CHANGING).map(fold => fold.databoard_sf_id);
    const still = await frames(page);
    await page.waitForTimeout(3000);
    report('frames at rest, ms', await still());
    const busy = await frames(page);
    const rate = await change(server, folds);
    report(`frames at ${rate.toFixed(0)} events/s, ms`, await busy());
  } finally {
    await server.dispose();
  }
});
