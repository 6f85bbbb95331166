/** Listeners as the configuration has them, for tests beneath it. */
import { loadConfig } from '../../src/base/config.js';
import type { ListenerConfig } from '../../src/base/listener-config.js';
import { listenerFor } from '../../src/base/listeners.js';
import type { ServerOptions } from '../../src/base/server-options.js';

/** The listener at a URI. @throws ConfigError */
export function listenerAt(uri: string, options: ServerOptions = {}): ListenerConfig {
  return listenerFor(uri, loadConfig(options, {}, {}).config);
}
