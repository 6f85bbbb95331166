/** When a lost connection is tried again: exponential back-off with jitter, one timer. */

/** Bounds of the delays and of the attempts. */
export interface ReconnectPolicy {
  readonly reconnectMinDelayMs: number;
  readonly reconnectMaxDelayMs: number;
  /** Attempts in a row before giving up; Infinity for never. */
  readonly reconnectAttempts: number;
}

/**
 * The delay before an attempt: doubled for each that failed, up to the longest, and of that a
 * random share between a half and all, so that the clients of a server that went down do not come
 * back at once.
 * @param attempt 1 for the first.
 * @param random between 0 and 1.
 */
export function reconnectDelayMs(
  policy: ReconnectPolicy,
  attempt: number,
  random: number = Math.random(),
): number {
  const { reconnectMinDelayMs, reconnectMaxDelayMs } = policy;
  // 2 ** 1024 is Infinity, which Math.min takes well.
  const delayMs = Math.min(reconnectMaxDelayMs, reconnectMinDelayMs * 2 ** (attempt - 1));
  return Math.round(delayMs * (0.5 + random / 2));
}

/**
 * A connection that lasted this many times the delay before it was a good one: delays begin anew.
 * One that was closed sooner was not, be it that the server accepts and closes at once, be it that
 * two clients with the same id take the session from each other.
 */
const GOOD_CONNECTION_FACTOR = 4;

/** Counts attempts and waits between them. */
export class Reconnect {
  readonly #policy: ReconnectPolicy;
  /** Doublings of the delay, plus one. */
  #attempt = 0;
  /** Attempts since the server last accepted one. */
  #failed = 0;
  #delayMs = 0;
  #connectedAtMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(policy: ReconnectPolicy) {
    this.#policy = policy;
  }

  /** Whether another attempt is allowed. */
  get isAllowed(): boolean {
    return this.#failed < this.#policy.reconnectAttempts;
  }

  /** The server accepted the connection. */
  connected(): void {
    this.#connectedAtMs = performance.now();
    this.#failed = 0;
  }

  /**
   * Calls `callback` after the delay of the next attempt.
   * @returns which attempt this will be since the last good connection, and the delay before it.
   */
  schedule(callback: () => void): { attempt: number; delayMs: number } {
    const lastedMs = performance.now() - this.#connectedAtMs;
    this.#connectedAtMs = Number.POSITIVE_INFINITY;
    if (lastedMs > this.#delayMs * GOOD_CONNECTION_FACTOR) this.#attempt = 0;
    this.#attempt++;
    this.#failed++;
    this.#delayMs = reconnectDelayMs(this.#policy, this.#attempt);
    this.#timer = setTimeout(callback, this.#delayMs);
    return { attempt: this.#attempt, delayMs: this.#delayMs };
  }

  /** Forgets the attempts and the one that is waited for. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#failed = 0;
    this.#delayMs = 0;
  }
}
