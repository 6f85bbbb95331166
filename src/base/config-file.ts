/**
 * Reads a configuration file: YAML, or JSON, which is YAML too. Its names and kinds are checked
 * against the JSON schema that editors use; values are judged by the kinds of the settings. Every
 * fault is found in one pass, and said with line and column.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ErrorObject, ValidateFunction } from 'ajv';
import type { AccessRule } from './access-rule.js';
import {
  CONFIG_FILE_SHAPE,
  type RuleEntry,
  ruleOf,
  type UserEntry,
  userOf,
} from './config-fields.js';
import { readShape, schemaOf, shapeAt } from './config-shape.js';
import { errorCode } from './error-code.js';
import { CONFIG_FAULTS_MAX, CONFIG_FILE_BYTES_MAX } from './limits.js';
import { parseListenUri } from './listen-uri.js';
import type { ListenerKind } from './listener-config.js';
import type { ListenerEntry } from './listener-entry.js';
import { didYouMean } from './nearest.js';
import { type FileValue, shown } from './settings.js';
import { CONFIG_SETTINGS } from './settings-table.js';
import type { UserConfig } from './user-config.js';
import { type JsonSchema, showBytes } from './value-type.js';
import { type Place, readYaml, type YamlText } from './yaml-text.js';

/** What a configuration file says. To be used only when there is no fault. */
export interface ConfigFile {
  /** By option name. */
  readonly settings: ReadonlyMap<string, FileValue>;
  readonly listeners: readonly ListenerEntry[];
  readonly users: readonly UserConfig[];
  readonly rules: readonly AccessRule[];
  /** Places of `users` and `rules`, where the file has them. */
  readonly origins: Readonly<Record<string, string>>;
  /** A line each, `surgemq.yaml:3:14: …`. */
  readonly faults: readonly string[];
}

/** Of a broker that is given none. */
export const NO_CONFIG_FILE: ConfigFile = {
  settings: new Map(),
  listeners: [],
  users: [],
  rules: [],
  origins: { users: 'default', rules: 'default' },
  faults: [],
};

/** The JSON schema of a configuration file, for editors. */
export function configFileSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'SurgeMQ',
    ...schemaOf(CONFIG_FILE_SHAPE),
  };
}

/** Reads the file at `path`. Never throws: what is wrong is among the faults. */
export function readConfigFile(path: string): ConfigFile {
  try {
    return parseConfigFile(readText(path), path);
  } catch (error) {
    return { ...NO_CONFIG_FILE, faults: [`${path}: ${whyUnread(error)}`] };
  }
}

/** What the shape has read. */
interface Read {
  readonly listeners?: readonly ListenerEntry[];
  readonly users?: readonly UserEntry[];
  readonly rules?: readonly RuleEntry[];
}

/** Reads the text of a configuration file. @param name of the file, for faults. */
export function parseConfigFile(text: string, name: string): ConfigFile {
  const yaml = readYaml(text);
  const faults = new Faults(name);
  for (const { line, column, message } of yaml.faults) faults.add({ line, column }, message);
  const given = yaml.value ?? {};
  // Without a value there is nothing to look at.
  if (yaml.value === undefined) return { ...NO_CONFIG_FILE, faults: faults.lines };
  addSchemaFaults(yaml, given, faults);
  const values = readShape(CONFIG_FILE_SHAPE, given, (pointer, shape, wrong) => {
    // Settings are judged with those of the other sources.
    if (pointer.length === 1) return;
    const why = shape.isSecret ? 'is not as it may be' : `is ${shown(wrong)}`;
    faults.add(yaml.placeOf(pointer), `${named(pointer)} ${why}; allowed: ${shape.type.allowed}`);
  }) as Read | undefined;
  addDoubles(yaml, values?.users ?? [], faults);
  addStrangers(yaml, values?.listeners ?? [], faults);
  // What is no mapping, or has not what it needs, is among the faults.
  const listeners = values?.listeners?.filter((entry) => entry?.uri !== undefined) ?? [];
  const users = values?.users ?? [];
  const rules = values?.rules ?? [];
  const settings = settingsOf(yaml, given, name);
  if (settings.has('listen') && listeners.length > 0) {
    faults.add(yaml.placeOfName(['listen']), 'listen and listeners: say it in one of them');
  } else if (listeners.length > 0) {
    const place = placeText(name, yaml.placeOf(['listeners']));
    settings.set('listen', { place, value: listeners.map(({ uri }) => uri) });
  }
  return {
    settings,
    listeners,
    users: faults.isEmpty ? users.map(userOf) : [],
    rules: faults.isEmpty ? rules.map(ruleOf) : [],
    origins: originsOf(yaml, given, name),
    faults: faults.lines,
  };
}

/** The faults of a file as lines, in the order of their places, not more than a person reads. */
class Faults {
  readonly #name: string;
  readonly #found: { place: Place; message: string | (() => string) }[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  /** @param message a function where it costs something: not each is told. */
  add(place: Place, message: string | (() => string)): void {
    this.#found.push({ place, message });
  }

  get lines(): string[] {
    const sorted = this.#found.toSorted(
      ({ place: a }, { place: b }) => a.line - b.line || a.column - b.column,
    );
    const lines = sorted.slice(0, CONFIG_FAULTS_MAX).map(({ place, message }) => {
      const said = typeof message === 'string' ? message : message();
      return `${placeText(this.#name, place)}: ${said}`;
    });
    const more = sorted.length - lines.length;
    return more > 0 ? [...lines, `${this.#name}: and ${more} more`] : lines;
  }
}

function placeText(name: string, { line, column }: Place): string {
  return `${name}:${line}:${column}`;
}

/** `listeners[0].tls.minVersion`. */
function named(pointer: readonly string[]): string {
  return pointer
    .map((name, at) => (/^\d+$/.test(name) ? `[${name}]` : at === 0 ? name : `.${name}`))
    .join('');
}

let validate: ValidateFunction | undefined;

/** The package is loaded with the first file: a program that has none does not wait for it. */
function compileSchema(): ValidateFunction {
  const { Ajv }: typeof import('ajv') = createRequire(import.meta.url)('ajv');
  return new Ajv({ allErrors: true, strict: false, verbose: false }).compile(configFileSchema());
}

/** What the schema finds wrong: names that are none, that are missing, lists that are none. */
function addSchemaFaults(yaml: YamlText, given: unknown, faults: Faults): void {
  validate ??= compileSchema();
  if (validate(given)) return;
  const errors = validate.errors ?? [];
  // What is no mapping has no names that could be missing.
  const ofOtherKind = new Set(errors.filter(isKindFault).map(({ instancePath }) => instancePath));
  for (const error of errors) {
    if (isKindFault(error) || !ofOtherKind.has(error.instancePath)) {
      addSchemaFault(yaml, error, faults);
    }
  }
}

function isKindFault({ keyword }: ErrorObject): boolean {
  return keyword === 'type';
}

function addSchemaFault(yaml: YamlText, error: ErrorObject, faults: Faults): void {
  const pointer = pointerOf(error.instancePath);
  const shape = shapeAt(CONFIG_FILE_SHAPE, pointer);
  // Values are judged by their kinds, which say more.
  if (shape === undefined || shape.kind === 'value') return;
  const what = pointer.length === 0 ? 'the file' : named(pointer);
  switch (error.keyword) {
    case 'additionalProperties': {
      const name = String(error.params.additionalProperty);
      const known = shape.kind === 'mapping' ? Object.keys(shape.fields) : [];
      const kind = pointer.length === 0 ? 'setting' : `name in ${what}`;
      const place = yaml.placeOfName([...pointer, name]);
      faults.add(place, () => `there is no ${kind} ${shown(name)}${didYouMean(name, known)}`);
      return;
    }
    case 'required':
      if (error.schemaPath.includes('/oneOf/')) return;
      faults.add(yaml.placeOf(pointer), `${what} has no ${String(error.params.missingProperty)}`);
      return;
    case 'oneOf': {
      const names = shape.kind === 'mapping' ? (shape.oneOf ?? []) : [];
      faults.add(yaml.placeOf(pointer), `${what} has to have one of ${names.join(' and ')}`);
      return;
    }
    default: {
      const kind = shape.kind === 'list' ? 'a list' : 'a mapping of names to values';
      faults.add(yaml.placeOf(pointer), `${what} has to be ${kind}`);
    }
  }
}

/** The names of a JSON pointer. */
function pointerOf(path: string): string[] {
  return path
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A user that stands there twice: which of the two holds would be a guess. */
function addDoubles(
  yaml: YamlText,
  users: readonly (UserEntry | undefined)[],
  faults: Faults,
): void {
  const seen = new Set<string>();
  for (const [at, user] of users.entries()) {
    if (user?.name === undefined) continue;
    const { name, password, passwordHash } = user;
    const place = yaml.placeOf(['users', String(at)]);
    if (seen.has(name)) faults.add(place, `user ${shown(name)} is there twice`);
    seen.add(name);
    if (password !== undefined && passwordHash !== undefined) {
      faults.add(place, `user ${shown(name)} has both password and passwordHash`);
    }
  }
}

/** Of which kinds of listeners a name speaks. */
const KINDS_OF_NAMES: Readonly<Record<string, readonly ListenerKind[]>> = {
  tls: ['tls', 'wss'],
  websocket: ['ws', 'wss'],
  mode: ['unix'],
};

/** What of a listener is about something that is not spoken there. */
function addStrangers(
  yaml: YamlText,
  listeners: readonly (ListenerEntry | undefined)[],
  faults: Faults,
): void {
  for (const [at, entry] of listeners.entries()) {
    const kind = parseListenUri(entry?.uri ?? '')?.kind;
    if (entry === undefined || kind === undefined) continue;
    for (const [name, kinds] of Object.entries(KINDS_OF_NAMES)) {
      if (!Object.hasOwn(entry, name) || kinds.includes(kind)) continue;
      const place = yaml.placeOfName(['listeners', String(at), name]);
      faults.add(place, `${name} has no meaning for ${entry.uri}`);
    }
  }
}

/** The settings of a file, by their options. */
function settingsOf(yaml: YamlText, given: unknown, name: string): Map<string, FileValue> {
  const settings = new Map<string, FileValue>();
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return settings;
  for (const { option } of Object.values(CONFIG_SETTINGS)) {
    const isInFile = Object.hasOwn(CONFIG_FILE_SHAPE.fields, option);
    if (!isInFile || !Object.hasOwn(given, option)) continue;
    const value: unknown = Reflect.get(given, option);
    settings.set(option, { place: placeText(name, yaml.placeOf([option])), value });
  }
  return settings;
}

function originsOf(yaml: YamlText, given: unknown, name: string): Record<string, string> {
  const origins: Record<string, string> = {};
  for (const key of ['users', 'rules']) {
    const isThere = typeof given === 'object' && given !== null && Object.hasOwn(given, key);
    origins[key] = isThere ? placeText(name, yaml.placeOfName([key])) : 'default';
  }
  return origins;
}

/** A file is not as it must be; the message says how. */
class FileFault extends Error {}

const READ_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this process may not read it',
};

function whyUnread(error: unknown): string {
  if (error instanceof FileFault) return error.message;
  const why = READ_FAULTS[errorCode(error)];
  return `cannot be read: ${why ?? (error instanceof Error ? error.message : String(error))}`;
}

/** Without waiting for what is no file: a pipe that nobody writes to would take for ever. */
function readText(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new FileFault('is no file');
    if (stat.size > CONFIG_FILE_BYTES_MAX) {
      throw new FileFault(`is larger than ${showBytes(CONFIG_FILE_BYTES_MAX)}`);
    }
    const bytes = Buffer.alloc(stat.size);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } finally {
    closeSync(fd);
  }
}
