/**
 * Ring, sleep flag, doorbell and want-room flag under every schedule of a writer and its readers:
 * see sleep-model.ts. Each line that keeps a wake-up from being lost is left out once, to see that
 * the search would find that.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explore } from './explore.js';
import { type SleepMutation, type SleepOptions, sleepModel } from './sleep-model.js';

const STATES_MAX = 600_000;
const FOR_A = 1;
const FOR_B = 2;
const ONE_RECORD = { records: [FOR_A], capacity: 2, readers: 1 };
const FOR_ANOTHER = { records: [FOR_B, FOR_B], capacity: 1, readers: 2 };
const ONE_READER = { records: [FOR_A, FOR_A, FOR_A, FOR_A], capacity: 2, readers: 1 };
const TWO_READERS = { records: [FOR_A, FOR_B, FOR_A], capacity: 2, readers: 2 };

describe('ring, sleep flag and doorbell, all schedules', () => {
  test('a reader wakes for every record, and a writer for room', () => {
    const { fault, states } = explore(sleepModel(ONE_READER), STATES_MAX);
    assert.equal(fault, null);
    assert.ok(states > 500, `${states} states`);
  });

  test('a reader that nothing is for is rung before it keeps the ring full', () => {
    const { fault, states } = explore(sleepModel(TWO_READERS), STATES_MAX);
    assert.equal(fault, null);
    assert.ok(states > 5_000, `${states} states`);
  });

  const readerSleeps = 'a reader sleeps for ever beside a record';
  const writerWaits = 'the writer waits for room for ever';
  const needed: readonly (readonly [SleepMutation, string, SleepOptions])[] = [
    ['no second look', readerSleeps, ONE_RECORD],
    ['look before flag', readerSleeps, ONE_RECORD],
    ['flag before head', readerSleeps, ONE_RECORD],
    ['no second look for room', writerWaits, TWO_READERS],
    ['rings the concerned only', writerWaits, FOR_ANOTHER],
  ];
  for (const [mutation, text, options] of needed) {
    test(`with "${mutation}" the search finds that ${text}`, () => {
      const { fault } = explore(sleepModel({ ...options, mutation }), STATES_MAX);
      assert.equal(fault?.text, text);
    });
  }
});
