/** The digests of SCRAM-SHA-256, by node:crypto; a browser's client has others in their place. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const HASH = 'sha256';
const derive = promisify(pbkdf2);

/** HMAC of a text. */
export function hmac(key: Buffer, text: string): Buffer {
  return createHmac(HASH, key).update(text).digest();
}

export function hash(bytes: Buffer): Buffer {
  return createHash(HASH).update(bytes).digest();
}

/** PBKDF2, computed beside the event loop. @param length of the key in bytes. */
export function deriveKey(
  password: string,
  salt: Buffer,
  iterations: number,
  length: number,
): Promise<Buffer> {
  return derive(password, salt, iterations, length, HASH);
}

/** Whether bytes are the same, compared in a time that says nothing about where they differ. */
export function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
