import { test as base, type Locator, type Page } from '@playwright/test';
import { Server } from './server';

/** Iris-like rows that need no package: three classes that two columns tell apart. */
export function irisCsv(rows = 150): string {
  const species = ['setosa', 'versicolor', 'virginica'];
  const lines = ['sepal length,sepal width,petal length,petal width,species'];
  for (let n = 0; n < rows; n++) {
    const kind = n % 3;
    const wobble = ((n * 37) % 11) / 10;
    const cells = [5 + kind * 0.8 + wobble, 3 + wobble / 2, 1.4 + kind * 2 + wobble / 3];
    lines.push(
      [...cells.map(x => x.toFixed(1)), (0.2 + kind * 0.9).toFixed(1), species[kind]].join()
    );
  }
  return `${lines.join('\n')}\n`;
}

export const GOOD = `from sklearn.linear_model import LogisticRegression


class Classifier:
    def __init__(self):
        self.model = LogisticRegression(max_iter=500)

    def fit(self, X, y):
        print("fitting", len(X), "rows")
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
`;

export const BROKEN = `import numpy as np


class Classifier:
    def fit(self, X, y):
        print("about to fail")
        weights = np.ones(3)
        self.scale = weights[7]

    def predict_proba(self, X):
        return X
`;

export const SLOW = `import time


class Classifier:
    def fit(self, X, y):
        for step in range(600):
            print("step", step, flush=True)
            time.sleep(0.5)

    def predict_proba(self, X):
        return X
`;

/** JupyterLab with the datarun panel in sight. */
export class Lab {
  constructor(
    readonly page: Page,
    readonly server: Server
  ) {}

  get panel(): Locator {
    return this.page.locator('#datarun-panel');
  }

  /** Open JupyterLab in a workspace of its own. */
  async open(workspace: string): Promise<void> {
    await this.page.goto(this.server.lab(workspace));
    await this.page.locator('#jupyterlab-splash').waitFor({ state: 'detached' });
    // The launcher takes the focus when it comes, and would take it from a test.
    await this.page.getByRole('heading', { name: 'Console' }).waitFor();
    await this.show();
  }

  /** Bring the panel in sight. */
  async show(): Promise<void> {
    if (!(await this.panel.isVisible())) {
      await this.page
        .getByRole('tab', { name: /datarun/ })
        .first()
        .click();
    }
    await this.panel.waitFor();
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

  /** Set one of JupyterLab's themes. */
  async theme(name: string): Promise<void> {
    await this.page.evaluate(
      theme =>
        (
          window as unknown as {
            jupyterapp: { commands: { execute(id: string, args: object): Promise<void> } };
          }
        ).jupyterapp.commands.execute('apputils:change-theme', { theme }),
      name
    );
    await this.page.waitForFunction(theme => document.body.dataset.jpThemeName === theme, name);
  }
}

/** Tests with one server for all tests of a file, and a page of JupyterLab for each. */
export const test = base.extend<{ lab: Lab }, { server: Server }>({
  server: [
    // Playwright wants the pattern, also when nothing is taken from it.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.dispose();
    },
    { scope: 'worker', timeout: 120_000 }
  ],
  lab: async ({ page, server }, use) => {
    await use(new Lab(page, server));
  }
});

export { expect } from '@playwright/test';
