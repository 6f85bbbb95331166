/**
 * SCRAM-SHA-256 [RFC 5802, RFC 7677]: messages and keys of both sides, without I/O. Neither side
 * sends a password, and a server keeps none: what it keeps is of no use for logging in.
 *
 *   client-first  n,,n=user,r=NONCE          server-first  r=NONCEnonce,s=SALT,i=4096
 *   client-final  c=biws,r=NONCEnonce,p=…    server-final  v=…
 */
import { randomBytes } from 'node:crypto';
import { SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN, SCRAM_MESSAGE_BYTES_MAX } from './limits.js';
import { saslPrepared } from './sasl-prep.js';
import { deriveKey, hash, hmac, isEqual } from './scram-digest.js';

/** Name of the mechanism: the Authentication Method of MQTT 5.0. */
export const SCRAM_SHA_256 = 'SCRAM-SHA-256';
const HASH_BYTES = 32;
const NONCE_BYTES = 24;
/** No channel binding, no authorization identity; and as client-final has it, in base64. */
const GS2_HEADER = 'n,,';
const CHANNEL_BINDING = `c=${Buffer.from(GS2_HEADER).toString('base64')}`;
const PRINTABLE = /^[\x21-\x2b\x2d-\x7e]+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The other side does not keep to SCRAM, or is not who it says. */
export class ScramError extends Error {
  readonly code = 'SURGEMQ_SCRAM';
  constructor(message: string) {
    super(message);
    this.name = 'ScramError';
  }
}

/** What a server keeps of a user. */
export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ b[index]));
}

/**
 * SaltedPassword [RFC 5802, 3], computed beside the event loop.
 * @throws ScramError for a password that SASLprep does not allow.
 */
export function saltedPassword(
  password: string,
  salt: Buffer,
  iterations: number,
): Promise<Buffer> {
  const prepared = saslPrepared(password);
  if (prepared === null) throw new ScramError('the password has characters that it may not have');
  return deriveKey(prepared, salt, iterations, HASH_BYTES);
}

/** What a server is to keep of a password. @throws ScramError as `saltedPassword`. */
export async function scramKeys(
  password: string,
  salt: Buffer,
  iterations: number,
): Promise<ScramKeys> {
  const salted = await saltedPassword(password, salt, iterations);
  const storedKey = hash(hmac(salted, 'Client Key'));
  return { salt, iterations, storedKey, serverKey: hmac(salted, 'Server Key') };
}

/** A nonce that nobody has had before. */
export function scramNonce(): string {
  return randomBytes(NONCE_BYTES).toString('base64');
}

// ---- messages ----------------------------------------------------------------------------------

/** The attributes of a message, in their order. @throws ScramError */
function attributesOf(text: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const part of text.split(',')) {
    if (!/^[A-Za-z]=/.test(part) || attributes.has(part[0])) {
      throw new ScramError('a message is not a list of attributes');
    }
    attributes.set(part[0], part.slice(2));
  }
  // An extension that has to be understood, and there is none.
  if (attributes.has('m')) throw new ScramError('an extension is demanded that is not known here');
  return attributes;
}

function textOf(message: Buffer): string {
  if (message.length > SCRAM_MESSAGE_BYTES_MAX) throw new ScramError('a message is too long');
  return message.toString('utf8');
}

/** The value of an attribute that must be there. */
function checkedValue(attributes: ReadonlyMap<string, string>, name: string, form: RegExp): string {
  const value = attributes.get(name);
  if (value !== undefined && form.test(value)) return value;
  throw new ScramError(
    `attribute ${name} of a message is ${value === undefined ? 'missing' : 'wrong'}`,
  );
}

function bytesOf(attributes: ReadonlyMap<string, string>, name: string): Buffer {
  return Buffer.from(checkedValue(attributes, name, BASE64), 'base64');
}

/** A user name in a message, where `,` and `=` mean something else. */
function escaped(username: string): string {
  return username.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

function unescaped(text: string): string {
  if (/=(?!2C|3D)/.test(text)) throw new ScramError('a user name has an = that escapes nothing');
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

// ---- the two sides -----------------------------------------------------------------------------

/** The client's side of one exchange. */
export class ScramClient {
  readonly #password: string;
  readonly #nonce: string;
  readonly #firstBare: string;
  #serverSignature: Buffer | null = null;

  /** @throws ScramError for a user name that SASLprep does not allow. */
  constructor(username: string, password: string, nonce: string = scramNonce()) {
    const prepared = saslPrepared(username);
    if (prepared === null)
      throw new ScramError('the user name has characters that it may not have');
    this.#password = password;
    this.#nonce = nonce;
    this.#firstBare = `n=${escaped(prepared)},r=${nonce}`;
  }

  /** client-first-message. */
  first(): Buffer {
    return Buffer.from(`${GS2_HEADER}${this.#firstBare}`);
  }

  /**
   * The client-final-message that answers the server-first-message.
   * @throws ScramError for one that is wrong, or that asks for too few iterations or too many.
   */
  async final(serverFirst: Buffer): Promise<Buffer> {
    const text = textOf(serverFirst);
    const attributes = attributesOf(text);
    const nonce = checkedValue(attributes, 'r', PRINTABLE);
    const salt = bytesOf(attributes, 's');
    const iterations = Number(checkedValue(attributes, 'i', /^[1-9]\d{0,9}$/));
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ScramError('the server has not made the nonce its own');
    }
    if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX) {
      throw new ScramError(
        `the server asks for ${iterations} iterations; allowed: ${SCRAM_ITERATIONS_MIN} to ` +
          `${SCRAM_ITERATIONS_MAX}`,
      );
    }
    const salted = await saltedPassword(this.#password, salt, iterations);
    const withoutProof = `${CHANNEL_BINDING},r=${nonce}`;
    const authMessage = `${this.#firstBare},${text},${withoutProof}`;
    // A browser's digests are promises.
    const clientKey = await hmac(salted, 'Client Key');
    const proof = xor(clientKey, await hmac(await hash(clientKey), authMessage));
    this.#serverSignature = await hmac(await hmac(salted, 'Server Key'), authMessage);
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  /**
   * Reads the server-final-message.
   * @throws ScramError when the server does not know the user's keys: it is not who it says.
   */
  verify(serverFinal: Buffer): void {
    const attributes = attributesOf(textOf(serverFinal));
    const error = attributes.get('e');
    if (error !== undefined) throw new ScramError(`the server refuses: ${error}`);
    const signature = bytesOf(attributes, 'v');
    if (this.#serverSignature === null || !isEqual(signature, this.#serverSignature)) {
      throw new ScramError('the server does not prove that it knows the user');
    }
  }
}

/** The server's side of one exchange: `readFirst`, `first`, `final`, in this order. */
export class ScramServer {
  readonly #nonce: string;
  #firstBare = '';
  #channelBinding = '';
  #fullNonce = '';
  #serverFirst = '';
  #keys: ScramKeys | null = null;

  constructor(nonce: string = scramNonce()) {
    this.#nonce = nonce;
  }

  /** Reads the client-first-message. @returns the user's name. @throws ScramError */
  readFirst(clientFirst: Buffer): string {
    const text = textOf(clientFirst);
    // Whoever thinks that there is no channel binding here (y), or wants none (n), is right.
    const header = /^[ny],(?:a=[^,]+)?,/.exec(text)?.[0];
    if (header === undefined) throw new ScramError('channel binding is not offered');
    this.#channelBinding = `c=${Buffer.from(header).toString('base64')}`;
    this.#firstBare = text.slice(header.length);
    const attributes = attributesOf(this.#firstBare);
    this.#fullNonce = checkedValue(attributes, 'r', PRINTABLE) + this.#nonce;
    return unescaped(checkedValue(attributes, 'n', /^[^\0]+$/));
  }

  /**
   * The server-first-message for a user.
   * @param keys of the user; of one that does not exist made-up ones, always the same, so that
   *   nobody can find out who exists.
   */
  first(keys: ScramKeys): Buffer {
    this.#keys = keys;
    const { salt, iterations } = keys;
    this.#serverFirst = `r=${this.#fullNonce},s=${salt.toString('base64')},i=${iterations}`;
    return Buffer.from(this.#serverFirst);
  }

  /**
   * Checks the client-final-message.
   * @returns the server-final-message; null when the client does not know the password.
   * @throws ScramError for a message that is wrong.
   */
  final(clientFinal: Buffer): Buffer | null {
    const keys = this.#keys;
    const text = textOf(clientFinal);
    const attributes = attributesOf(text);
    const proof = bytesOf(attributes, 'p');
    const withoutProof = text.slice(0, text.lastIndexOf(',p='));
    const isOurs = withoutProof.startsWith(`${this.#channelBinding},r=${this.#fullNonce}`);
    if (keys === null || !isOurs || attributes.get('r') !== this.#fullNonce) {
      throw new ScramError('client-final-message does not continue its exchange');
    }
    if (proof.length !== HASH_BYTES) return null;
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const clientKey = xor(proof, hmac(keys.storedKey, authMessage));
    if (!isEqual(hash(clientKey), keys.storedKey)) return null;
    return Buffer.from(`v=${hmac(keys.serverKey, authMessage).toString('base64')}`);
  }
}
