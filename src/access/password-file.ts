/** A password file, as Mosquitto has it: a line for each user, `name:hash`. */
import { PASSWORD_LINE_LENGTH_MAX, STRING_BYTES_MAX } from '../base/limits.js';
import { type PasswordHash, parsePasswordHash } from './password-hash.js';

/** A file's users by name, and what is wrong with it, a line each. */
export interface PasswordFile {
  readonly users: ReadonlyMap<string, PasswordHash>;
  readonly faults: readonly string[];
}

/** One line with a user. */
export interface PasswordLine {
  readonly name: string;
  /** What stands behind the first colon, without blanks around it. */
  readonly hash: string;
}

/** The user of a line; null for a comment or an empty line, undefined for any other. */
export function parsePasswordLine(line: string): PasswordLine | null | undefined {
  const text = line.trim();
  if (text === '' || line.startsWith('#')) return null;
  const colon = text.indexOf(':');
  if (colon <= 0 || line.length > PASSWORD_LINE_LENGTH_MAX) return undefined;
  const name = text.slice(0, colon).trim();
  return name === '' ? undefined : { name, hash: text.slice(colon + 1).trim() };
}

/** Reads the text of a password file. What is faulty is not among its users. */
export function parsePasswordFile(text: string): PasswordFile {
  const users = new Map<string, PasswordHash>();
  const faults: string[] = [];
  const linesOf = new Map<string, number>();
  for (const [at, line] of text.split('\n').entries()) {
    const parsed = parsePasswordLine(line);
    if (parsed === null) continue;
    const number = at + 1;
    if (parsed === undefined) {
      faults.push(`line ${number}: it is not name:hash`);
      continue;
    }
    const { name } = parsed;
    const hash = parsePasswordHash(parsed.hash);
    const earlier = linesOf.get(name);
    if (earlier !== undefined) {
      faults.push(`line ${number}: ${shown(name)} stands in line ${earlier} already`);
    } else if (Buffer.byteLength(name) > STRING_BYTES_MAX) {
      faults.push(`line ${number}: no user name is longer than ${STRING_BYTES_MAX} bytes`);
    } else if (typeof hash === 'string') {
      const what = hash === 'it is not hashed' ? `${hash}: surgemq passwd -U hashes all` : hash;
      faults.push(`line ${number}: the password of ${shown(name)}: ${what}`);
    } else {
      users.set(name, hash);
    }
    linesOf.set(name, earlier ?? number);
  }
  return { users, faults };
}

/** What is wrong with the text of a password file, a line each. */
export function checkPasswordFile(text: string): readonly string[] {
  return parsePasswordFile(text).faults;
}

/** A name in a fault: on one line, and short. */
export function shown(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name);
}
