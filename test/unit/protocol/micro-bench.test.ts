import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run as runRewrite } from '../../../bench/micro/protocol-rewrite.js';
import { run as runScan } from '../../../bench/micro/protocol-scan.js';

test('the micro-benches of the protocol layer run at their small size', () => {
  for (const results of [runScan('small'), runRewrite('small')]) {
    assert.ok(results.length > 0);
    for (const { name, operations, nanosecondsPerOperation } of results) {
      assert.ok(name.length > 0 && operations > 0 && nanosecondsPerOperation > 0, name);
    }
    assert.equal(new Set(results.map(({ name }) => name)).size, results.length);
  }
});
