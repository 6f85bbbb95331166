/** The authenticator of a shard whose program decides about clients in its main thread. */

import type { Authenticator } from '../access/authenticator.js';
import type { Credentials, Verdict } from '../base/credentials.js';
import type { AuthenticationAnswer } from './control.js';
import type { PrimaryLine } from './primary-line.js';

interface Waiting {
  readonly askedAt: number;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: Error) => void;
}

/** Asks the primary, a turn's questions in one message. One a shard. */
export class ProgramAuthenticator implements Authenticator {
  /** After so long nobody waits for an answer any more. */
  timeoutMs: number;
  readonly #line: Pick<PrimaryLine, 'ask'>;
  readonly #clock: { readonly now: number };
  /** In the order of the questions. */
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;

  constructor(line: Pick<PrimaryLine, 'ask'>, clock: { readonly now: number }, timeoutMs: number) {
    this.#line = line;
    this.#clock = clock;
    this.timeoutMs = timeoutMs;
  }

  /** Questions whose answers are still expected. */
  get waiting(): number {
    return this.#waiting.size;
  }

  authenticate(credentials: Credentials): Promise<Verdict> {
    const { clientId, username, password, remoteAddress } = credentials;
    const { listener = '', certificate = null } = credentials;
    this.#forgetOld();
    const id = ++this.#questions;
    // A copy of its own: of a view the whole buffer would be posted.
    const bytes = password === null ? null : new Uint8Array(password);
    const from = { remoteAddress, listener, certificate };
    this.#line.ask({ id, clientId, username, password: bytes, ...from });
    const askedAt = this.#clock.now;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { askedAt, resolve, reject });
    });
  }

  /** The primary has asked the program. */
  onAnswers(answers: readonly AuthenticationAnswer[]): void {
    for (const answer of answers) {
      const waiting = this.#waiting.get(answer.id);
      if (waiting === undefined) continue;
      this.#waiting.delete(answer.id);
      if ('fault' in answer) waiting.reject(new Error(answer.fault));
      else waiting.resolve(answer.verdict);
    }
  }

  /** Answers that never come: their clients have been told to come again. */
  #forgetOld(): void {
    for (const [id, { askedAt }] of this.#waiting) {
      if (this.#clock.now - askedAt <= 2 * this.timeoutMs) return;
      this.#waiting.delete(id);
    }
  }
}
