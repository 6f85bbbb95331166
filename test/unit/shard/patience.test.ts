import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  SLOW_READERS_MINUTE_MS,
  SLOW_READERS_WAIT_MS,
  SWEEP_MS,
} from '../../../src/base/limits.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import type { Route, RouteCache } from '../../../src/router/route.js';
import { Impatience, Lag, Slowdown } from '../../../src/router/slowdown.js';
import { LastMinute, Patience } from '../../../src/shard/patience.js';

const HERE = 1;
const ID = 5;

describe('how long publishers wait for slow readers', () => {
  let patience: Patience;
  let now: number;
  /** What publishers were told: `id how shards`. */
  let told: string[];
  /** What was sent to other shards. */
  let sent: { kind: number; mask: number; id: number; word1: number; topic: string }[];
  let isGone: boolean;
  /** Topics with a reader here that keeps up. */
  let readers: Set<string>;
  let topics: string[];
  let shardMask: number;

  beforeEach(() => {
    now = 1_000_000;
    told = [];
    sent = [];
    isGone = false;
    readers = new Set();
    topics = ['a'];
    shardMask = 0;
    const publisher = (id: number) => ({
      slowDown: (how: Slowdown, shards: number) => void told.push(`${id} ${how} ${shards}`),
      recentRoutes: () => topics.map((topicKey) => ({ topicKey }) as Route),
    });
    const link = {
      send(kind: number, mask: number, id: number, word1: number, ...rest: unknown[]) {
        sent.push({ kind, mask, id, word1, topic: String(rest[2]) });
      },
    };
    const findKey = (topicKey: string) => {
      const slow = { outlet: { keepsUp: false } };
      const fast = { outlet: { keepsUp: readers.has(topicKey) } };
      return { shardMask, subscribers: [{ outlet: null }, slow, fast] };
    };
    patience = new Patience({
      link: link as unknown as PeerLink,
      routes: { findKey } as unknown as RouteCache,
      publishers: (id) => (isGone ? undefined : publisher(id)),
      clock: () => now,
      schedule: () => {},
    });
  });

  function ask(isOn: boolean, how: Slowdown = Slowdown.stopReading, from = HERE): void {
    patience.slowDown(from, ID, how, Lag.known, isOn);
  }

  function pass(ms: number): void {
    for (const until = now + ms; now < until; ) {
      now += SWEEP_MS;
      patience.onTick();
    }
  }

  test('without end while nobody else reads', () => {
    ask(true);
    pass(10 * SLOW_READERS_MINUTE_MS);
    ask(false);
    assert.deepEqual(told, ['5 2 2', '5 2 0']);
  });

  test('without end for readers that are behind for a moment only', () => {
    readers.add('a');
    for (let time = 0; time < 200; time++) {
      patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.none, true);
      pass(SLOW_READERS_WAIT_MS);
      patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.none, false);
    }
    assert.equal(patience.impatient.size, 0);
  });

  test('still for those when it does not wait for readers that lag', () => {
    readers.add('a');
    ask(true);
    pass(SLOW_READERS_WAIT_MS);
    told.length = 0;
    patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.none, true);
    pass(SLOW_READERS_MINUTE_MS);
    assert.deepEqual([told, patience.impatient.get(ID)], [['5 2 2'], Impatience.withLagging]);
  });

  test('for nobody when readers that kept up come to lag one after the other', () => {
    readers.add('a');
    for (let time = 0; time < 20; time++) {
      patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.none, true);
      pass(2 * SWEEP_MS);
      patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.none, false);
      patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.turned, true);
      pass(SWEEP_MS);
      patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.known, false);
    }
    assert.equal(patience.impatient.get(ID), Impatience.withAll);
    told.length = 0;
    patience.slowDown(HERE, ID, Slowdown.stopReading, Lag.none, true);
    assert.deepEqual(told, ['5 2 0']);
  });

  test('at most two seconds while others keep up, then their runs say so', () => {
    readers.add('a');
    ask(true);
    pass(SLOW_READERS_WAIT_MS - 2 * SWEEP_MS);
    assert.deepEqual([told, patience.impatient.size], [['5 2 2'], 0]);
    pass(SWEEP_MS);
    assert.deepEqual([told, [...patience.impatient]], [['5 2 2', '5 2 0'], [[ID, 1]]]);
    told.length = 0;
    ask(false);
    ask(true, Slowdown.holdAcks);
    pass(100 * SLOW_READERS_MINUTE_MS);
    assert.deepEqual([...new Set(told)], ['5 2 0', '5 1 0']);
  });

  test('those two seconds count together, whoever asks and for whatever', () => {
    readers.add('a');
    let heldMs = 0;
    for (let time = 0; time < 40; time++) {
      const how = time % 2 === 0 ? Slowdown.stopReading : Slowdown.holdAcks;
      ask(true, how, time % 3);
      if (patience.impatient.size === 0) heldMs += 100;
      now += 100;
      ask(false, how, time % 3);
      pass(400);
    }
    assert.equal(patience.impatient.size, 1);
    assert.ok(heldMs > SLOW_READERS_WAIT_MS / 2 && heldMs <= SLOW_READERS_WAIT_MS, `${heldMs} ms`);
  });

  test('again once the slow ones have kept up for a while', () => {
    readers.add('a');
    ask(true);
    pass(SLOW_READERS_WAIT_MS);
    ask(false);
    assert.equal(patience.impatient.size, 1);
    pass(SLOW_READERS_MINUTE_MS / 2);
    assert.equal(patience.impatient.size, 1);
    pass(SLOW_READERS_MINUTE_MS);
    assert.equal(patience.impatient.size, 0);
    told.length = 0;
    ask(true);
    assert.deepEqual(told, ['5 2 2']);
  });

  test('again as soon as those that ask are all it has', () => {
    readers.add('a');
    ask(true, Slowdown.stopReading, 0);
    ask(true, Slowdown.holdAcks);
    pass(SLOW_READERS_WAIT_MS);
    told.length = 0;
    readers.clear();
    pass(SLOW_READERS_WAIT_MS);
    assert.deepEqual([told, patience.impatient.size], [['5 1 2', '5 2 1'], 0]);
  });

  test('a topic that others keep up with counts, among all it has published last', () => {
    topics = ['a', 'b', 'c'];
    readers.add('c');
    ask(true);
    pass(SLOW_READERS_WAIT_MS);
    assert.equal(patience.impatient.size, 1);
  });

  test('readers on other shards count when they say so', () => {
    shardMask = 4;
    ask(true);
    for (let time = 0; time < 10; time++) {
      pass(2 * SWEEP_MS);
      patience.onReadersKeepUp(ID);
    }
    const { kind, mask, id, topic } = sent[0];
    assert.deepEqual([kind, mask, id, topic], [RecordKind.readersQuery, 4, ID, 'a']);
    assert.deepEqual(told, ['5 2 2', '5 2 0']);
  });

  test('a question is answered only when a reader here keeps up', () => {
    patience.onReadersQuery(2, ID, 'a');
    assert.deepEqual(sent, []);
    readers.add('a');
    patience.onReadersQuery(2, ID, 'a');
    const { kind, mask, id } = sent[0];
    assert.deepEqual([kind, mask, id], [RecordKind.readersKeepUp, 4, ID]);
  });

  test('a publisher held back by several shards goes on when the last lets it', () => {
    ask(true, Slowdown.stopReading, 0);
    ask(true, Slowdown.stopReading, 31);
    ask(false, Slowdown.stopReading, 0);
    ask(false, Slowdown.stopReading, 31);
    const both = (1 << 31) | 1;
    assert.deepEqual(told, ['5 2 1', `5 2 ${both}`, `5 2 ${1 << 31}`, '5 2 0']);
  });

  test('a publisher that was forgotten begins anew', () => {
    ask(true, Slowdown.holdAcks, 0);
    patience.forget(ID);
    ask(true, Slowdown.holdAcks, 2);
    assert.deepEqual(told, ['5 1 1', '5 1 4']);
    isGone = true;
    patience.forget(ID);
    ask(true, Slowdown.holdAcks, 2);
    ask(false, Slowdown.holdAcks, 2);
    patience.onReadersKeepUp(ID);
    assert.equal(told.length, 2);
  });

  test('publishers here do not wait for a shard that died', () => {
    ask(true, Slowdown.stopReading, 0);
    ask(true, Slowdown.stopReading, 2);
    patience.slowDown(2, 6, Slowdown.holdAcks, Lag.none, true);
    told.length = 0;
    patience.dropPeer(2);
    assert.ok(told.includes('5 2 1') && told.includes('6 1 0'), told.join());
    assert.ok(!told.includes('5 2 0'));
  });
});

test('what was spent in the last minute is forgotten slice by slice, and after any time', () => {
  const minute = new LastMinute();
  const from = 12_345_678;
  minute.add(from, 100);
  minute.add(from + 30_000, 10);
  assert.equal(minute.sum(from + 59_000), 110);
  assert.equal(minute.sum(from + 66_000), 10);
  minute.add(from + 66_000, 1);
  assert.equal(minute.sum(from + 10_000_000), 0);
});
