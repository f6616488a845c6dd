/** What the panel says where not all is well, and that it says it once. */
import type { BrowserContext, Page } from '@playwright/test';
import { CONTEXT, expect, test } from './fixtures';
import { Lab } from './lab';
import { irisCsv } from './samples';
import { Server } from './server';

/** Who comes is said by a cookie; the authorizer lets some look, and others not even that. */
const PERSONS = `
from jupyter_server.auth import Authorizer, IdentityProvider, User


class Persons(IdentityProvider):
    def get_user(self, handler):
        return User(username=handler.get_cookie("person", "owner"))


class Rights(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        if resource != "datarun" or user.username == "owner":
            return True
        return user.username == "reader" and action != "write"


c.ServerApp.identity_provider_class = Persons
c.ServerApp.authorizer_class = Rights
`;

/** A page of another server, or by another person, beside the one that the tests share. */
async function visit(context: BrowserContext, server: Server, name: string): Promise<Lab> {
  const lab = new Lab(await context.newPage(), server);
  await lab.open(server.lab(name));
  return lab;
}

function newDataset(lab: Lab): ReturnType<Page['getByRole']> {
  return lab.panel.getByRole('button', { name: 'New dataset', exact: true });
}

test('a person who may only look, and one who may not even that', async ({ browser }) => {
  const server = await Server.start({ config: PERSONS });
  const context = await browser.newContext(CONTEXT);
  const become = (value: string) =>
    context.addCookies([{ name: 'person', value, url: server.url }]);
  try {
    await become('reader');
    const lab = await visit(context, server, 'reader');
    await expect(lab.panel.getByText(/^You may look at datarun here/)).toBeVisible();
    await expect(newDataset(lab)).toHaveAttribute('aria-disabled', 'true');
    await expect(newDataset(lab)).toHaveAttribute('title', /but change nothing/);
    await lab.expectAccessible('empty, and only to be looked at');

    await become('stranger');
    await lab.page.reload();
    await lab.ready();
    const alert = lab.panel.getByRole('alert');
    await expect(alert).toContainText('You may not use datarun here');
    await expect(alert).toContainText("User 'stranger' may not read datarun on this server.");
    await expect(newDataset(lab)).toHaveAttribute('title', /you may not use datarun/);
    await lab.expectAccessible('forbidden');

    await become('owner');
    await alert.getByRole('button', { name: 'Try again now' }).click();
    await expect(alert).toBeHidden();
    await expect(newDataset(lab)).not.toHaveAttribute('aria-disabled', 'true');
  } finally {
    await context.close();
    await server.dispose();
  }
});

test('a server without datarun is told of once, with the remedy', async ({ browser }) => {
  const server = await Server.start({ extension: false });
  const context = await browser.newContext(CONTEXT);
  try {
    const asked: string[] = [];
    context.on('request', request => {
      // Jupyter sends an address that it does not know on to the one without a slash.
      if (/\/runapp\/.*\/\?/.test(request.url())) {
        asked.push(request.url());
      }
    });
    const lab = await visit(context, server, 'missing');
    const alert = lab.panel.getByRole('alert');
    await expect(alert).toContainText('jupyter server extension enable datarun_ext');
    await expect(newDataset(lab)).toHaveAttribute('aria-disabled', 'true');
    expect(asked).toHaveLength(1);
    await lab.expectAccessible('without datarun');
    await alert.getByRole('button', { name: 'Try again now' }).click();
    await expect.poll(() => asked.length).toBe(2);
  } finally {
    await context.close();
    await server.dispose();
  }
});

for (const [protocol, remedy] of [
  [0, 'Update datarun on the server'],
  [99, 'Reload the page']
] as const) {
  test(`a server of protocol ${protocol} is warned of, and used`, async ({
    lab: first,
    server
  }) => {
    await server.dataset(`protocol ${protocol}`, irisCsv());
    const page = await first.page.context().newPage();
    try {
      await page.routeWebSocket(/runapp\/events/, socket => {
        const behind = socket.connectToServer();
        behind.onMessage(message => {
          const said = JSON.parse(String(message)) as { type: string; protocol?: number };
          socket.send(JSON.stringify(said.type === 'hello' ? { ...said, protocol } : said));
        });
      });
      const lab = new Lab(page, server);
      await lab.open(server.lab(`protocol-${protocol}`));
      const note = lab.panel.getByText(new RegExp(`speaks protocol ${protocol}, this panel 1`));
      await expect(note).toContainText(remedy);
      await expect(lab.dataset(`protocol ${protocol}`)).toBeVisible();
      await expect(newDataset(lab)).not.toHaveAttribute('aria-disabled', 'true');
      await lab.expectAccessible(`protocol ${protocol}`);
    } finally {
      await page.close();
    }
  });
}
