/** The digests of SCRAM-SHA-256 by a browser's Web Cryptography, which only secure pages have. */
const HASH = 'SHA-256';
const encoder = new TextEncoder();
const BITS_PER_BYTE = 8;

/** @throws Error on a page that came neither by https: nor from the same machine. */
function subtle(): typeof crypto.subtle {
  if (crypto.subtle !== undefined) return crypto.subtle;
  throw new Error('SCRAM in a browser needs a secure context: a page by https: or of localhost');
}

/** HMAC of a text. */
export async function hmac(key: Buffer, text: string): Promise<Buffer> {
  const algorithm = { name: 'HMAC', hash: HASH };
  const imported = await subtle().importKey('raw', key, algorithm, false, ['sign']);
  return Buffer.from(await subtle().sign('HMAC', imported, encoder.encode(text)));
}

export async function hash(bytes: Buffer): Promise<Buffer> {
  return Buffer.from(await subtle().digest(HASH, bytes));
}

/** PBKDF2. @param length of the key in bytes. */
export async function deriveKey(
  password: string,
  salt: Buffer,
  iterations: number,
  length: number,
): Promise<Buffer> {
  const key = await subtle().importKey('raw', encoder.encode(password), 'PBKDF2', false, [
    'deriveBits',
  ]);
  const algorithm = { name: 'PBKDF2', hash: HASH, salt, iterations };
  return Buffer.from(await subtle().deriveBits(algorithm, key, length * BITS_PER_BYTE));
}

/** Whether bytes are the same, compared in a time that says nothing about where they differ. */
export function isEqual(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let at = 0; at < a.length; at++) difference |= a[at] ^ b[at];
  return difference === 0;
}
