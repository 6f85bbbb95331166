import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../../bench/micro/topics-match.js';

test('the micro-bench of matching runs, and a filter takes less than 400 bytes', () => {
  const results = run('small');
  assert.equal(new Set(results.map(({ name }) => name)).size, results.length);
  for (const { name, operations, nanosecondsPerOperation } of results) {
    assert.ok(operations > 0 && nanosecondsPerOperation > 0, name);
  }
  const most = results.reduce((a, b) => (b.filters > a.filters ? b : a));
  assert.equal(most.filters, 10_000);
  assert.ok(most.bytesPerFilter > 0 && most.bytesPerFilter < 400, `${most.bytesPerFilter} bytes`);
});
