/**
 * Hashed passwords as they stand in a password file: those of Mosquitto, unchanged, and two of our
 * own. All of them are verified beside the event loop.
 *
 *   $6$SALT$HASH                  SHA-512 of password and salt          mosquitto_passwd -H sha512
 *   $7$101$SALT$HASH              PBKDF2 of SHA-512, 101 iterations     mosquitto_passwd
 *   $scrypt$ln=14,r=8,p=1$SALT$HASH                                     surgemq passwd
 *   $scram-sha-256$4096$SALT$STORED$SERVER   RFC 5802, RFC 7677         surgemq passwd --scram
 */
import {
  createHash,
  pbkdf2,
  randomBytes,
  type ScryptOptions,
  scrypt,
  timingSafeEqual,
  webcrypto,
} from 'node:crypto';
import { promisify } from 'node:util';
import {
  HASH_ITERATIONS_MAX,
  PBKDF2_ITERATIONS,
  SCRAM_ITERATIONS_MAX,
  SCRAM_ITERATIONS_MIN,
  SCRYPT_BYTES_MAX,
  SCRYPT_LOG_N,
} from '../base/limits.js';
import { ScramError, type ScramKeys, scramKeys } from '../base/scram.js';

/** The kinds of hash. */
export const HASH_KINDS = ['scrypt', 'sha512-pbkdf2', 'sha512', 'scram'] as const;
export type HashKind = (typeof HASH_KINDS)[number];

/** A hash in parts. */
export type PasswordHash =
  | { readonly kind: 'sha512'; readonly salt: Buffer; readonly hash: Buffer }
  | {
      readonly kind: 'sha512-pbkdf2';
      readonly iterations: number;
      readonly salt: Buffer;
      readonly hash: Buffer;
    }
  | {
      readonly kind: 'scrypt';
      /** Logarithm of the cost N. */
      readonly logN: number;
      readonly blockSize: number;
      readonly parallelization: number;
      readonly salt: Buffer;
      readonly hash: Buffer;
    }
  | { readonly kind: 'scram'; readonly keys: ScramKeys };

const SHA512_BYTES = 64;
const SCRYPT_HASH_BYTES = 32;
const SALT_BYTES = 16;
/** Mosquitto reads no other. */
const MOSQUITTO_SALT_BYTES = 12;
const SHA256_BYTES = 32;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const ITERATIONS = /^[1-9]\d{0,8}$/;
const SCRYPT_COSTS = /^ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})$/;

const derive = promisify(pbkdf2);
const deriveByScrypt = promisify<Buffer | string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** A hash as it stands in a file; a text that says what is wrong with it where it is none. */
export function parsePasswordHash(text: string): PasswordHash | string {
  const [before, kind, ...parts] = text.split('$');
  if (before !== '' || kind === undefined) return 'it is not hashed';
  switch (kind) {
    case '6':
      return parseSha512(parts);
    case '7':
      return parsePbkdf2(parts);
    case 'scrypt':
      return parseScrypt(parts);
    case 'scram-sha-256':
      return parseScram(parts);
    default:
      return `there is no hash $${/^[\w-]{1,20}$/.test(kind) ? kind : '…'}$ here`;
  }
}

/** Base64 with its padding or without; null for what is none, or has another length. */
function bytesOf(text: string | undefined, length?: number): Buffer | null {
  if (text === undefined || text === '' || !BASE64.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return length === undefined || bytes.length === length ? bytes : null;
}

function iterationsOf(text: string | undefined, max: number): number | null {
  const iterations = ITERATIONS.test(text ?? '') ? Number(text) : 0;
  return iterations >= 1 && iterations <= max ? iterations : null;
}

function parseSha512(parts: readonly string[]): PasswordHash | string {
  const salt = bytesOf(parts[0]);
  const hash = bytesOf(parts[1], SHA512_BYTES);
  if (salt === null || hash === null || parts.length !== 2) return 'it is not $6$salt$hash';
  return { kind: 'sha512', salt, hash };
}

function parsePbkdf2(parts: readonly string[]): PasswordHash | string {
  const iterations = iterationsOf(parts[0], HASH_ITERATIONS_MAX);
  const salt = bytesOf(parts[1]);
  const hash = bytesOf(parts[2], SHA512_BYTES);
  if (iterations === null || salt === null || hash === null || parts.length !== 3) {
    return `it is not $7$iterations$salt$hash, with 1 to ${HASH_ITERATIONS_MAX} iterations`;
  }
  return { kind: 'sha512-pbkdf2', iterations, salt, hash };
}

function parseScrypt(parts: readonly string[]): PasswordHash | string {
  const costs = SCRYPT_COSTS.exec(parts[0] ?? '');
  const salt = bytesOf(parts[1]);
  const hash = bytesOf(parts[2], SCRYPT_HASH_BYTES);
  if (costs === null || salt === null || hash === null || parts.length !== 3) {
    return 'it is not $scrypt$ln=…,r=…,p=…$salt$hash';
  }
  const [logN, blockSize, parallelization] = costs.slice(1).map(Number);
  const parsed = { kind: 'scrypt', logN, blockSize, parallelization, salt, hash } as const;
  const isAnything = logN >= 1 && blockSize >= 1 && parallelization >= 1;
  if (!isAnything || memoryOf(parsed) > SCRYPT_BYTES_MAX) {
    return `to verify it would take more than ${SCRYPT_BYTES_MAX} bytes of memory, or none`;
  }
  return parsed;
}

function parseScram(parts: readonly string[]): PasswordHash | string {
  const iterations = iterationsOf(parts[0], SCRAM_ITERATIONS_MAX);
  const salt = bytesOf(parts[1]);
  const storedKey = bytesOf(parts[2], SHA256_BYTES);
  const serverKey = bytesOf(parts[3], SHA256_BYTES);
  const areKeys = salt !== null && storedKey !== null && serverKey !== null;
  if (iterations === null || iterations < SCRAM_ITERATIONS_MIN || !areKeys || parts.length !== 4) {
    const least = `with ${SCRAM_ITERATIONS_MIN} iterations at least`;
    return `it is not $scram-sha-256$iterations$salt$stored$server, ${least}`;
  }
  return { kind: 'scram', keys: { iterations, salt, storedKey, serverKey } };
}

/** Bytes that scrypt needs, as Node counts them. */
function memoryOf(costs: { logN: number; blockSize: number; parallelization: number }): number {
  return 128 * costs.blockSize * (2 ** costs.logN + costs.parallelization + 2);
}

/** A hash as it stands in a file. */
export function formatPasswordHash(hash: PasswordHash): string {
  const base64 = (bytes: Buffer): string => bytes.toString('base64');
  const bare = (bytes: Buffer): string => base64(bytes).replace(/=+$/, '');
  switch (hash.kind) {
    case 'sha512':
      return `$6$${base64(hash.salt)}$${base64(hash.hash)}`;
    case 'sha512-pbkdf2':
      return `$7$${hash.iterations}$${base64(hash.salt)}$${base64(hash.hash)}`;
    case 'scrypt': {
      const { logN, blockSize, parallelization, salt } = hash;
      const costs = `ln=${logN},r=${blockSize},p=${parallelization}`;
      return `$scrypt$${costs}$${bare(salt)}$${bare(hash.hash)}`;
    }
    default: {
      const { iterations, salt, storedKey, serverKey } = hash.keys;
      const keys = [salt, storedKey, serverKey].map(base64).join('$');
      return `$scram-sha-256$${iterations}$${keys}`;
    }
  }
}

/** What verifying a hash costs: the same for all hashes that say the same. */
export function costOf(hash: PasswordHash): string {
  switch (hash.kind) {
    case 'sha512':
      return hash.kind;
    case 'sha512-pbkdf2':
      return `${hash.kind} ${hash.iterations}`;
    case 'scrypt':
      return `${hash.kind} ${hash.logN} ${hash.blockSize} ${hash.parallelization}`;
    default:
      return `${hash.kind} ${hash.keys.iterations}`;
  }
}

/** A hash that costs what `like` costs, and that no password has. */
export function hashOfNobody(like: PasswordHash): PasswordHash {
  if (like.kind !== 'scram') return { ...like, hash: randomBytes(like.hash.length) };
  const keys = { storedKey: randomBytes(SHA256_BYTES), serverKey: randomBytes(SHA256_BYTES) };
  return { kind: 'scram', keys: { ...like.keys, ...keys } };
}

/** Whether it is the hash of `password`, worked out in libuv's threads. */
export async function verifyPassword(hash: PasswordHash, password: Buffer): Promise<boolean> {
  if (hash.kind !== 'scram') return timingSafeEqual(await digestOf(hash, password), hash.hash);
  try {
    const { salt, iterations, storedKey } = hash.keys;
    // Its text: SCRAM knows no other passwords.
    const keys = await scramKeys(password.toString(), salt, iterations);
    return timingSafeEqual(keys.storedKey, storedKey);
  } catch (error) {
    if (error instanceof ScramError) return false;
    throw error;
  }
}

async function digestOf(
  hash: Exclude<PasswordHash, { kind: 'scram' }>,
  password: Buffer,
): Promise<Buffer> {
  const { salt } = hash;
  switch (hash.kind) {
    case 'sha512':
      return Buffer.from(await webcrypto.subtle.digest('SHA-512', Buffer.concat([password, salt])));
    case 'sha512-pbkdf2':
      return derive(password, salt, hash.iterations, SHA512_BYTES, 'sha512');
    default: {
      const { logN, blockSize: r, parallelization: p } = hash;
      const costs = { N: 2 ** logN, r, p, maxmem: memoryOf(hash) };
      return deriveByScrypt(password, salt, SCRYPT_HASH_BYTES, costs);
    }
  }
}

/**
 * Hashes a password with a salt of its own.
 * @param iterations of the kinds that have them; without it, as many as this broker thinks fit.
 * @throws ScramError for a password that SCRAM does not allow.
 */
export async function hashPassword(
  kind: HashKind,
  password: string,
  iterations?: number,
): Promise<PasswordHash> {
  const isMosquitto = kind === 'sha512' || kind === 'sha512-pbkdf2';
  const salt = randomBytes(isMosquitto ? MOSQUITTO_SALT_BYTES : SALT_BYTES);
  const bytes = Buffer.from(password);
  switch (kind) {
    case 'sha512': {
      const hash = createHash('sha512').update(bytes).update(salt).digest();
      return { kind, salt, hash };
    }
    case 'sha512-pbkdf2': {
      const rounds = iterations ?? PBKDF2_ITERATIONS;
      const hash = await derive(bytes, salt, rounds, SHA512_BYTES, 'sha512');
      return { kind, iterations: rounds, salt, hash };
    }
    case 'scrypt': {
      const costs = { kind, logN: SCRYPT_LOG_N, blockSize: 8, parallelization: 1, salt } as const;
      const empty = { ...costs, hash: Buffer.alloc(0) };
      return { ...costs, hash: await digestOf(empty, bytes) };
    }
    default:
      return { kind, keys: await scramKeys(password, salt, iterations ?? SCRAM_ITERATIONS_MIN) };
  }
}
