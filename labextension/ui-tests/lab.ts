import axe from 'axe-core';
import { expect, type Locator, type Page } from '@playwright/test';
import type { Server } from './server';

/** JupyterLab's themes that the panel is looked at in. */
export const THEMES = {
  light: 'JupyterLab Light',
  dark: 'JupyterLab Dark',
  contrast: 'JupyterLab Dark High Contrast'
} as const;

export type Theme = keyof typeof THEMES;

interface IExposed {
  jupyterapp: {
    commands: { execute(id: string, args?: object): Promise<unknown> };
  };
}

/** JupyterLab with the datarun panel in sight. */
export class Lab {
  constructor(
    readonly page: Page,
    readonly server: Server
  ) {}

  get panel(): Locator {
    return this.page.locator('#datarun-panel');
  }

  /** A dataset in the panel. */
  dataset(name: string): Locator {
    return this.panel.locator('.jp-Datarun-dataset', { hasText: name });
  }

  /** A submission in the panel. */
  submission(id: number): Locator {
    return this.panel.locator(`.jp-Datarun-submission[data-id="${id}"]`);
  }

  /** Open JupyterLab. */
  async open(address = this.server.lab('tests')): Promise<void> {
    await this.page.goto(address);
    await this.ready();
  }

  /** Wait until JupyterLab is there, and show the panel. */
  async ready(): Promise<void> {
    await this.page.locator('#jupyterlab-splash').waitFor({ state: 'detached' });
    await this.page.locator('#jp-main-dock-panel .lm-DockPanel-widget').first().waitFor();
    await this.page.evaluate(() =>
      (window as unknown as { jupyterapp: { restored: Promise<void> } }).jupyterapp.restored.then(
        () => undefined
      )
    );
    await this.run('datarun:open-panel');
    await this.panel.waitFor();
  }

  /** Leave nothing of the test before. */
  async clear(): Promise<void> {
    const cancel = this.page.locator('.jp-Dialog .jp-mod-reject').first();
    if (await cancel.isVisible()) {
      await cancel.click();
    }
    await this.run('application:close-all');
    await this.page.evaluate(() =>
      document
        .querySelectorAll<HTMLElement>('.jp-Notification-Toast-Close')
        .forEach(close => close.click())
    );
    await this.run('datarun:open-panel');
    await this.panel.waitFor();
  }

  /** Run one of JupyterLab's commands; what it returns stays in the page. */
  async run(command: string, args: object = {}): Promise<void> {
    await this.page.evaluate(
      async ([id, given]) => {
        await (window as unknown as IExposed).jupyterapp.commands.execute(id, given);
      },
      [command, args] as const
    );
  }

  /** Open the page of a submission. */
  async openSubmission(id: number, fold?: number): Promise<void> {
    await this.run('datarun:open-submission', fold === undefined ? { id } : { id, fold });
  }

  /** Drop files of this process onto a part of the page. */
  async drop(target: Locator, files: Readonly<Record<string, string>>): Promise<void> {
    const transfer = await this.page.evaluateHandle(given => {
      const data = new DataTransfer();
      for (const [name, text] of Object.entries(given)) {
        data.items.add(new File([text], name));
      }
      return data;
    }, files);
    for (const type of ['dragenter', 'dragover', 'drop']) {
      await target.dispatchEvent(type, { dataTransfer: transfer });
    }
  }

  /** Press Tab, or Shift and Tab where it lies before, until a part has the focus. */
  async tabTo(wanted: Locator): Promise<void> {
    for (let n = 0; n < 200; n++) {
      const way = await wanted.evaluate(node => {
        const here = document.activeElement ?? document.body;
        const before = node.compareDocumentPosition(here) & Node.DOCUMENT_POSITION_FOLLOWING;
        return node === here ? null : before ? 'Shift+Tab' : 'Tab';
      });
      if (way === null) {
        return;
      }
      await this.page.keyboard.press(way);
    }
    throw new Error(`Tab does not lead to ${String(wanted)}.`);
  }

  /** Give the panel a width by its handle: below JupyterLab's least one, too. */
  async widen(width: number): Promise<void> {
    await this.page.addStyleTag({
      content: `:root { --jp-sidebar-min-width: ${Math.min(width, 250)}px !important; }`
    });
    // JupyterLab looks at least widths when a side bar is shown.
    await this.run('application:toggle-left-area');
    await this.run('application:toggle-left-area');
    const box = await this.panel.boundingBox();
    if (!box) {
      throw new Error('The panel is not in sight.');
    }
    await this.page.mouse.move(box.x + box.width + 1, 500);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + width + 1, 500, { steps: 4 });
    await this.page.mouse.up();
    await expect
      .poll(async () => Math.round((await this.panel.boundingBox())?.width ?? 0))
      .toBe(width);
  }

  /** Set one of JupyterLab's themes. */
  async theme(name: Theme): Promise<void> {
    await this.run('apputils:change-theme', { theme: THEMES[name] });
    await this.page.waitForFunction(
      theme => document.body.dataset.jpThemeName === theme,
      THEMES[name]
    );
  }

  /** Expect that axe finds nothing wrong with what is in sight of datarun, in every theme. */
  async expectAccessible(what: string): Promise<void> {
    if (!(await this.page.evaluate(() => 'axe' in window))) {
      await this.page.evaluate(axe.source);
    }
    for (const theme of ['contrast', 'dark', 'light'] as const) {
      await this.theme(theme);
      // Names, roles and order are the same in every theme; colours are not.
      const found = await this.page.evaluate(async colours => {
        const all = (window as unknown as { axe: typeof axe }).axe;
        const { violations } = await all.run(
          // The editor is CodeMirror's.
          { include: [['.jp-Datarun']], exclude: [['.cm-editor']] },
          {
            resultTypes: ['violations'],
            ...(colours ? { runOnly: { type: 'tag', values: ['cat.color'] } } : {})
          }
        );
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(n => n.html).join('\n')}`);
      }, theme !== 'light');
      expect(found, `${what}, ${theme}`).toEqual([]);
    }
  }
}
