/**
 * What every micro-bench gives back, and the one way in which they take time. Printing is the
 * caller's.
 */

/** One measured thing. */
export interface MicroResult {
  /** What was done and in which shape, such as `scan 64 B QoS 0, one topic`. */
  readonly name: string;
  /** Operations in one timed round (messages, matches, records: whatever the name says). */
  readonly operations: number;
  /** Time of one operation in the best round: the one least disturbed by other programs. */
  readonly nanosecondsPerOperation: number;
}

/** `small` proves in a few milliseconds that a bench still works; `large` measures. */
export type MicroSize = 'small' | 'large';

/** How often a body is run: rounds that only warm the compiler up, then timed ones. */
export interface MicroRounds {
  readonly warmup: number;
  readonly timed: number;
}

const ROUNDS: Readonly<Record<MicroSize, MicroRounds>> = {
  small: { warmup: 1, timed: 1 },
  large: { warmup: 20, timed: 20 },
};

/**
 * Times `body`, which does `operations` operations a call, and keeps the best of several rounds.
 * `body` returns a number that depends on its work, so that the compiler cannot leave it out.
 * @throws Error when two rounds give different numbers: the bench does not do what it says.
 */
export function measure(
  name: string,
  size: MicroSize,
  operations: number,
  body: () => number,
): MicroResult {
  const { warmup, timed } = ROUNDS[size];
  const expected = body();
  for (let round = 0; round < warmup; round++) body();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < timed; round++) {
    const from = process.hrtime.bigint();
    const result = body();
    const nanoseconds = Number(process.hrtime.bigint() - from);
    if (result !== expected) throw new Error(`${name}: ${result} after ${expected}`);
    if (nanoseconds < best) best = nanoseconds;
  }
  return { name, operations, nanosecondsPerOperation: best / operations };
}
