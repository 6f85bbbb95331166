/** What the sweeper finds in a shard that is made of no more than it looks at. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Counter, Counters } from '../../../src/base/counters.js';
import { DROPS_LOG_INTERVAL_MS, SWEEP_MS } from '../../../src/base/limits.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import type { Shard } from '../../../src/shard/shard.js';
import { Sweeper } from '../../../src/shard/sweeper.js';

describe('a sweeper', () => {
  let now: number;
  let lines: { level: string; fields: object }[];
  let counters: Counters;
  let sweeper: Sweeper;

  beforeEach(() => {
    now = SWEEP_MS;
    lines = [];
    counters = new Counters();
    const shard = {
      counters,
      store: null,
      sessionWatch: { inflightMessages: 0, queuedMessages: 0 },
      registry: { absentQueues: new AbsentQueues() },
      unfinished: { bytes: 0 },
      heavyOutboxes: new Set(),
      patience: { onTick() {} },
      config: {},
      line: { onSecond() {} },
      clientLog: { onSecond() {} },
      router: { drops: { tell() {} } },
      routes: { sweep() {} },
      loopDelay: { onSecond: () => 0 },
      log: (level: string, fields: object) => void lines.push({ level, fields }),
    };
    sweeper = new Sweeper(shard as unknown as Shard);
    sweeper.sweep(now);
  });

  function sweepFor(ms: number): void {
    for (const end = now + ms; now < end; ) {
      now += SWEEP_MS;
      sweeper.sweep(now);
    }
  }

  test('says at once that messages are not retained, and once in an interval how many', () => {
    sweepFor(SWEEP_MS);
    assert.deepEqual(lines, []);
    counters.set(Counter.retainedMessages, 7);
    counters.set(Counter.retainedBytes, 90);
    counters.add(Counter.droppedRetained, 2);
    sweepFor(SWEEP_MS);
    const kept = { retainedMessages: 7, retainedBytes: 90 };
    assert.deepEqual(lines.splice(0), [{ level: 'warn', fields: { dropped: 2, ...kept } }]);
    for (let n = 0; n < 10; n++) {
      counters.add(Counter.droppedRetained, 1);
      sweepFor(SWEEP_MS);
    }
    assert.deepEqual(lines, []);
    sweepFor(DROPS_LOG_INTERVAL_MS);
    assert.deepEqual(lines.splice(0), [{ level: 'warn', fields: { dropped: 10, ...kept } }]);
    sweepFor(2 * DROPS_LOG_INTERVAL_MS);
    assert.deepEqual(lines, []);
  });

  test('says the same of messages that do not fit what may wait for all clients', () => {
    counters.add(Counter.droppedTotalBytes, 5);
    sweepFor(SWEEP_MS);
    const kept = { queuedMessages: 0, queuedBytes: 0 };
    assert.deepEqual(lines.splice(0), [{ level: 'warn', fields: { dropped: 5, ...kept } }]);
    counters.add(Counter.droppedTotalBytes, 1);
    sweepFor(SWEEP_MS);
    assert.deepEqual(lines, []);
  });
});
