import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonicMs } from '../../../src/base/clock.js';
import { LOOP_DELAY_SAMPLE_MS, LOOP_DELAY_WINDOW_SECONDS } from '../../../src/base/limits.js';
import { LoopDelay } from '../../../src/shard/loop-delay.js';

/** One that has looked once, at the time returned with it. */
function lookedOnce() {
  const delay = new LoopDelay();
  const now = monotonicMs();
  delay.look(now);
  delay.onSecond();
  for (let second = 0; second < LOOP_DELAY_WINDOW_SECONDS; second++) delay.onSecond();
  return { delay, now };
}

test('a look at its time finds no delay, a late one finds how late it is', () => {
  const { delay, now } = lookedOnce();
  delay.look(now + LOOP_DELAY_SAMPLE_MS);
  assert.equal(Math.round(delay.onSecond()), 0);
  delay.look(now + 2 * LOOP_DELAY_SAMPLE_MS + 150);
  assert.equal(Math.round(delay.onSecond()), 150);
});

test('a delay is told for a minute and then forgotten', () => {
  const { delay, now } = lookedOnce();
  delay.look(now + LOOP_DELAY_SAMPLE_MS + 70);
  for (let second = 0; second < LOOP_DELAY_WINDOW_SECONDS; second++) {
    assert.equal(Math.round(delay.onSecond()), 70, `after ${second} s`);
  }
  assert.equal(delay.onSecond(), 0);
});

test('a loop that is blocked shows it by itself', async () => {
  const delay = new LoopDelay();
  const seen: number[] = [];
  delay.start((lateMs) => seen.push(lateMs));
  try {
    const until = monotonicMs() + 100 + LOOP_DELAY_SAMPLE_MS;
    while (monotonicMs() < until);
    // The timer is long due: its callback comes before that of one that is set now.
    await new Promise((resolve) => setTimeout(resolve, 1));
    assert.ok(delay.onSecond() >= 100);
    assert.equal(seen[0], 0);
    assert.ok(Math.max(...seen) >= 100);
  } finally {
    delay.stop();
  }
});
