/** A retained value that changes while somebody subscribes, all schedules: see replay-model.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { behind, explore } from './explore.js';
import { type ReplayVariant, replayModel } from './replay-model.js';

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

function search(variant: ReplayVariant, values: number) {
  const model = replayModel({ values, variant });
  return explore(values > 1 ? behind(model, UNDER_WAY) : model, STATES_MAX);
}

describe('a retained value that changes during a replay, all schedules', () => {
  for (const values of [1, 2]) {
    const what = values === 1 ? 'a value that changes' : 'one that changes twice';
    test(`of ${what} the newest comes last, and each once`, () => {
      const { fault, states } = search('tickets', values);
      assert.equal(fault, null);
      assert.ok(states > 10_000, `${states} states`);
    });
  }

  test('who takes what comes live for newer than the answer keeps an old value', () => {
    assert.equal(search('live is newer', 2).fault?.text, 'the subscriber keeps an old value');
  });

  test('who asks before all shards route the filter keeps an old value', () => {
    assert.equal(search('asked at once', 1).fault?.text, 'the subscriber keeps an old value');
  });

  test('who drops nothing of an answer gets a value twice', () => {
    assert.equal(search('nothing is dropped', 1).fault?.text, 'a value comes twice');
  });
});
