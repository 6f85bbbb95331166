import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Counters } from '../../../src/base/counters.js';
import { LIMIT_LOG_INTERVAL_MS } from '../../../src/base/limits.js';
import { LimitLog } from '../../../src/shard/limit-log.js';

test('the first client at a limit is told of at once, all others now and then', () => {
  let now = 0;
  const lines: object[] = [];
  const counters = new Counters();
  const line = { log: (_: string, fields: object) => void lines.push(fields) };
  const log = new LimitLog(counters, line, () => now);
  for (let n = 1; n <= 1_000; n++) log.note(Counter.overRate, `client-${n}`);
  log.note(Counter.refusedTopics, 'other');
  assert.deepEqual(lines, [
    { count: 1, lastClientId: 'client-1' },
    { count: 1, lastClientId: 'other' },
  ]);
  now = LIMIT_LOG_INTERVAL_MS - 1;
  log.onSecond();
  assert.equal(lines.length, 2);
  now = LIMIT_LOG_INTERVAL_MS;
  log.onSecond();
  log.onSecond();
  assert.deepEqual(lines.slice(2), [{ count: 999, lastClientId: 'client-1000' }]);
  assert.equal(counters.get(Counter.overRate), 1_000);
  assert.equal(counters.get(Counter.refusedTopics), 1);
});
