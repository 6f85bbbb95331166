/**
 * Connections that had more to be handled than their share of a turn. The event loop does not poll
 * their sockets meanwhile: it would read each of them up to 32 times 256 KiB before the next, which
 * may be a client with one message. They are read here instead, in turn, for a bounded time of each
 * turn, until nothing more is there; quiet clients are polled, and served, in between.
 */
import { preciseMs } from '../base/clock.js';
import { BUSY_MS_PER_TURN, SHARE_MS_MIN } from '../base/turn-limits.js';

/** A connection, as far as it can be served in turn. */
export interface Servable {
  /**
   * Handles what was read, and reads on, for so many milliseconds.
   * @returns whether there is more to be done at once.
   */
  serve(milliseconds: number): boolean;
}

/** One a shard. */
export class BusyConnections {
  #waiting: Servable[] = [];
  readonly #flush: () => void;
  readonly #clock: () => number;

  /**
   * @param flush called when some were served: what they have brought is to go out.
   * @param clock in milliseconds with fractions; tests bring their own.
   */
  constructor(flush: () => void, clock: () => number = preciseMs) {
    this.#flush = flush;
    this.#clock = clock;
  }

  /** How many wait for their next share. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Adds one that is not here. */
  add(connection: Servable): void {
    this.#waiting.push(connection);
  }

  /**
   * Gives shares to those that wait, one each or fewer where time runs out, for BUSY_MS_PER_TURN in
   * all; the next turn goes on behind the last. @returns whether some wait for the next turn.
   */
  serve(): boolean {
    const waiting = this.#waiting;
    if (waiting.length === 0) return false;
    this.#waiting = [];
    const share = Math.max(SHARE_MS_MIN, BUSY_MS_PER_TURN / waiting.length);
    const end = this.#clock() + BUSY_MS_PER_TURN - SHARE_MS_MIN / 2;
    const again: Servable[] = [];
    let at = 0;
    while (at < waiting.length) {
      const connection = waiting[at++];
      if (connection.serve(share)) again.push(connection);
      if (this.#clock() >= end) break;
    }
    // What was added meanwhile has just had a share.
    this.#waiting = [...waiting.slice(at), ...this.#waiting, ...again];
    this.#flush();
    return this.#waiting.length > 0;
  }
}
