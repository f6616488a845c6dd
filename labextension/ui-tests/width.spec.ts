/** From 220 px to a wide side bar, nothing of the panel lies beyond its edge. */
import { expect, test } from './fixtures';
import { Lab } from './lab';
import { BROKEN, GOOD, irisCsv } from './samples';

/** What can be seen of the panel and is cut off by its edge, or by another part of its row. */
function cutOff(panel: HTMLElement): string[] {
  const edge = panel.getBoundingClientRect();
  const found: string[] = [];
  for (const node of panel.querySelectorAll<HTMLElement>(
    'button, input, select, h2, h3, p, li, small, span'
  )) {
    const { left, right, width } = node.getBoundingClientRect();
    const hidden = width <= 1 || getComputedStyle(node).visibility === 'hidden';
    const box = node.closest<HTMLElement>('.jp-Datarun-rowTitle, .jp-Datarun-rowFacts');
    if (!hidden && box === null && (left < edge.left - 1 || right > edge.right + 1)) {
      found.push(`${node.tagName} ${node.className} ${left} to ${right}`);
    }
  }
  for (const node of panel.querySelectorAll<HTMLElement>('*')) {
    const style = getComputedStyle(node);
    if (/auto|scroll/.test(style.overflowX) && node.scrollWidth > node.clientWidth + 1) {
      found.push(`${node.className} scrolls sideways: ${node.scrollWidth} in ${node.clientWidth}`);
    }
  }
  return found;
}

test('the panel is whole at every width', async ({ lab: first, server }) => {
  const dataset = await server.dataset('a dataset with a rather long name', irisCsv());
  const good = await server.submit(dataset, 'gradient boosting, 600 rounds, depth 3', GOOD, 2);
  const bad = await server.submit(dataset, 'weights', BROKEN, 2);
  await server.ended(good);
  await server.ended(bad);
  const lab = new Lab(await first.page.context().newPage(), server);
  try {
    await lab.open(server.lab('widths'));
    await expect(lab.submission(bad)).toContainText('2 of 2 failed');
    await lab.submission(good).getByRole('checkbox').click();
    for (const width of [220, 260, 340, 440, 620]) {
      await lab.widen(width);
      expect(await lab.panel.evaluate(cutOff), `at ${width} px`).toEqual([]);
    }
  } finally {
    await lab.page.close();
  }
});
