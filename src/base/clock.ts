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

/** Looks at both clocks of a thread that are tried, and how near to each other is near enough. */
const OFFSET_LOOKS = 100;
const OFFSET_GAP_MS = 0.005;

/**
 * From one clock to another, as exactly as they can be looked at one after the other. A thread that
 * is put off between two looks would be milliseconds away from all others for as long as it runs:
 * so the looks are taken that lie closest together.
 * @param own milliseconds; it is looked at before and behind `shared`.
 */
export function offsetBetween(own: () => number, shared: () => number): number {
  let offset = 0;
  let gap = Number.POSITIVE_INFINITY;
  for (let look = 0; look < OFFSET_LOOKS && gap > OFFSET_GAP_MS; look++) {
    const before = own();
    const there = shared();
    const behind = own();
    if (behind - before >= gap) continue;
    gap = behind - before;
    offset = there - (before + behind) / 2;
  }
  return offset;
}

/** From the clock of this thread to that of all threads of the machine. */
const SHARED_OFFSET_MS = offsetBetween(
  () => performance.now(),
  () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
);

/**
 * Milliseconds of a monotonic clock that all threads of a process share: since some moment of the
 * past, in fractions.
 */
export function sharedMs(): number {
  return performance.now() + SHARED_OFFSET_MS;
}

/**
 * A moment of `sharedMs` as what outlives the process: milliseconds of the date. 0, which is never,
 * stays 0.
 */
export function dateOf(shared: number): number {
  return shared === 0 ? 0 : Date.now() + shared - sharedMs();
}

/**
 * The way back, in whichever process: `dateOf` has given it. Whole milliseconds, as expiries are;
 * what was over before the machine began is over now, and not never.
 */
export function sharedOf(date: number): number {
  return date === 0 ? 0 : Math.max(1, Math.round(sharedMs() + date - Date.now()));
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
