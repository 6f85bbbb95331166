/** What the client uses of Node's modules, for browsers: the bundle has it in their place. */
import { Buffer } from './buffer.js';

export { Buffer } from './buffer.js';
export { EventEmitter } from './event-emitter.js';

const strict = new TextDecoder('utf-8', { fatal: true });
/** Bytes that a browser makes at once [Web Cryptography API, 10.1.1]. */
const RANDOM_BYTES_MAX = 65_536;

/** Of node:buffer. */
export function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Of node:crypto. */
export function randomFillSync<T extends Uint8Array | Int32Array>(target: T): T {
  const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
  for (let at = 0; at < bytes.length; at += RANDOM_BYTES_MAX) {
    crypto.getRandomValues(bytes.subarray(at, at + RANDOM_BYTES_MAX));
  }
  return target;
}

/** Of node:crypto. */
export function randomBytes(length: number): Buffer {
  return randomFillSync(Buffer.alloc(length));
}

/** Of node:net: a browser does not connect from an address that it is told. */
export function isIP(): number {
  return 0;
}
