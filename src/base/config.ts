/**
 * The configuration: the only reader of `process.env`. What can be set stands in settings-table.ts;
 * this file says what the rest of the code and the users of the library see of it.
 */
import { type ConfigFile, NO_CONFIG_FILE, readConfigFile } from './config-file.js';
import { ArgumentError, ConfigError } from './errors.js';
import type { ListenerConfig } from './listener-config.js';
import { withEntry } from './listener-entry.js';
import { listenerFaults, listenersOf } from './listeners.js';
import type { ServerOptions } from './server-options.js';
import type { Config, SettingValues } from './setting-values.js';
import { deepFreeze, loadSettings, type SettingsSources } from './settings.js';
import { CONFIG_RELATIONS, CONFIG_SETTINGS } from './settings-table.js';

export type { Config, SettingValues } from './setting-values.js';

/** A configuration and what is worth a warning about how it came to be, a line each. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: string[];
  /** By name in the configuration, where each value comes from: see LoadedSettings. */
  readonly origins?: Readonly<Record<string, string>>;
  /**
   * Reads everything once more, as it is now.
   * @param options in the place of those that it was read with.
   * @throws ConfigError, ArgumentError
   */
  readonly again?: (options?: ServerOptions) => LoadedConfig;
}

/**
 * The environment of this process, for those who load settings of their own (the bench suites) and
 * for what npm says in it.
 */
export function processEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/**
 * Reads all settings: defaults < configuration file < environment < command-line flags < library
 * options.
 * @param flags by flag name without dashes (`max-packet-bytes`), as text.
 * @throws ConfigError with a line for every fault; ArgumentError, a TypeError, for options that are
 * none.
 */
export function loadConfig(
  options: ServerOptions = {},
  flags: Readonly<Record<string, string>> = {},
  environment: NodeJS.ProcessEnv = processEnvironment(),
): LoadedConfig {
  const path = configFileOf({ environment, flags, options });
  const file = path === null ? NO_CONFIG_FILE : readConfigFile(path);
  const { values, origins, faults, warnings, unknownOptions } = loadSettings<SettingValues>(
    CONFIG_SETTINGS,
    { file: file.settings, environment, flags, options },
    {
      prefix: 'SURGEMQ_',
      foreignPrefixes: ['SURGEMQ_BENCH_'],
      foreignOptions: ['logger'],
      relations: CONFIG_RELATIONS,
    },
  );
  // A program's slip, which nobody would see in a log: the others are what people set.
  if (unknownOptions.length > 0) throw new ArgumentError(unknownOptions.join('; '));
  faults.unshift(...file.faults);
  if (faults.length > 0) throw new ConfigError(faults);
  const { users, rules } = file;
  const listeners = listenersIn(file, values);
  const lacking = listeners.flatMap((listener) =>
    listenerFaults(listener).map((fault) => `${origins.listen}: ${listener.uri}: ${fault}`),
  );
  if (lacking.length > 0) throw new ConfigError(lacking);
  const config: Config = deepFreeze({ ...values, listeners, users, rules });
  const again = (changed = options) => loadConfig(changed, flags, environment);
  return {
    config,
    warnings,
    origins: { ...origins, listeners: origins.listen, ...file.origins },
    again,
  };
}

/** The listeners, with what the file says of each. */
function listenersIn(file: ConfigFile, values: SettingValues): ListenerConfig[] {
  return listenersOf(values).map((listener) => {
    const entry = file.listeners.find(({ uri }) => uri === listener.uri);
    return entry === undefined ? listener : withEntry(listener, entry);
  });
}

/** The path that is given for the file; null: none, or none that can be read. */
function configFileOf(sources: SettingsSources): string | null {
  const { configFile } = CONFIG_SETTINGS;
  const { values, faults } = loadSettings<Pick<SettingValues, 'configFile'>>(
    { configFile },
    sources,
    { prefix: configFile.environment },
  );
  return faults.length > 0 ? null : values.configFile;
}
