import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { Counter, Counters } from '../../../src/base/counters.js';
import { MEMORY_LOOK_BYTES_MAX, MEMORY_LOOK_BYTES_MIN } from '../../../src/base/limits.js';
import { ClientProfile } from '../../../src/connection/client-profile.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { MemoryGuard, memoryGauge } from '../../../src/shard/memory-guard.js';
import { numberedRun } from '../sessions/frames.js';

const { config } = loadConfig({ workers: 1 }, {}, {});

describe('a memory guard', () => {
  let heapUsed: number;
  let isProcessShort: boolean;
  let lines: string[];
  let counters: Counters;
  let profile: ClientProfile;
  let guard: MemoryGuard;

  beforeEach(() => {
    heapUsed = 0.5;
    isProcessShort = false;
    lines = [];
    const gauge = {
      heap: () => ({ usedBytes: heapUsed * 1_000, limitBytes: 1_000 }),
    };
    const log = {
      log: (level: string, _: object, message: string) => lines.push(`${level} ${message}`),
    };
    counters = new Counters();
    const process = {
      get isShort() {
        return isProcessShort;
      },
    };
    profile = new ClientProfile('', null, config, true);
    guard = new MemoryGuard(profile, counters, log, process, gauge);
  });

  test('says once that memory is short, once that it is not, and not for every look', () => {
    guard.check();
    assert.deepEqual([guard.isShort, lines], [false, []]);
    heapUsed = 0.9;
    for (let looks = 0; looks < 3; looks++) guard.check();
    assert.deepEqual([guard.isShort, lines.length], [true, 1]);
    assert.equal(counters.get(Counter.shortOfMemory), 1);
    assert.match(lines[0]!, /^warn a worker is short of memory.*--max-old-space-size/);
    // Just below where it began: everything that is taken again would end it at once.
    heapUsed = 0.84;
    guard.check();
    assert.deepEqual([guard.isShort, lines.length], [true, 1]);
    heapUsed = 0.6;
    for (let looks = 0; looks < 3; looks++) guard.check();
    assert.deepEqual([guard.isShort, lines.length], [false, 2]);
    assert.equal(counters.get(Counter.shortOfMemory), 0);
    assert.match(lines[1]!, /^info memory is no longer short/);
  });

  test('looks at the process too: buffers are on no heap', () => {
    isProcessShort = true;
    guard.check();
    assert.equal(guard.isShort, true);
    assert.match(lines[0]!, /^warn the process is short of memory.*maxQueuedTotalBytes/);
  });

  test('lets nothing wait for absent clients meanwhile, and what waits stays', () => {
    const session = new Session(
      'away',
      Number.POSITIVE_INFINITY,
      4,
      1,
      profile,
      new AbsentQueues(),
    );
    assert.equal(session.enqueue(numberedRun(1, 3), 1, false), 0);
    heapUsed = 0.9;
    guard.check();
    assert.equal(session.enqueue(numberedRun(1, 3), 1, false), 3);
    assert.equal(session.window?.queuedMessages, 3);
    heapUsed = 0.1;
    guard.check();
    assert.equal(session.enqueue(numberedRun(1, 3), 1, false), 0);
    assert.equal(session.window?.queuedMessages, 6);
  });

  test('looks when much was read, though the time for it has not come', () => {
    heapUsed = 0.9;
    guard.onRead(MEMORY_LOOK_BYTES_MIN - 1);
    assert.equal(guard.isShort, false);
    guard.onRead(MEMORY_LOOK_BYTES_MIN);
    assert.equal(guard.isShort, true);
    heapUsed = 0.1;
    guard.onRead(MEMORY_LOOK_BYTES_MIN + MEMORY_LOOK_BYTES_MAX);
    assert.equal(guard.isShort, false);
  });

  test('has a real gauge, by which this thread has enough', () => {
    for (const { usedBytes, limitBytes } of [memoryGauge.heap()]) {
      assert.ok(usedBytes > 1_000_000 && usedBytes < limitBytes, `${usedBytes} of ${limitBytes}`);
    }
  });
});
