/**
 * Reads the files that a configuration names, all together, and checks them, before anything goes
 * by them: at the start, and at each reload.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { checkAccessRules } from '../access/access-table.js';
import { checkAclFile } from '../access/acl-file.js';
import { checkJwtKey } from '../access/jwt-key.js';
import { checkPasswordFile } from '../access/password-file.js';
import { userFaults } from '../access/users.js';
import type { Config } from '../base/config.js';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';
import {
  MATERIAL_BYTES_MAX,
  MATERIAL_FAULTS_MAX,
  MATERIALS_TOTAL_BYTES_MAX,
} from '../base/limits.js';
import type { Materials } from '../base/materials.js';
import { showBytes } from '../base/value-type.js';
import {
  caPaths,
  certificateFaults,
  certificatePaths,
  crlFaults,
  crlPaths,
  keyFaults,
  keyPaths,
  tlsRelationFaults,
} from './tls-files.js';

/** One kind of file that a configuration names. */
export interface MaterialKind {
  /** What names it, for faults: the option, such as `passwordFile`. */
  readonly option: string;
  /** Its paths in a configuration; empty: it names none. */
  paths(config: Config): readonly string[];
  /** What is wrong with its text, a line each, `line 3: …` where that can be said. */
  check(text: string, config: Config): readonly string[];
}

/** Every kind there is. */
export const MATERIAL_KINDS: readonly MaterialKind[] = [
  {
    option: 'passwordFile',
    paths: ({ passwordFile }) => (passwordFile === null ? [] : [passwordFile]),
    check: checkPasswordFile,
  },
  {
    option: 'jwtKey',
    paths: ({ jwtKey }) => (jwtKey === null ? [] : [jwtKey]),
    check: checkJwtKey,
  },
  {
    option: 'aclFile',
    paths: ({ aclFile }) => (aclFile === null ? [] : [aclFile]),
    check: checkAclFile,
  },
  { option: 'tlsCert', paths: certificatePaths, check: certificateFaults },
  { option: 'tlsKey', paths: keyPaths, check: keyFaults },
  { option: 'tlsCa', paths: caPaths, check: certificateFaults },
  { option: 'tlsCrl', paths: crlPaths, check: crlFaults },
];

/**
 * What must hold between files that are sound by themselves, such as a certificate and its key: a
 * line for each fault.
 */
export const MATERIAL_RELATIONS: readonly ((
  config: Config,
  materials: Materials,
) => readonly string[])[] = [
  ({ users, passwordFile }, materials) =>
    userFaults(users, passwordFile === null ? '' : (materials.get(passwordFile) ?? '')),
  tlsRelationFaults,
  ({ rules, users }) => [
    ...checkAccessRules(rules, 'rules'),
    ...users.flatMap(({ name, rules: own }) => checkAccessRules(own ?? [], `rules of ${name}`)),
  ],
];

/** Why a file cannot be read, in the operator's words. */
const READ_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this process may not read it',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'this process has no descriptor left',
  ERR_INVALID_ARG_VALUE: 'this is no path',
};

/**
 * Reads and checks all files of `config`.
 * @param kinds and
 * @param relations for tests.
 * @throws ConfigError with a line for every fault of every file.
 */
export async function readMaterials(
  config: Config,
  kinds: readonly MaterialKind[] = MATERIAL_KINDS,
  relations = MATERIAL_RELATIONS,
): Promise<Materials> {
  const optionsByPath = new Map<string, Set<string>>();
  for (const kind of kinds) {
    for (const path of kind.paths(config)) {
      const options = optionsByPath.get(path) ?? new Set();
      optionsByPath.set(path, options.add(kind.option));
    }
  }
  const faults: string[] = [];
  const texts = new Map<string, string>();
  let bytes = 0;
  // One after another: what is read beyond the total is never held, whatever the number of files.
  for (const [path, options] of optionsByPath) {
    const name = `${[...options].join(', ')} ${path}`;
    try {
      const text = await readText(path, MATERIALS_TOTAL_BYTES_MAX - bytes);
      bytes += Buffer.byteLength(text);
      texts.set(path, text);
    } catch (error) {
      faults.push(`${name}: ${whyNotRead(error)}`);
    }
  }
  for (const kind of kinds) {
    for (const path of new Set(kind.paths(config))) {
      const text = texts.get(path);
      if (text === undefined) continue;
      faults.push(...named(`${kind.option} ${path}`, kind.check(text, config)));
    }
  }
  if (faults.length === 0) {
    for (const relation of relations) faults.push(...relation(config, texts));
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return texts;
}

/** The faults of one file behind its name, not more than a person reads. */
function named(name: string, faults: readonly string[]): string[] {
  const lines = faults.slice(0, MATERIAL_FAULTS_MAX).map((fault) => `${name}: ${fault}`);
  const more = faults.length - lines.length;
  return more > 0 ? [...lines, `${name}: and ${more} more`] : lines;
}

/** A file is not as it must be; the message says how. */
class FileFault extends Error {}

function whyNotRead(error: unknown): string {
  if (error instanceof FileFault) return error.message;
  const code = errorCode(error);
  const why = READ_FAULTS[code] ?? (error instanceof Error ? error.message : String(error));
  return `cannot be read: ${why}`;
}

/**
 * The text of a file. Without waiting for what is none: to open a pipe that nobody writes to would
 * take for ever.
 * @param bytesLeft what all files together may still take.
 */
async function readText(path: string, bytesLeft: number): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await textOf(file, bytesLeft);
  } finally {
    await file.close();
  }
}

async function textOf(file: FileHandle, bytesLeft: number): Promise<string> {
  const stat = await file.stat();
  if (stat.isDirectory()) throw new FileFault('cannot be read: it is a directory');
  if (!stat.isFile()) throw new FileFault('cannot be read: it is no file');
  if (stat.size > MATERIAL_BYTES_MAX) {
    throw new FileFault(`is larger than ${showBytes(MATERIAL_BYTES_MAX)}`);
  }
  if (stat.size > bytesLeft) {
    const total = showBytes(MATERIALS_TOTAL_BYTES_MAX);
    throw new FileFault(`the files together are larger than ${total}`);
  }
  // One byte more: a file that grows meanwhile is read again when its writer has it reloaded.
  const bytes = Buffer.alloc(stat.size);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  const text = bytes.toString('utf8', 0, length);
  if (text.includes('\u0000')) throw new FileFault('is no text: it has NUL characters');
  return text;
}
