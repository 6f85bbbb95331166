/**
 * Connections that had more to be handled than their share of a turn. The event loop does not poll
 * their sockets meanwhile: it would read each of them up to 32 times 256 KiB before the next, which
 * may be a client with one message. They are read here instead, in turn, for a bounded time of each
 * turn, until nothing more is there; quiet clients are polled, and served, in between.
 */
import { preciseMs } from '../base/clock.js';
import { SHARE_MS_MIN } from '../base/turn-limits.js';

/** A connection, as far as it can be served in turn. */
export interface Servable {
  /**
   * Handles what was read, and reads on, for so many milliseconds.
   * @returns whether there is more to be done at once.
   */
  serve(milliseconds: number): boolean;
  /**
   * Milliseconds that the event loop may take to read it, behind a `serve` that returned false: it
   * cannot be read in another way. 0: `serve` reads it.
   */
  readonly polledMs: number;
}

/** One a shard. */
export class BusyConnections {
  #waiting: Servable[] = [];
  readonly #busyMs: number;
  readonly #flush: () => void;
  readonly #clock: () => number;

  /**
   * @param busyMs of a turn, for all of them (busyMsPerTurn).
   * @param flush called when some were served: what they have brought is to go out.
   * @param clock in milliseconds with fractions; tests bring their own.
   */
  constructor(busyMs: number, flush: () => void, clock: () => number = preciseMs) {
    this.#busyMs = busyMs;
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
   * Gives the first of those that wait what this turn has for all of them, and what it leaves of
   * that to the next ones; the next turn goes on behind the last. One after the other, for long,
   * costs less than all of them for a moment: what a socket holds is read while it is still warm.
   * @returns whether some wait for the next turn.
   */
  serve(): boolean {
    const waiting = this.#waiting;
    if (waiting.length === 0) return false;
    this.#waiting = [];
    const again: Servable[] = [];
    let at = 0;
    let left = this.#busyMs;
    let end = this.#clock() + left;
    while (at < waiting.length && left >= (waiting[at].polledMs || SHARE_MS_MIN)) {
      const connection = waiting[at++];
      if (connection.serve(left)) again.push(connection);
      else end -= connection.polledMs;
      left = end - this.#clock();
    }
    // What was added meanwhile has just had a share.
    this.#waiting = [...waiting.slice(at), ...this.#waiting, ...again];
    this.#flush();
    return this.#waiting.length > 0;
  }
}
