import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GroupCheck } from '../../bench/support/group-check.js';
import { type CheckKind, SequenceCheck } from '../../bench/support/sequence-check.js';

/** Faults after these sequences of publisher 5, the first of three, when `total` were sent. */
function faultsAfter(kind: CheckKind, sequences: readonly number[], total: number) {
  const check = new SequenceCheck(kind, 5, 3);
  for (const sequence of sequences) check.onUnexpected(5, sequence);
  const totals = new Float64Array(8);
  totals[5] = total;
  const isComplete = check.isComplete(totals);
  const faults = check
    .takeFaults('s', totals)
    .map(({ publisher, lost, duplicated, reordered }) => [publisher, lost, duplicated, reordered]);
  return { isComplete, faults };
}

test('in order and whole is no fault', () => {
  assert.deepEqual(faultsAfter('whole', [0, 1, 2], 3), { isComplete: true, faults: [] });
});

test('gaps, late and second messages are told apart', () => {
  assert.deepEqual(faultsAfter('whole', [0, 3, 2, 2, 4], 5).faults, [[5, 1, 1, 1]]);
});

test('what is missing at the end is lost', () => {
  assert.deepEqual(faultsAfter('whole', [0, 1], 4), { isComplete: false, faults: [[5, 2, 0, 0]] });
});

test('a fault is told once', () => {
  const check = new SequenceCheck('whole', 0, 1);
  const totals = new Float64Array([2]);
  assert.equal(check.takeFaults('s', totals).length, 1);
  assert.equal(check.takeFaults('s', totals).length, 0);
});

test('a subscriber that comes and goes misses what was sent meanwhile, and no more', () => {
  const check = new SequenceCheck('joined', 0, 1);
  const totals = new Float64Array([100]);
  for (const sequence of [10, 11]) check.onUnexpected(0, sequence);
  check.onJoin();
  for (const sequence of [20, 21]) check.onUnexpected(0, sequence);
  assert.deepEqual(check.takeFaults('s', totals), []);
  check.onUnexpected(0, 23);
  assert.equal(check.takeFaults('s', totals)[0]?.lost, 1);
});

test('a set is complete in any order, and a second copy is a fault', () => {
  assert.deepEqual(faultsAfter('set', [2, 0, 1], 3), { isComplete: true, faults: [] });
  assert.deepEqual(faultsAfter('set', [2, 0, 2], 3).faults, [[5, 1, 1, 0]]);
});

test('sequences wrap after 32 bits', () => {
  const check = new SequenceCheck('whole', 0, 1);
  check.next[0] = 0x7fff_ffff;
  for (const sequence of [0x7fff_ffff, -0x8000_0000]) check.onUnexpected(0, sequence);
  assert.deepEqual(check.takeFaults('s', new Float64Array([0x8000_0001])), []);
});

test('a message of a publisher outside the range is a fault', () => {
  const check = new SequenceCheck('whole', 5, 3);
  check.onUnexpected(4, 0);
  assert.equal(check.takeFaults('s', new Float64Array(8))[0]?.publisher, -1);
});

/** What two members of a group find after these sequences of each, of `total` sent. */
function sharedFaults(first: readonly number[], second: readonly number[], total: number) {
  const group = new GroupCheck(1);
  const members = [first, second].map((sequences) => {
    const check = new SequenceCheck('shared', 0, 1, group);
    for (const sequence of sequences) check.onUnexpected(0, sequence);
    return check;
  });
  const totals = new Float64Array([total]);
  const isComplete = members.every((check) => check.isComplete(totals));
  const faults = members.flatMap((check) =>
    check
      .takeFaults('s', totals)
      .map(({ lost, duplicated, reordered }) => [lost, duplicated, reordered]),
  );
  return { isComplete, faults };
}

test('a group that has each message once, in order at each member, is whole', () => {
  assert.deepEqual(sharedFaults([0, 3, 4], [1, 2], 5), { isComplete: true, faults: [] });
});

test('a message that no member has is lost once, one that two have is a duplicate', () => {
  assert.deepEqual(sharedFaults([0, 3], [1, 3], 4).faults, [
    [1, 0, 0],
    [0, 1, 0],
  ]);
});

test('a member that gets an earlier message after a later one has it out of order', () => {
  assert.deepEqual(sharedFaults([0, 3, 1], [2], 4), { isComplete: true, faults: [[0, 0, 1]] });
});
