import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Run } from '../../../src/protocol/run.js';
import { HeldRuns } from '../../../src/sessions/held-runs.js';
import { numberedRun } from './frames.js';

test('a run is found at its place for as long as anybody holds it, whatever comes and goes', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.nat(1_000)), {
    maxLength: 300,
  });
  const property = fc.property(steps, (all) => {
    const held = new HeldRuns();
    const holds: { run: Run; place: number }[] = [];
    for (const [what, which] of all) {
      const known = holds[which % Math.max(1, holds.length)];
      if (what === 0 || known === undefined) {
        const run = numberedRun(0, 1);
        assert.equal(held.holdersOf(run), 0);
        holds.push({ run, place: held.hold(run) });
      } else if (what === 1) {
        holds.push({ run: known.run, place: held.hold(known.run) });
      } else {
        holds.splice(holds.indexOf(known), 1);
        const left = holds.filter(({ run }) => run === known.run).length;
        assert.equal(held.letGo(known.place), left);
        assert.equal(held.holdersOf(known.run), left);
      }
      for (const { run, place } of holds) assert.equal(held.at(place), run);
    }
  });
  fc.assert(property, { numRuns: 300 });
});

test('a run that two tables hold is let go of in each by itself', () => {
  const [one, other] = [new HeldRuns(), new HeldRuns()];
  const run = numberedRun(0, 1);
  other.hold(numberedRun(0, 1));
  const [first, second] = [one.hold(run), other.hold(run)];
  assert.deepEqual([one.at(first), other.at(second)], [run, run]);
  assert.equal(one.letGo(first), 0);
  assert.equal(other.at(second), run);
  assert.equal(other.letGo(second), 0);
});

test('thousands come and go in any order, and each is found where it is', () => {
  const held = new HeldRuns();
  for (const step of [1, 7, 1_999, 2_999]) {
    const runs = Array.from({ length: 3_000 }, () => numberedRun(0, 1));
    const places = runs.map((run) => held.hold(run));
    assert.equal(new Set(places).size, runs.length);
    for (let n = 0; n < runs.length - 1; n++) {
      const at = (n * step) % runs.length;
      assert.equal(held.at(places[at]), runs[at]);
      assert.equal(held.letGo(places[at]), 0);
    }
    const last = ((runs.length - 1) * step) % runs.length;
    // In its table, which is short again or not, others find their places.
    const more = Array.from({ length: 2_000 }, () => numberedRun(0, 1));
    const morePlaces = more.map((run) => held.hold(run));
    assert.equal(new Set([...morePlaces, places[last]]).size, more.length + 1);
    for (const place of morePlaces) held.letGo(place);
    assert.equal(held.letGo(places[last]), 0);
  }
});
