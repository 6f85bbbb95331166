/**
 * Reads the settings of a table from defaults < environment < command-line flags < library options,
 * and reports every fault in one pass. Knows no setting of its own: the broker's table stands in
 * settings-table.ts, and the bench suites bring theirs.
 */
import { didYouMean } from './nearest.js';
import type { ValueType } from './value-type.js';
import { withoutPassword } from './without-password.js';

/** One setting: where it is set, what it may be, what it is for. */
export interface Setting<T> {
  /** Environment name. */
  readonly environment: string;
  /** Command-line flag without its dashes. */
  readonly flag: string;
  /** Name among the library's options. */
  readonly option: string;
  readonly type: ValueType<T>;
  /** Default, as an operator would write it. */
  readonly default: string;
  /** What it does, in one sentence for `--help` and the README. */
  readonly summary: string;
  /** True: a change takes effect at the next start alone, not when the settings are reloaded. */
  readonly restart?: true;
}

/**
 * Settings by their name in the configuration `C`: the compiler sees to it that none is missing.
 */
export type SettingsTable<C> = { readonly [K in keyof C]-?: Setting<C[K]> };

/** What must hold between sound settings. */
export interface Relation<C> {
  /** The settings it speaks of: checked only when each of them is allowed by itself. */
  readonly settings: readonly (keyof C & string)[];
  readonly severity: 'fault' | 'warning';
  /** What is wrong, to be read after the names and values; undefined when nothing is. */
  check(values: C): string | undefined;
}

/** A value of a configuration file. */
export interface FileValue {
  /** `surgemq.yaml:3:14`. */
  readonly place: string;
  readonly value: unknown;
}

/**
 * Where values come from, the weakest first. Undefined and (in the environment) empty means not
 * set.
 */
export interface SettingsSources {
  /** By option name, as a configuration file has them. */
  readonly file?: ReadonlyMap<string, FileValue>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly flags?: Readonly<Record<string, string>>;
  readonly options?: object;
}

/** What else is to be known of a table. */
export interface SettingsRules<C> {
  /** Environment names that begin so are ours: an unknown one gets a warning. */
  readonly prefix: string;
  /** Beginnings of environment names that belong to somebody else after all. */
  readonly foreignPrefixes?: readonly string[];
  /** Library options that are no settings. */
  readonly foreignOptions?: readonly string[];
  readonly relations?: readonly Relation<C>[];
}

/** Outcome of a load. `values` is frozen, and only to be used when there is no fault. */
export interface LoadedSettings<C> {
  readonly values: C;
  /** Where each value comes from: `default`, a place in a file, or a name of another source. */
  readonly origins: Readonly<Record<string, string>>;
  readonly faults: string[];
  readonly warnings: string[];
  /** Library options that are none, a line each. */
  readonly unknownOptions: string[];
}

/** A value given for a setting. */
interface Given {
  /** The name its user knows it by. */
  readonly name: string;
  /** Where it was given: the name, but for the file, where it is the place. */
  readonly origin: string;
  readonly value: unknown;
}

/** What was given for one setting, the weakest source first. */
function givenFor(setting: Setting<unknown>, sources: SettingsSources): Given[] {
  const { file, environment = {}, flags = {}, options = {} } = sources;
  const given: Given[] = [];
  const fromFile = file?.get(setting.option);
  if (fromFile !== undefined) {
    const { place, value } = fromFile;
    given.push({ name: `${place}: ${setting.option}`, origin: place, value });
  }
  const fromEnvironment = environment[setting.environment];
  if (fromEnvironment !== undefined && fromEnvironment.trim() !== '') {
    const name = setting.environment;
    given.push({ name, origin: name, value: fromEnvironment });
  }
  const fromFlag = Object.hasOwn(flags, setting.flag) ? flags[setting.flag] : undefined;
  if (fromFlag !== undefined) {
    const name = `--${setting.flag}`;
    given.push({ name, origin: name, value: fromFlag });
  }
  const fromOption: unknown = Reflect.get(options, setting.option);
  if (fromOption !== undefined) {
    const name = `option ${setting.option}`;
    given.push({ name, origin: name, value: fromOption });
  }
  return given;
}

/** A given value as a fault shows it: short, on one line, quoted as text is. */
export function shown(value: unknown): string {
  let text: string | undefined;
  try {
    // NaN and numbers that JSON does not know would be shown as null.
    text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  } catch {
    // Circular, or a bigint: its type has to do.
  }
  text = withoutPassword(text ?? typeof value);
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}

/** Freezes a value and all it holds. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const held of Object.values(value)) deepFreeze(held);
  }
  return value;
}

/** Warnings for environment names that look like settings and are none. */
function unknownNames<C>(
  settings: readonly Setting<unknown>[],
  sources: SettingsSources,
  rules: SettingsRules<C>,
): string[] {
  const warnings: string[] = [];
  const names = new Set(settings.map((setting) => setting.environment));
  const foreign = rules.foreignPrefixes ?? [];
  for (const name of Object.keys(sources.environment ?? {})) {
    if (!name.startsWith(rules.prefix) || names.has(name)) continue;
    if (foreign.some((prefix) => name.startsWith(prefix))) continue;
    warnings.push(`${name} is no setting and has no effect${didYouMean(name, names)}`);
  }
  return warnings;
}

/** A line for each library option that is none. */
function unknownOptions<C>(
  settings: readonly Setting<unknown>[],
  sources: SettingsSources,
  rules: SettingsRules<C>,
): string[] {
  const known = new Set([
    ...settings.map((setting) => setting.option),
    ...(rules.foreignOptions ?? []),
  ]);
  return Object.keys(sources.options ?? {})
    .filter((name) => !known.has(name))
    .map((name) => `there is no option ${name}${didYouMean(name, known)}`);
}

/**
 * Reads every setting of `table`. A value that is not allowed is a fault even where a stronger
 * source overrides it: it would bite on the day the stronger one goes.
 */
export function loadSettings<C extends object>(
  table: SettingsTable<C>,
  sources: SettingsSources,
  rules: SettingsRules<C>,
): LoadedSettings<C> {
  const settings = Object.entries(table) as [keyof C & string, Setting<unknown>][];
  const values: Record<string, unknown> = {};
  const names: Record<string, string> = {};
  const origins: Record<string, string> = {};
  const unsound = new Set<string>();
  const faults: string[] = [];
  for (const [key, setting] of settings) {
    values[key] = setting.type.read(setting.default);
    names[key] = setting.environment;
    origins[key] = 'default';
    for (const { name, origin, value } of givenFor(setting, sources)) {
      const read = setting.type.read(value);
      if (read === undefined) {
        unsound.add(key);
        const why = setting.type.why?.(value) ?? `allowed: ${setting.type.allowed}`;
        faults.push(`${name} is ${shown(value)}; ${why}`);
      } else {
        values[key] = read;
        names[key] = name;
        origins[key] = origin;
      }
    }
  }
  const loaded = deepFreeze(values) as C;
  const every = settings.map(([, setting]) => setting);
  const warnings = unknownNames(every, sources, rules);
  for (const relation of rules.relations ?? []) {
    if (relation.settings.some((key) => unsound.has(key))) continue;
    const problem = relation.check(loaded);
    if (problem === undefined) continue;
    const subject = relation.settings
      .map((key) => `${names[key]} is ${shownValue(table[key], loaded[key])}`)
      .join(', ');
    (relation.severity === 'fault' ? faults : warnings).push(`${subject}; ${problem}`);
  }
  const strangers = unknownOptions(every, sources, rules);
  return { values: loaded, origins, faults, warnings, unknownOptions: strangers };
}

function shownValue<T>(setting: Setting<T>, value: T): string {
  return setting.type.show(value);
}
