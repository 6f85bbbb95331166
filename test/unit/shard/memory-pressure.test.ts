import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Counter, Counters } from '../../../src/base/counters.js';
import { PAUSED_PUBLISHERS_READ } from '../../../src/base/limits.js';
import { createMemoryWord, MemoryLevel } from '../../../src/base/memory-level.js';
import { type Connection, Pause } from '../../../src/connection/connection.js';
import { MemoryPressure } from '../../../src/shard/memory-pressure.js';
import type { Shard } from '../../../src/shard/shard.js';

/** What a connection is to it. */
class FakeConnection {
  lastRoute: object | null;
  isClosed = false;
  pauses = 0;
  constructor(isPublisher: boolean) {
    this.lastRoute = isPublisher ? {} : null;
  }
  pause(reason: number): void {
    this.pauses |= reason;
  }
  unpause(reason: number): void {
    this.pauses &= ~reason;
  }
}

describe('a shard under pressure', () => {
  const publishers = Array.from({ length: 3 * PAUSED_PUBLISHERS_READ }, () => {
    return new FakeConnection(true);
  });
  const reader = new FakeConnection(false);
  let word: Int32Array;
  let counters: Counters;
  let pressure: MemoryPressure;
  let shed: number;
  let turns: number;
  let now: number;

  beforeEach(() => {
    shed = 0;
    turns = 0;
    now = 0;
    for (const each of publishers) each.pauses = 0;
    const all = [...publishers, reader].map((each, id) => [id, each] as const);
    const shard = {
      connections: new Map(all),
      heavyOutboxes: new Set([{ shed: () => shed++ }]),
      schedule: () => turns++,
    };
    const buffer = createMemoryWord();
    word = new Int32Array(buffer);
    counters = new Counters();
    pressure = new MemoryPressure(shard as unknown as Shard, counters, buffer);
  });

  function setLevel(level: number): void {
    word[0] = level;
    now += 100;
    pressure.onTick(now);
  }

  const waiting = () => publishers.filter(({ pauses }) => pauses === Pause.memory).length;

  test('sheds for readers that are behind, and replays later, from high on', () => {
    assert.deepEqual([pressure.shedsQos0, pressure.delaysReplays], [false, false]);
    setLevel(MemoryLevel.high);
    assert.deepEqual([pressure.shedsQos0, pressure.delaysReplays, shed], [true, true, 1]);
    assert.deepEqual([pressure.isShort, waiting()], [false, 0]);
    setLevel(MemoryLevel.short);
    assert.deepEqual([pressure.isShort, waiting()], [true, 0]);
    turns = 0;
    setLevel(MemoryLevel.ample);
    assert.deepEqual([pressure.shedsQos0, pressure.delaysReplays, turns], [false, false, 1]);
  });

  test('reads from no publisher at critical but for some in turn, and from all behind it', () => {
    word[0] = MemoryLevel.critical;
    // The first read that sees it has all of them wait.
    pressure.onRead(publishers[0] as unknown as Connection);
    assert.equal(waiting(), publishers.length);
    assert.equal(reader.pauses, 0);
    const read = new Set<FakeConnection>();
    for (let n = 0; n < 3; n++) {
      setLevel(MemoryLevel.critical);
      const free = publishers.filter(({ pauses }) => pauses === 0);
      assert.equal(free.length, PAUSED_PUBLISHERS_READ);
      for (const each of free) {
        read.add(each);
        pressure.onRead(each as unknown as Connection);
        assert.equal(each.pauses, Pause.memory);
      }
    }
    assert.equal(read.size, publishers.length, 'each once');
    assert.equal(counters.get(Counter.pausedForMemory), 2 * publishers.length);
    setLevel(MemoryLevel.short);
    assert.equal(waiting(), 0);
  });

  test('says what waits in its outboxes', () => {
    pressure.outboxes.bytes = 77;
    setLevel(MemoryLevel.ample);
    assert.equal(counters.get(Counter.outboxBytes), 77);
    pressure.outboxes.limit = 77;
    assert.equal(pressure.shedsQos0, true);
  });
});
