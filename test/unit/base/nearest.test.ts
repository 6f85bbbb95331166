import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, editDistance, nearestName } from '../../../src/base/nearest.js';

test('the distance is the least number of insertions, removals and replacements', () => {
  assert.equal(editDistance('', ''), 0);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('listen', 'listn'), 1);
  assert.equal(editDistance('sitting', 'kitten'), 3);
  assert.equal(editDistance('listne', 'listen'), 1);
});

test('the nearest name is the one that fewest edits make', () => {
  const known = ['workers', 'listen'];
  assert.equal(nearestName('wrokers', known), 'workers');
  assert.equal(nearestName('listening', known), 'listen');
  assert.equal(nearestName('listening', []), undefined);
});

test('a name that no slip makes of another is near to none', () => {
  const flags = ['--auth', '--listen', '--max-packet-bytes', '--log-level'];
  for (const far of ['--port', '-c', '-z', '--daemon', '--x']) {
    assert.equal(nearestName(far, flags), undefined, far);
  }
  assert.equal(nearestName('--lsiten', flags), '--listen');
  assert.equal(nearestName('--max-packet', flags), '--max-packet-bytes');
  // What all of them begin with makes none of them nearer.
  assert.equal(nearestName('SURGEMQ_FOO', ['SURGEMQ_AUTH']), undefined);
  assert.equal(nearestName('SURGEMQ_AUHT', ['SURGEMQ_AUTH']), 'SURGEMQ_AUTH');
});

test('the question is asked only when there is a name to ask about', () => {
  assert.equal(didYouMean('listn', ['listen']), '; did you mean listen?');
  assert.equal(didYouMean('listn', []), '');
});
