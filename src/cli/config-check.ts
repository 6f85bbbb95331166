/** `surgemq config check`: what a broker would go by, and what is other than with one that runs. */
import { isDeepStrictEqual } from 'node:util';
import type { Config, LoadedConfig, SettingValues } from '../base/config.js';
import { CONFIG_SETTINGS } from '../base/settings-table.js';
import { withoutPassword } from '../base/without-password.js';
import { UsageError } from './args.js';
import { askBroker } from './control-client.js';
import { checkedConfig } from './serve-config.js';

const AGAINST = '--against';
/** Where a comment begins that stands behind a value, if there is room. */
const COMMENT_COLUMN = 48;

/** Runs the command. @throws UsageError, ConfigError */
export async function checkConfig(args: readonly string[]): Promise<number> {
  const { against, others } = splitAgainst(args);
  const [path, ...flags] = others;
  if (path === undefined || path.startsWith('-')) {
    throw new UsageError(['config check needs a file first: surgemq config check FILE']);
  }
  const loaded = checkedConfig(['--config', path, ...flags], 'config check');
  // Only now: what is wrong with the file needs no broker.
  const { readMaterials } = await import('../primary/materials.js');
  await readMaterials(loaded.config);
  for (const warning of loaded.warnings) process.stderr.write(`surgemq: ${warning}\n`);
  if (against === undefined) process.stdout.write(effective(loaded));
  else process.stdout.write(await differences(loaded, against));
  return 0;
}

function splitAgainst(args: readonly string[]): {
  against: string | undefined;
  others: readonly string[];
} {
  const at = args.findIndex((arg) => arg === AGAINST || arg.startsWith(`${AGAINST}=`));
  if (at < 0) return { against: undefined, others: args };
  const isSeparate = args[at] === AGAINST;
  const against = isSeparate ? args[at + 1] : args[at].slice(AGAINST.length + 1);
  if (against === undefined || against === '') {
    throw new UsageError([`${AGAINST} needs a value: a process id, a path, or auto`]);
  }
  return { against, others: args.toSpliced(at, isSeparate ? 2 : 1) };
}

/** Everything, a line each, behind it where it comes from. */
function effective({ config, origins = {} }: LoadedConfig): string {
  return keysOf(config)
    .map((key) => {
      const value = config[key];
      const origin = origins[key] ?? '';
      const isList = settingOf(key) === undefined && Array.isArray(value) && value.length > 0;
      if (!isList) return `${commented(`${nameOf(key)}: ${shown(config, key)}`, origin)}\n`;
      const items = value.map((item) => `  - ${JSON.stringify(item, said)}\n`).join('');
      return `${commented(`${key}:`, origin)}\n${items}`;
    })
    .join('');
}

/** What a reload would change, and what needs a restart. */
async function differences(
  { config, origins = {} }: LoadedConfig,
  against: string,
): Promise<string> {
  const answer = await askBroker(against, { ask: 'config' });
  if (!('config' in answer)) throw new UsageError(['the broker has answered something else']);
  const running = answer.config;
  // As it comes over the socket: what JSON does not know is left out on both sides.
  const wanted = JSON.parse(JSON.stringify(config)) as Config;
  const lines = keysOf(config)
    .filter((key) => key !== 'configFile' && !isDeepStrictEqual(running[key], wanted[key]))
    .map((key) => {
      const needs = settingOf(key)?.restart === true ? ', needs a restart' : '';
      const change = `${nameOf(key)}: ${shown(running, key)} -> ${shown(config, key)}`;
      return `${commented(change, `${origins[key] ?? ''}${needs}`)}\n`;
    });
  return lines.length === 0 ? 'the broker goes by the same\n' : lines.join('');
}

function commented(text: string, comment: string): string {
  return comment === '' ? text : `${text.padEnd(COMMENT_COLUMN)} # ${comment}`;
}

/** Listeners are shown whole, in the place of their addresses. */
function keysOf(config: Config): (keyof Config)[] {
  return (Object.keys(config) as (keyof Config)[]).filter((key) => key !== 'listen');
}

function settingOf(key: keyof Config) {
  return Object.hasOwn(CONFIG_SETTINGS, key)
    ? CONFIG_SETTINGS[key as keyof SettingValues]
    : undefined;
}

function nameOf(key: keyof Config): string {
  return settingOf(key)?.option ?? key;
}

/** A value on one line; what is secret is not shown. */
function shown(config: Config, key: keyof Config): string {
  const setting = settingOf(key);
  if (setting === undefined) return JSON.stringify(config[key], said);
  const show = setting.type.show as (value: unknown) => string;
  return JSON.stringify(withoutPassword(show(config[key]))).replace(/^"([\w.:/-]*)"$/, '$1');
}

const SECRET_NAMES: readonly string[] = ['password', 'passwordHash'];

/** A value as the file has it: own settings by their options, and nothing secret. */
function said(name: string, value: unknown): unknown {
  if (SECRET_NAMES.includes(name) && value !== null) return '***';
  if (name !== 'ownSettings' || typeof value !== 'object' || value === null) return value;
  const own = Object.entries(value) as [keyof SettingValues, never][];
  return Object.fromEntries(
    own.map(([key, each]) => [CONFIG_SETTINGS[key].option, CONFIG_SETTINGS[key].type.show(each)]),
  );
}
