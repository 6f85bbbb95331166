/** The authenticator of a shard whose program decides about clients in its main thread. */
import type { Credentials } from '../base/credentials.js';
import type { Authenticator } from '../connection/authenticator.js';
import type { AuthenticationAnswer } from './control.js';
import type { PrimaryLine } from './primary-line.js';

interface Waiting {
  readonly askedAt: number;
  readonly resolve: (isAccepted: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** Asks the primary, a turn's questions in one message. One a shard. */
export class ProgramAuthenticator implements Authenticator {
  readonly #line: Pick<PrimaryLine, 'ask'>;
  readonly #clock: { readonly now: number };
  readonly #timeoutMs: number;
  /** In the order of the questions. */
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;

  /** @param timeoutMs after which nobody waits for an answer any more. */
  constructor(line: Pick<PrimaryLine, 'ask'>, clock: { readonly now: number }, timeoutMs: number) {
    this.#line = line;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Questions whose answers are still expected. */
  get waiting(): number {
    return this.#waiting.size;
  }

  authenticate({ clientId, username, password, remoteAddress }: Credentials): Promise<boolean> {
    this.#forgetOld();
    const id = ++this.#questions;
    // A copy of its own: of a view the whole buffer would be posted.
    const bytes = password === null ? null : new Uint8Array(password);
    this.#line.ask({ id, clientId, username, password: bytes, remoteAddress });
    const askedAt = this.#clock.now;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { askedAt, resolve, reject });
    });
  }

  /** The primary has asked the program. */
  onAnswers(answers: readonly AuthenticationAnswer[]): void {
    for (const { id, answer } of answers) {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) continue;
      this.#waiting.delete(id);
      if (typeof answer === 'boolean') waiting.resolve(answer);
      else waiting.reject(new Error(answer));
    }
  }

  /** Answers that never come: their clients have been told to come again. */
  #forgetOld(): void {
    for (const [id, { askedAt }] of this.#waiting) {
      if (this.#clock.now - askedAt <= 2 * this.#timeoutMs) return;
      this.#waiting.delete(id);
    }
  }
}
