import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Reconnect, reconnectDelayMs } from '../../../src/client/reconnect.js';

const policy = {
  reconnectMinDelayMs: 100,
  reconnectMaxDelayMs: 1_000,
  reconnectAttempts: Number.POSITIVE_INFINITY,
};

test('delays double up to the longest, and jitter takes up to half of each away', () => {
  const longest = [1, 2, 3, 4, 5, 6, 5_000].map((n) => reconnectDelayMs(policy, n, 1));
  assert.deepEqual(longest, [100, 200, 400, 800, 1_000, 1_000, 1_000]);
  const shortest = [1, 2, 3, 4, 5, 6, 5_000].map((n) => reconnectDelayMs(policy, n, 0));
  assert.deepEqual(shortest, [50, 100, 200, 400, 500, 500, 500]);
});

test('delays are spread at random', () => {
  const delays = new Set(Array.from({ length: 50 }, () => reconnectDelayMs(policy, 5)));
  assert(delays.size > 10, `${delays.size} different delays of 50`);
});

test('a connection that ends at once does not reset the delay, one that lasted does', (t) => {
  t.after(() => mock.restoreAll());
  let now = 0;
  mock.method(performance, 'now', () => now);
  const reconnect = new Reconnect(policy);
  const attempts: number[] = [];
  const next = (lastedMs: number): void => {
    reconnect.connected();
    now += lastedMs;
    attempts.push(reconnect.schedule(() => {}).attempt);
  };
  for (const lastedMs of [10_000, 1, 1, 1, 10_000, 1]) next(lastedMs);
  reconnect.stop();
  assert.deepEqual(attempts, [1, 2, 3, 4, 1, 2]);
});

test('attempts in a row are limited, and a connection lets them begin anew', () => {
  const reconnect = new Reconnect({ ...policy, reconnectAttempts: 2 });
  reconnect.schedule(() => {});
  assert(reconnect.isAllowed);
  reconnect.schedule(() => {});
  assert(!reconnect.isAllowed);
  reconnect.connected();
  assert(reconnect.isAllowed);
  reconnect.stop();
  const never = new Reconnect({ ...policy, reconnectAttempts: 0 });
  assert(!never.isAllowed);
});
