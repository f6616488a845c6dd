import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Api } from '../api/client';
import { Uploads } from '../dataset/uploads';
import { Model } from '../model/model';
import { Settings } from '../settings';
import { IDatarun } from '../tokens';

/** Where the settings' schema lies: `schema/panel.json`. */
const SETTINGS = 'datarun:panel';

/** The address of the events' websocket. */
export function eventsUrl(server: ServerConnection.ISettings, since: number | null): string {
  const query = new URLSearchParams();
  if (since !== null) {
    query.set('since', String(since));
  }
  if (server.appendToken && server.token !== '') {
    query.set('token', server.token);
  }
  const text = query.toString();
  return `${server.wsUrl}runapp/events/${text ? `?${text}` : ''}`;
}

/** Ask Jupyter whether its authorizer lets this person change anything of datarun. */
async function mayWrite(server: ServerConnection.ISettings): Promise<boolean> {
  const wanted = encodeURIComponent(JSON.stringify({ datarun: ['write'] }));
  const url = `${server.baseUrl}api/me?permissions=${wanted}`;
  try {
    const response = await ServerConnection.makeRequest(url, {}, server);
    const { permissions } = (await response.json()) as {
      permissions?: Record<string, readonly string[]>;
    };
    return permissions?.datarun?.includes('write') ?? true;
  } catch {
    // Whoever may not is refused by datarun itself, with the reason.
    return true;
  }
}

/** Provides the live state of the server, for datarun's other plugins and for other extensions. */
export const modelPlugin: JupyterFrontEndPlugin<IDatarun> = {
  id: 'datarun:model',
  description: 'Provides the live state of the datarun server.',
  autoStart: true,
  provides: IDatarun,
  optional: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): IDatarun => {
    const server = app.serviceManager.serverSettings;
    const trans = (translator ?? nullTranslator).load('datarun');
    const api = new Api((path, init) =>
      ServerConnection.makeRequest(`${server.baseUrl}runapp/${path}`, init, server)
    );
    const model = new Model({
      api,
      mayWrite: () => mayWrite(server),
      open: since => new server.WebSocket(eventsUrl(server, since))
    });
    const uploads = new Uploads(api, {
      get: key => localStorage.getItem(key),
      set: (key, id) => localStorage.setItem(key, id),
      forget: key => localStorage.removeItem(key)
    });
    uploads.unsplit.connect((_, trouble) => {
      Notification.error(trans.__('The dataset was sent, but not split: %1', trouble.message));
    });
    const settings = new Settings();
    registry?.load(SETTINGS).then(
      loaded => settings.follow(loaded),
      // Without them the panel works with its defaults.
      (reason: unknown) => console.warn('datarun: its settings could not be loaded.', reason)
    );
    // Status bar, notifications and the Running tab live from the first moment on.
    void app.restored.then(() => model.begin());
    return { model, uploads, settings, trans };
  }
};
