/**
 * Coarse time: one timer a thread serves every time-out in it, and a `now` that costs a property
 * read.
 */

/**
 * A monotonic clock in whole milliseconds since the process began; never goes back, unlike the
 * date.
 */
export function monotonicMs(): number {
  return Math.floor(performance.now());
}

/**
 * The same clock with its fractions: what shares of a turn are measured with. A call takes some 40
 * ns.
 */
export function preciseMs(): number {
  return performance.now();
}

/** Called at every tick with the time of the tick, in milliseconds of the monotonic clock. */
export type TickCallback = (now: number) => void;

/**
 * One interval timer for all time-outs of a thread (deadlines.ts): a timer object each would cost
 * more memory than the rest of an idle connection.
 */
export class Ticker {
  /**
   * Time of the last tick, in milliseconds of the monotonic clock; up to `intervalMs` old, more
   * under load.
   */
  now: number = monotonicMs();
  readonly intervalMs: number;
  readonly #callbacks: TickCallback[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param intervalMs milliseconds between ticks, and so the coarseness of `now`. */
  constructor(intervalMs: number) {
    this.intervalMs = intervalMs;
  }

  /** Calls `callback` at every tick from now on, in the order they were added. */
  add(callback: TickCallback): void {
    this.#callbacks.push(callback);
  }

  /** Starts ticking; does nothing when it ticks already. Keeps the thread alive until stopped. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.now = monotonicMs();
    this.#timer = setInterval(() => this.tick(), this.intervalMs);
  }

  /** Stops ticking; `start` begins again. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One tick at once: what the timer calls; tests call it with a time of their own. */
  tick(now: number = monotonicMs()): void {
    this.now = now;
    for (const callback of this.#callbacks) callback(now);
  }
}

/**
 * Time in which a thread was there to listen, for what is expected of others: each tick adds what
 * has passed, but two intervals at most. What others sent while the thread was busy it cannot have
 * read, and must not hold against them; and what happens before a tick is at most two intervals
 * younger than the `now` it is stamped with.
 */
export class ListeningTime {
  /** In milliseconds: begins with the thread's clock, and falls behind it. */
  now: number;
  readonly #stepMax: number;
  #tickedAt: number;

  /** @param time milliseconds of a clock that never goes back. */
  constructor(time: number, intervalMs: number) {
    this.now = time;
    this.#tickedAt = time;
    this.#stepMax = 2 * intervalMs;
  }

  /** A tick at `time`. @returns `now`. */
  tick(time: number): number {
    this.now += Math.min(time - this.#tickedAt, this.#stepMax);
    this.#tickedAt = time;
    return this.now;
  }
}
