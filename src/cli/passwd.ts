/** `surgemq passwd`: makes and edits password files, with the flags of mosquitto_passwd. */
import { parsePasswordFile, parsePasswordLine, shown } from '../access/password-file.js';
import {
  formatPasswordHash,
  HASH_KINDS,
  type HashKind,
  hashPassword,
  parsePasswordHash,
} from '../access/password-hash.js';
import { ConfigError } from '../base/errors.js';
import { HASH_ITERATIONS_MAX, STRING_BYTES_MAX } from '../base/limits.js';
import { oneOf, wholeNumber } from '../base/value-type.js';
import { type Flag, flagsHelp, splitArgs, UsageError } from './args.js';
import { editFile } from './edit-file.js';
import { askPassword } from './password-prompt.js';

const hashKind = oneOf(HASH_KINDS);
const iterationCount = wholeNumber({ min: 1, max: HASH_ITERATIONS_MAX });

const FLAGS: readonly Flag[] = [
  { name: 'create', short: 'c', summary: 'Begins a new file, in the place of one that there is.' },
  {
    name: 'batch',
    short: 'b',
    summary: 'Takes the password from the command line, where others on this machine may see it.',
  },
  { name: 'delete', short: 'D', summary: 'Takes the user out of the file.' },
  {
    name: 'hash',
    short: 'H',
    placeholder: 'kind',
    summary:
      'How the password is hashed: sha512-pbkdf2 (the default) and sha512, which Mosquitto reads ' +
      'too; scrypt, for passwords that people think up (40 ms of a core for each connection); ' +
      'scram, which SCRAM-SHA-256 needs and which also stands for the password itself.',
  },
  {
    name: 'iterations',
    short: 'I',
    placeholder: 'number',
    summary: 'Iterations of sha512-pbkdf2 and scram: what one guess costs, and each connection.',
  },
  { name: 'scram', summary: 'Short for --hash scram.' },
  { name: 'upgrade', short: 'U', summary: 'Hashes what stands in the file in clear text.' },
  { name: 'help', short: 'h', summary: 'Shows this text.' },
];

const HELP = `Usage: surgemq passwd [-c] [-H kind] file user
       surgemq passwd [-c] [-H kind] -b file user password
       surgemq passwd -D file user
       surgemq passwd -U [-H kind] file

Makes and edits password files as those of Mosquitto: a line for each user, with the password
hashed. Asks for the password without showing it. A running broker takes the file at its next
reload.

${flagsHelp(FLAGS)}
`;

/** How passwords are to be hashed. */
interface Hashing {
  readonly kind: HashKind;
  readonly iterations: number | undefined;
}

/** Runs the command. @throws UsageError, ConfigError */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals, faults } = splitArgs(FLAGS, args);
  if (values.has('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const hashing = readHashing(values, faults);
  const [isBatch, isDelete, isUpgrade, isNew] = ['batch', 'delete', 'upgrade', 'create'].map(
    (name) => values.has(name),
  );
  if ([isBatch || isNew, isDelete, isUpgrade].filter(Boolean).length > 1) {
    throw new UsageError(['-D and -U stand alone: surgemq passwd --help']);
  }
  const words = isUpgrade ? ['file'] : isBatch ? ['file', 'user', 'password'] : ['file', 'user'];
  if (positionals.length !== words.length) {
    throw new UsageError([`${words.join(', ')} must follow the flags, and nothing else`]);
  }
  const [path, name, given] = positionals;
  if (isUpgrade) return upgrade(path, hashing);
  checkName(name);
  if (isDelete) return remove(path, name);
  const password = isBatch ? given : await askPassword(name);
  if (password === '') throw new UsageError(['the password is empty']);
  const hash = formatPasswordHash(await hashPassword(hashing.kind, password, hashing.iterations));
  await editFile(path, isNew, (text) => withUser(path, text, name, hash));
  return 0;
}

function readHashing(
  values: ReadonlyMap<string, readonly string[]>,
  earlier: readonly string[],
): Hashing {
  const faults = [...earlier];
  const named = values.get('hash')?.at(-1);
  const isScram = values.has('scram');
  const kind = named === undefined ? undefined : hashKind.read(named);
  if (named !== undefined && kind === undefined) {
    faults.push(`--hash is "${named}"; allowed: ${hashKind.allowed}`);
  }
  if (isScram && kind !== undefined && kind !== 'scram') {
    faults.push(`--scram and --hash ${kind} cannot both be`);
  }
  const counted = values.get('iterations')?.at(-1);
  const iterations = counted === undefined ? undefined : iterationCount.read(counted);
  if (counted !== undefined && iterations === undefined) {
    faults.push(`--iterations is "${counted}"; allowed: ${iterationCount.allowed}`);
  }
  if (faults.length > 0) throw new UsageError(faults);
  const fallback = isScram ? 'scram' : 'sha512-pbkdf2';
  return { kind: (kind ?? fallback) as HashKind, iterations };
}

/** @throws UsageError for a name that a line of the file cannot have. */
function checkName(name: string): void {
  const isFit = parsePasswordLine(`${name}:x`)?.name === name && !/[:\p{Cc}]/u.test(name);
  if (isFit && Buffer.byteLength(name) <= STRING_BYTES_MAX) return;
  throw new UsageError([
    `${shown(name)} is no user name for a password file: without ":", control characters, blanks ` +
      'around it, or # in front',
  ]);
}

/** @throws ConfigError for a file that is none. */
function linesOf(path: string, text: string): string[] {
  const { faults } = parsePasswordFile(text);
  if (faults.length > 0) throw new ConfigError(faults.map((fault) => `${path}: ${fault}`));
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

function withUser(path: string, text: string, name: string, hash: string): string {
  const lines = linesOf(path, text);
  const at = lines.findIndex((line) => parsePasswordLine(line)?.name === name);
  lines.splice(at < 0 ? lines.length : at, at < 0 ? 0 : 1, `${name}:${hash}`);
  return `${lines.join('\n')}\n`;
}

async function remove(path: string, name: string): Promise<number> {
  await editFile(path, false, (text) => {
    const lines = linesOf(path, text);
    const left = lines.filter((line) => parsePasswordLine(line)?.name !== name);
    if (left.length === lines.length) {
      throw new ConfigError([`${path}: there is no user ${shown(name)}`]);
    }
    return left.map((line) => `${line}\n`).join('');
  });
  return 0;
}

/** Hashes what is not hashed; mosquitto_passwd would hash the hashes too. */
async function upgrade(path: string, { kind, iterations }: Hashing): Promise<number> {
  await editFile(path, false, async (text) => {
    const lines: string[] = [];
    for (const line of text.split('\n')) {
      const user = parsePasswordLine(line);
      const isHashed = user && typeof parsePasswordHash(user.hash) !== 'string';
      if (!user || isHashed || user.hash === '') {
        lines.push(line);
        continue;
      }
      const hash = await hashPassword(kind, user.hash, iterations);
      lines.push(`${user.name}:${formatPasswordHash(hash)}`);
    }
    const upgraded = lines.join('\n');
    linesOf(path, upgraded);
    return upgraded;
  });
  return 0;
}
