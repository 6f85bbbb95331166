/** The timing wheel against a plain list of due times. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Deadline, Deadlines } from '../../../src/base/deadlines.js';
import { DEADLINES_MS_PER_TICK, STAMP_SLACK_MS, SWEEP_MS } from '../../../src/base/limits.js';

const DAY_MS = 86_400_000;

class Named extends Deadline {
  readonly name: number;
  constructor(name: number) {
    super();
    this.name = name;
  }
}

/** Deadlines of a clock that a test moves. */
class Bench {
  now: number;
  readonly told: number[] = [];
  readonly deadlines: Deadlines<Named>;
  onDue: (deadline: Named) => void = () => {};

  constructor(now: number, clock: () => number = () => 0) {
    this.now = now;
    const onDue = (deadline: Named): void => {
      assert.equal(deadline.isDeadlineSet, false);
      this.told.push(deadline.name);
      this.onDue(deadline);
    };
    this.deadlines = new Deadlines(now, onDue, clock);
  }

  /** Advances by ticks, as a shard does. */
  passUntil(time: number): void {
    while (this.now < time) {
      this.now = Math.min(time, this.now + SWEEP_MS);
      this.deadlines.advance(this.now);
    }
  }
}

describe('a deadline', () => {
  for (const delayMs of [1, 100, 1_500, 25_600, 10_000, 90_000, 7_200_000]) {
    test(`of ${delayMs} ms does not come early, and comes`, () => {
      for (const start of [0, 50, 123_456_789]) {
        const bench = new Bench(start);
        const deadline = new Named(1);
        bench.deadlines.set(deadline, start, delayMs);
        // It may have been stamped just before a tick that was as late as a tick may be.
        bench.passUntil(start + STAMP_SLACK_MS + delayMs - 1);
        assert.deepEqual(bench.told, []);
        bench.passUntil(start + STAMP_SLACK_MS + delayMs + 2 * SWEEP_MS);
        assert.deepEqual(bench.told, [1]);
      }
    });
  }

  test('of a week comes in the week, whatever is filed anew on the way', () => {
    const bench = new Bench(77);
    bench.deadlines.set(new Named(1), 77, 7 * DAY_MS);
    bench.deadlines.advance(7 * DAY_MS);
    assert.deepEqual(bench.told, []);
    bench.deadlines.advance(7 * DAY_MS + 77 + STAMP_SLACK_MS + SWEEP_MS);
    assert.deepEqual(bench.told, [1]);
  });

  test('further off than the wheels go waits there', () => {
    const bench = new Bench(0);
    const deadline = new Named(1);
    bench.deadlines.set(deadline, 0, 1_000_000 * DAY_MS);
    bench.deadlines.advance(DAY_MS);
    assert.equal(deadline.isDeadlineSet, true);
    deadline.cancelDeadline();
    assert.equal(bench.deadlines.size, 0);
  });

  test('that is long past comes at the next tick', () => {
    const bench = new Bench(10_000);
    bench.deadlines.set(new Named(1), 0, 1);
    assert.deepEqual(bench.told, []);
    bench.passUntil(10_000 + SWEEP_MS);
    assert.deepEqual(bench.told, [1]);
  });

  test('set again when it comes, or for another by its handler, comes again', () => {
    const bench = new Bench(0);
    const other = new Named(2);
    bench.onDue = (deadline) => {
      if (deadline === other || bench.told.length > 4) return;
      bench.deadlines.set(deadline, bench.now, 2_000);
      bench.deadlines.set(other, bench.now, 60_000);
      bench.deadlines.set(other, bench.now, 500);
    };
    bench.deadlines.set(new Named(1), 0, 1_000);
    bench.passUntil(20_000);
    assert.deepEqual(bench.told, [1, 2, 1, 2, 1]);
    assert.equal(bench.deadlines.size, 0);
  });

  test('of many at once takes its share of a tick only, and the rest later', () => {
    let clock = 0;
    const bench = new Bench(0, () => clock);
    bench.onDue = () => {
      clock += DEADLINES_MS_PER_TICK / 100;
    };
    const count = 1_000;
    for (let name = 0; name < count; name++) bench.deadlines.set(new Named(name), 0, 1_000);
    let most = 0;
    for (let ticks = 0; bench.deadlines.size > 0; ticks++) {
      assert.ok(ticks < 1_000);
      const before = bench.told.length;
      bench.passUntil(bench.now + SWEEP_MS);
      most = Math.max(most, bench.told.length - before);
    }
    assert.equal(bench.told.length, count);
    assert.ok(most <= 200, `${most} in a tick`);
  });
});

/** What a test does next. */
type Step =
  | { readonly do: 'set'; readonly name: number; readonly ago: number; readonly delayMs: number }
  | { readonly do: 'cancel'; readonly name: number }
  | { readonly do: 'pass'; readonly ms: number };

const NAMES = 12;
const name = fc.nat({ max: NAMES - 1 });
const delay = fc.oneof(
  fc.nat({ max: 2_000 }),
  fc.nat({ max: 60_000 }),
  fc.nat({ max: 10 * DAY_MS }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    name,
    ago: fc.nat({ max: 5_000 }),
    delayMs: delay,
  }),
  fc.record({ do: fc.constant('cancel' as const), name }),
  fc.record({
    do: fc.constant('pass' as const),
    ms: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 40_000 }), fc.nat({ max: 2 * DAY_MS })),
  }),
);

describe('deadlines', () => {
  test('come when they are due by a plain list, each once, in any order of calls', () => {
    const steps = fc.array(step, { maxLength: 60, size: 'max' });
    const property = fc.property(fc.nat({ max: 10 * DAY_MS }), steps, (start, list) => {
      const bench = new Bench(start);
      const nodes = Array.from({ length: NAMES }, (_, index) => new Named(index));
      const due = new Map<number, number>();
      bench.onDue = ({ name: told }) => {
        const at = due.get(told);
        assert.ok(at !== undefined && bench.now >= at, `${told} at ${bench.now}, due ${at}`);
        due.delete(told);
      };
      for (const next of list) {
        if (next.do === 'set') {
          const since = bench.now - next.ago;
          bench.deadlines.set(nodes[next.name], since, next.delayMs);
          due.set(next.name, Math.max(since + next.delayMs + STAMP_SLACK_MS, bench.now));
        } else if (next.do === 'cancel') {
          nodes[next.name].cancelDeadline();
          due.delete(next.name);
        } else {
          bench.now += next.ms;
          bench.deadlines.advance(bench.now);
          for (const [left, at] of due) {
            assert.ok(bench.now < at + 2 * SWEEP_MS, `${left} is due ${at}, now ${bench.now}`);
          }
        }
        assert.equal(bench.deadlines.size, due.size);
        for (const node of nodes) assert.equal(node.isDeadlineSet, due.has(node.name));
      }
    });
    fc.assert(property, { numRuns: 150 });
  });
});
