/** The flags of `surgemq serve`, and the configuration that they make with everything else. */
import { type LoadedConfig, loadConfig } from '../base/config.js';
import { ConfigError } from '../base/errors.js';
import { CONFIG_SETTINGS } from '../base/settings-table.js';
import { wholeNumber } from '../base/value-type.js';
import { type Flag, splitArgs } from './args.js';

/** One flag for each setting, described by the setting. */
export const SERVE_FLAGS: readonly Flag[] = [
  ...Object.values(CONFIG_SETTINGS).map(
    ({ flag, type, environment, summary, default: fallback }) => ({
      name: flag,
      ...(type.placeholder === '' ? { isBoolean: true } : { placeholder: type.placeholder }),
      isRepeatable: flag === CONFIG_SETTINGS.listen.flag,
      summary: `${summary} Allowed: ${type.allowed}. [${environment}, default ${fallback}]`,
    }),
  ),
  {
    name: 'port',
    short: 'p',
    placeholder: 'port',
    summary: 'Listens at this port of 127.0.0.1: short for --listen.',
  },
  { name: 'help', short: 'h', summary: 'Shows this text.' },
  { name: 'version', short: 'v', summary: 'Shows the version.' },
];
const portNumber = wholeNumber({ min: 0, max: 65_535 });

/** Flags as loadConfig takes them: each address of a repeated --listen counts, --port as well. */
function settingFlags(values: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  const { listen } = CONFIG_SETTINGS;
  const flags = Object.fromEntries([...values].map(([name, given]) => [name, given.join(',')]));
  const port = values.get('port')?.at(-1);
  if (port === undefined || portNumber.read(port) === undefined) return flags;
  return { ...flags, [listen.flag]: [...(values.get(listen.flag) ?? []), port].join(',') };
}

/**
 * Checks flags and environment together, so that every fault is said at once under the name its
 * user gave it.
 * @param command whose flags they are, for faults.
 * @throws ConfigError
 */
export function checkedConfig(args: readonly string[], command = 'serve'): LoadedConfig {
  const { values, positionals, faults } = splitArgs(SERVE_FLAGS, args);
  const all = [...faults, ...positionals.map((word) => `${word} is no flag of ${command}`)];
  const port = values.get('port')?.at(-1);
  if (port !== undefined && portNumber.read(port) === undefined) {
    all.push(`--port is "${port}"; allowed: ${portNumber.allowed}`);
  }
  try {
    const loaded = loadConfig({}, settingFlags(values));
    if (all.length === 0) return loaded;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    all.push(...error.faults);
  }
  throw new ConfigError(all);
}
