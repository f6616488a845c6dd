import { launcherPlugin } from './plugins/launcher';
import { modelPlugin } from './plugins/model';
import { notifyPlugin } from './plugins/notify';
import { panelPlugin } from './plugins/panel';
import { runningPlugin } from './plugins/running';
import { statusPlugin } from './plugins/status';

export { IDatarun } from './tokens';

export default [
  modelPlugin,
  panelPlugin,
  launcherPlugin,
  statusPlugin,
  runningPlugin,
  notifyPlugin
];
