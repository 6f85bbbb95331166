/** A run with a lost, duplicated or reordered message says so, and between whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellNotes } from '../../bench/support/report-text.js';
import { hasPassed } from '../../bench/support/results.js';
import { FakeBroker, type Mischief } from './fake-broker.js';
import { LOSING, runTiny } from './tiny.js';

/** Totals of the faults of one run of `one` and `fan-in`, with no warm-up: 300 messages each. */
async function faultsOf(mischief: Mischief, qos = '0') {
  await using broker = new FakeBroker(mischief);
  const port = await broker.listen();
  const [cell] = await runTiny(['one'], port, { warmup: '0', qos, ...LOSING });
  const [{ faults }] = cell.rounds;
  assert.equal(hasPassed({ cells: [cell] }), faults.length === 0);
  return { faults, notes: cellNotes(cell).filter((note) => !note.startsWith('warning')) };
}

test('a run in which every message arrives once and in order passes', async () => {
  assert.deepEqual(await faultsOf(() => 'send'), { faults: [], notes: [] });
});

test('a lost message fails the run and is named with its publisher and subscriber', async () => {
  const { faults, notes } = await faultsOf((index) => (index === 100 ? 'lose' : 'send'));
  assert.equal(faults.length, 1);
  const { publisher, subscriber, lost, duplicated, reordered } = faults[0];
  assert.deepEqual([publisher, lost, duplicated, reordered], [0, 1, 0, 0]);
  assert.match(notes[0], /^FAILED: one, tested: 1 messages lost, 0 duplicated, 0 reordered/);
  assert.match(notes[1], new RegExp(`from publisher 0 to ${subscriber}: 1 lost`));
});

test('messages lost at the end are found when nothing comes any more', async () => {
  const { faults } = await faultsOf((index) => (index >= 290 ? 'lose' : 'send'));
  assert.deepEqual(
    faults.map(({ lost }) => lost),
    [10],
  );
});

test('a duplicated message fails the run', async () => {
  const { faults } = await faultsOf((index) => (index === 7 ? 'double' : 'send'));
  assert.deepEqual(
    faults.map(({ lost, duplicated, reordered }) => [lost, duplicated, reordered]),
    [[0, 1, 0]],
  );
});

test('two messages in the wrong order fail the run', async () => {
  const { faults } = await faultsOf((index) => (index === 200 ? 'swap' : 'send'));
  assert.deepEqual(
    faults.map(({ lost, duplicated, reordered }) => [lost, duplicated, reordered]),
    [[0, 0, 1]],
  );
});

test('a lost message is found too when the publisher waits for acks that never come', async () => {
  // The fake broker answers QoS 1 with nothing: the publisher stops at its window.
  const { faults } = await faultsOf((index) => (index === 3 ? 'lose' : 'send'), '1');
  assert.equal(faults[0]?.lost, 1);
});
