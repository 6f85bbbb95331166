/** A call of the library's user that waits: its promise, its time-out, its AbortSignal. */
import { TimeoutError } from '../base/errors.js';

/** Every call that waits for the server takes these. */
export interface CallOptions {
  /** Gives the call up: it rejects with the signal's reason. What was sent cannot be taken back. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the call rejects with a TimeoutError; 0 waits for ever. */
  readonly timeoutMs?: number | undefined;
}

/** The waiting side of one call. Its promise settles once; later attempts do nothing. */
export class Call {
  #resolve: (() => void) | null = null;
  #reject: ((error: unknown) => void) | null = null;
  #promise: Promise<void> | null = null;
  /** Ends the time-out and the watch on the signal; null when there is neither. */
  #release: (() => void) | null = null;

  /** Nobody waits, or waits any longer. */
  get isSettled(): boolean {
    return this.#reject === null;
  }

  /** The promise of the call: to be made once. */
  promise(): Promise<void> {
    this.#promise = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    return this.#promise;
  }

  /** A rejection that nobody awaits does not end the process; it has to be told otherwise. */
  quiet(): void {
    this.#promise?.catch(() => {});
  }

  /**
   * Rejects the call when its time is over or its signal fires, and calls `onGivenUp` then.
   * @param what the call in a few words, for the TimeoutError.
   */
  limit(
    options: CallOptions,
    timeoutMs: number,
    what: string,
    onGivenUp: (error: unknown) => void,
  ): void {
    const { signal } = options;
    const giveUp = (error: unknown): void => {
      this.fail(error);
      onGivenUp(error);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const onTimeout = (): void => {
      giveUp(new TimeoutError(`no answer to ${what} within ${timeoutMs} ms`));
    };
    const timer = timeoutMs > 0 ? setTimeout(onTimeout, timeoutMs) : undefined;
    signal?.addEventListener('abort', onAbort);
    this.#release = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  }

  /** Resolves the promise. */
  succeed(): void {
    const resolve = this.#resolve;
    this.#settle();
    resolve?.();
  }

  /** Rejects the promise. */
  fail(error: unknown): void {
    const reject = this.#reject;
    this.#settle();
    reject?.(error);
  }

  #settle(): void {
    this.#resolve = null;
    this.#reject = null;
    this.#promise = null;
    const release = this.#release;
    this.#release = null;
    release?.();
  }
}
