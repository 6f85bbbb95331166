import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListeningTime, monotonicMs, offsetBetween, Ticker } from '../../../src/base/clock.js';

test('a tick sets now and calls every callback with it, in the order they were added', () => {
  const ticker = new Ticker(10);
  const calls: string[] = [];
  ticker.add((now) => calls.push(`first ${now}`));
  ticker.add((now) => calls.push(`second ${now} ${ticker.now}`));
  ticker.tick(123);
  assert.deepEqual(calls, ['first 123', 'second 123 123']);
});

test('a started ticker ticks until it is stopped, and can be started again', async () => {
  const ticker = new Ticker(1);
  for (let round = 0; round < 2; round++) {
    const before = monotonicMs();
    await new Promise<void>((done) => {
      ticker.add(() => done());
      ticker.start();
      ticker.start();
    });
    ticker.stop();
    assert.ok(ticker.now >= before);
  }
});

test('listening time counts two intervals at most from tick to tick', () => {
  const listening = new ListeningTime(1_000, 10);
  let time = 1_000;
  for (const [later, now] of [
    [10, 1_010],
    [15, 1_025],
    [5_000, 1_045],
    [10, 1_055],
  ]) {
    time += later;
    assert.equal(listening.tick(time), now);
    assert.equal(listening.now, now);
  }
});

test('two clocks are compared where nothing came between the looks', () => {
  let own = 0;
  // Each look takes 0.01 ms, and the thread is put off by some in all but the fourth round.
  const putOff = [3, 7, 0.4, 0, 2];
  let round = 0;
  const look = () => {
    own += 0.01;
    return own;
  };
  const offset = offsetBetween(look, () => {
    const there = own + 1_000;
    own += putOff[round++ % putOff.length]!;
    return there;
  });
  assert.ok(Math.abs(offset - 1_000) < 0.02, `${offset}`);
});
