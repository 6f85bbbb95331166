/** Keys that tokens are verified with, and which algorithms each of them may be used for. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { JWT_SECRET_BYTES_MIN } from '../base/limits.js';

/** What a key file holds. */
export type JwtKey =
  | { readonly kind: 'secret'; readonly secret: Uint8Array; readonly algorithms: readonly string[] }
  | { readonly kind: 'public'; readonly key: KeyObject; readonly algorithms: readonly string[] }
  | { readonly kind: 'set'; readonly keys: object; readonly algorithms: readonly string[] };

const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'];
const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const EDWARDS_ALGORITHMS = ['EdDSA', 'Ed25519'];
const CURVE_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
/** Of a set, whose keys each say for which of them they are. None is of a secret's. */
export const PUBLIC_ALGORITHMS: readonly string[] = [
  ...RSA_ALGORITHMS,
  ...Object.values(CURVE_ALGORITHMS),
  ...EDWARDS_ALGORITHMS,
];
/** RFC 7518, 3.3. */
const RSA_BITS_MIN = 2_048;

/**
 * Reads a key file: a public key or certificate (PEM), a set of keys (JWKS), or else a secret.
 * The kind of the key says which algorithms a token may name: so nobody has a public key taken for
 * a secret, or no key at all.
 * @returns a text that says what is wrong with a file that is none of these.
 */
export function readJwtKey(text: string): JwtKey | string {
  const trimmed = text.trim();
  if (/PRIVATE KEY-----/.test(trimmed)) return 'it is a private key: tokens need the public one';
  if (trimmed.startsWith('-----BEGIN ')) return readPem(trimmed);
  if (trimmed.startsWith('{')) return readSet(trimmed);
  const secret = Buffer.from(trimmed);
  if (secret.length < JWT_SECRET_BYTES_MIN) {
    return `a secret must have ${JWT_SECRET_BYTES_MIN} bytes at least`;
  }
  return { kind: 'secret', secret, algorithms: SECRET_ALGORITHMS };
}

function readPem(text: string): JwtKey | string {
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch {
    return 'it is no public key that can be read';
  }
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength < RSA_BITS_MIN) return `its ${modulusLength} bits are too few`;
      return { kind: 'public', key, algorithms: RSA_ALGORITHMS };
    case 'ec':
      if (!Object.hasOwn(CURVE_ALGORITHMS, namedCurve)) return `its curve is ${namedCurve}`;
      return { kind: 'public', key, algorithms: [CURVE_ALGORITHMS[namedCurve]] };
    case 'ed25519':
      return { kind: 'public', key, algorithms: EDWARDS_ALGORITHMS };
    default:
      return `keys of type ${key.asymmetricKeyType} verify no tokens`;
  }
}

function readSet(text: string): JwtKey | string {
  let set: { readonly keys?: unknown } | null;
  try {
    set = JSON.parse(text) as typeof set;
  } catch {
    return 'it begins as JSON and is none';
  }
  const keys = set?.keys;
  if (!Array.isArray(keys) || keys.length === 0) return 'it is no set of keys (JWKS)';
  const isPublic = keys.every(
    (key) => typeof key === 'object' && key !== null && !('d' in key) && !('k' in key),
  );
  if (!isPublic) return 'a set must have public keys alone';
  return { kind: 'set', keys: set as object, algorithms: PUBLIC_ALGORITHMS };
}

/** What is wrong with the text of a key file, a line each. */
export function checkJwtKey(text: string): readonly string[] {
  const key = readJwtKey(text);
  return typeof key === 'string' ? [key] : [];
}
