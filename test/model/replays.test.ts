/** A retained value that changes while somebody subscribes, all schedules: see replay-model.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { behind, explore } from './explore.js';
import { type ReplayOptions, replayModel } from './replay-model.js';

const STATES_MAX = 400_000;
/** The first value is on its way, and that the other subscriber is gone, when this one comes. */
const UNDER_WAY = [
  'PUBLISH',
  'shard 0: idle',
  'shard 0: handle',
  'the other one: UNSUBSCRIBE',
  'shard 2: idle',
  'shard 2: handle',
  'shard 2: flush',
  'SUBSCRIBE',
  'shard 2: idle',
];

function search(options: Partial<ReplayOptions>) {
  const { variant = 'as it is', publisher = 0, values = 1, areTwo = false } = options;
  const model = replayModel({ values, variant, publisher, areTwo });
  const isLong = values > 1 && !areTwo;
  return explore(isLong ? behind(model, UNDER_WAY) : model, STATES_MAX);
}

describe('a retained value that changes during a replay, all schedules', () => {
  for (const values of [1, 2]) {
    const what = values === 1 ? 'a value that changes' : 'one that changes twice';
    test(`of ${what} one comes as retained, the newest last, and each once`, () => {
      const { fault, states } = search({ values });
      assert.equal(fault, null);
      assert.ok(states > 10_000, `${states} states`);
    });
  }

  test("it is so where the publisher is on the subscriber's shard", () => {
    assert.equal(search({ publisher: 2 }).fault, null);
  });

  // What a third shard does not route yet is all that could be missed.
  for (const publisher of [1, 2] as const) {
    const where = publisher === 1 ? 'owner' : 'subscriber';
    test(`two shards may ask at once, with the publisher on that of the ${where}`, () => {
      const options = { publisher, areTwo: true, values: 2, variant: 'asked at once' } as const;
      const { fault, states } = search(options);
      assert.equal(fault, null);
      assert.ok(states > 1_000, `${states} states`);
    });
  }

  test('who is acknowledged before the answer gets nothing as retained', () => {
    assert.equal(search({ variant: 'live is newer' }).fault?.text, 'nothing comes as retained');
  });

  test('who asks before all shards route the filter keeps an old value', () => {
    const { fault } = search({ variant: 'asked at once' });
    assert.equal(fault?.text, 'the subscriber keeps an old value');
  });

  test('who asks at once and keeps what came before the confirmation keeps an old value', () => {
    const { fault } = search({ publisher: 1, areTwo: true, values: 2, variant: 'all is kept' });
    assert.equal(fault?.text, 'the subscriber keeps an old value');
  });

  test('who keeps nothing of what comes before the answer keeps an old value', () => {
    const { fault } = search({ variant: 'nothing is kept' });
    assert.equal(fault?.text, 'the subscriber keeps an old value');
  });

  test('who gets both the answer and what was kept gets a value twice', () => {
    assert.equal(search({ variant: 'kept ones come too' }).fault?.text, 'a value comes twice');
  });

  test('who gets live what comes before the answer gets it twice', () => {
    const { fault } = search({ variant: 'nothing is held back' });
    assert.equal(fault?.text, 'a value comes twice');
  });
});
