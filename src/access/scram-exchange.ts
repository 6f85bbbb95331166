/** SCRAM-SHA-256 [RFC 7677] as a method of enhanced authentication, over a list of users. */
import { createHmac, randomBytes } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import type { Admission } from '../base/credentials.js';
import { SCRAM_ITERATIONS_MIN } from '../base/limits.js';
import { ScramError, type ScramKeys, ScramServer } from '../base/scram.js';
import { admissionOf } from './admission.js';
import type { AuthenticationVerdict, ServerExchange } from './authenticator.js';

const SECRET_NAME = 'surgemq-scram-secret';
const SECRET_BYTES = 32;
const SALT_BYTES = 16;
const NO_DATA: Buffer = Buffer.alloc(0);

/** What need not be said. */
export interface ScramChoices {
  /** Iterations that users seem to have whom there is not; default 4,096. */
  readonly iterations?: number;
  /** Who a user is let in as; default: by its name. */
  readonly admit?: (username: string) => Admission;
}

/**
 * One exchange, for `begin` of an authenticator.
 * @param keysOf what is kept of a user, null for one that there is not: made with `scramKeys`, best
 *   with the least iterations (4,096).
 */
export function scramSha256Exchange(
  keysOf: (username: string) => ScramKeys | null | Promise<ScramKeys | null>,
  { iterations = SCRAM_ITERATIONS_MIN, admit = admissionOf }: ScramChoices = {},
): ServerExchange {
  const scram = new ScramServer();
  let username: string | null = null;

  async function answer(data: Buffer): Promise<AuthenticationVerdict> {
    if (username === null) {
      username = scram.readFirst(data);
      const keys = (await keysOf(username)) ?? keysOfNobody(username, iterations);
      return { result: 'continue', data: scram.first(keys) };
    }
    const final = scram.final(data);
    if (final === null) return { result: 'refuse' };
    return { result: 'accept', data: final, admission: admit(username) };
  }

  return {
    async continue(data) {
      try {
        return await answer(data ?? NO_DATA);
      } catch (error) {
        if (error instanceof ScramError) return { result: 'refuse' };
        throw error;
      }
    },
  };
}

/** What a user has that there is not: always the same, so that nobody finds out. */
function keysOfNobody(username: string, iterations: number): ScramKeys {
  const secret = scramSecret();
  const derive = (what: string): Buffer =>
    createHmac('sha256', secret).update(`${what}:${username}`).digest();
  return {
    salt: derive('salt').subarray(0, SALT_BYTES),
    iterations,
    storedKey: derive('stored key'),
    serverKey: derive('server key'),
  };
}

/** Of this process: threads that are started later have it too, so that all tell the same. */
export function scramSecret(): Buffer {
  const known: unknown = getEnvironmentData(SECRET_NAME);
  if (typeof known === 'string') return Buffer.from(known, 'hex');
  const secret = randomBytes(SECRET_BYTES);
  setEnvironmentData(SECRET_NAME, secret.toString('hex'));
  return secret;
}
