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

/** How long a body is run, first to warm the compiler up and then again to be timed. */
interface MicroEffort {
  readonly roundsMin: number;
  readonly milliseconds: number;
}

const EFFORT: Readonly<Record<MicroSize, MicroEffort>> = {
  small: { roundsMin: 1, milliseconds: 0 },
  large: { roundsMin: 5, milliseconds: 150 },
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
  const expected = body();
  bestRound(name, size, expected, body);
  const best = bestRound(name, size, expected, body);
  return { name, operations, nanosecondsPerOperation: best / operations };
}

/** Runs `body` as long as `size` asks for. @returns the nanoseconds of the shortest round. */
function bestRound(name: string, size: MicroSize, expected: number, body: () => number): number {
  const { roundsMin, milliseconds } = EFFORT[size];
  const start = process.hrtime.bigint();
  const until = start + BigInt(milliseconds) * 1_000_000n;
  let best = Number.POSITIVE_INFINITY;
  let from = start;
  for (let round = 0; round < roundsMin || from < until; round++) {
    from = process.hrtime.bigint();
    const result = body();
    const nanoseconds = Number(process.hrtime.bigint() - from);
    if (result !== expected) throw new Error(`${name}: ${result} after ${expected}`);
    if (nanoseconds < best) best = nanoseconds;
  }
  return best;
}
