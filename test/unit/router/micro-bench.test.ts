import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run as runRing } from '../../../bench/micro/router-ring.js';

test('the micro-bench of the ring runs at its small size', () => {
  const results = runRing('small');
  assert.equal(results.length, 6);
  assert.equal(new Set(results.map(({ name }) => name)).size, results.length);
  for (const { name, operations, nanosecondsPerOperation } of results) {
    assert.ok(operations > 0 && nanosecondsPerOperation > 0, name);
  }
});
