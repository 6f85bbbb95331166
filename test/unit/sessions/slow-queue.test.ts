/** The queue of a reader that is behind, by itself: what gives way, and in which form it leaves. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Rights } from '../../../src/access/rights.js';
import { sharedMs } from '../../../src/base/clock.js';
import { topicKeyOf } from '../../../src/sessions/delivery-form.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Receiver, type ReceiverLimits } from '../../../src/sessions/receiver.js';
import { SlowQueue, type SlowReceiver } from '../../../src/sessions/slow-queue.js';
import { passed } from '../../../src/sessions/window-form.js';
import { packetEnd, parsePublish } from '../../support/packets.js';
import { type Published5, parsePublish5 } from '../../support/packets5.js';
import { run5, runOf } from './frames.js';

const LIMITS = { maxQueuedMessages: 4, maxQueuedBytes: 10_000 };
/** The user property of `run5`. */
const KEPT = '2600016b000176';
const OF_3X: SlowReceiver = { receiver: null, rights: null };

function of5(limits: ReceiverLimits = {}): SlowReceiver {
  return { receiver: new Receiver(limits), rights: null };
}

function* packetsOf(bytes: Buffer): Generator<Buffer> {
  let rest = bytes;
  for (let end = packetEnd(rest); rest.length > 0 && end !== undefined; end = packetEnd(rest)) {
    yield rest.subarray(0, end);
    rest = rest.subarray(end);
  }
}

describe('a slow queue', () => {
  let total: QueuedTotal;
  const scratch = Buffer.alloc(100_000);
  beforeEach(() => {
    total = new QueuedTotal();
    passed.expired = 0;
    passed.tooLong = 0;
    passed.denied = 0;
  });

  function make(isLatest: boolean, limits = LIMITS): SlowQueue {
    return new SlowQueue(isLatest, total, limits);
  }

  /** Adds messages. @returns how many have given way. */
  function add(queue: SlowQueue, payloads: readonly string[], topic: string): number {
    const run = runOf(payloads, 1, topic);
    return queue.add(topicKeyOf(run), run, undefined, false);
  }

  function taken(queue: SlowQueue): string[] {
    return [...packetsOf(queue.take(OF_3X, scratch))].map((packet) => {
      const { topic, payload, qos } = parsePublish(packet);
      assert.equal(qos, 0);
      return `${topic}=${payload}`;
    });
  }

  test('has the oldest give way, whole runs, and leaves nothing when it is empty', () => {
    const queue = make(false);
    assert.equal(add(queue, ['1', '2'], 'a'), 0);
    assert.equal(add(queue, ['3'], 'b'), 0);
    assert.equal(add(queue, ['4', '5'], 'a'), 2);
    assert.equal(queue.length, 3);
    assert.deepEqual(taken(queue), ['b=3', 'a=4', 'a=5']);
    assert.deepEqual([queue.writtenCount, queue.length, total.bytes], [3, 0, 0]);
  });

  test('has the newest of each topic, in the turn of its first', () => {
    const queue = make(true);
    for (const n of ['1', '2', '3']) {
      const expected = n === '1' ? 0 : 1;
      assert.equal(add(queue, [n], 'a'), expected);
      assert.equal(add(queue, [n], 'b'), expected);
    }
    assert.deepEqual(taken(queue), ['a=3', 'b=3']);
    for (const topic of ['a', 'b', 'c', 'd']) add(queue, ['1'], topic);
    assert.equal(add(queue, ['1'], 'e'), 1);
    assert.deepEqual(taken(queue), ['b=1', 'c=1', 'd=1', 'e=1']);
    assert.equal(total.bytes, 0);
  });

  test('refuses what there is no room for, and has nothing of that topic then', () => {
    const queue = make(true, { maxQueuedMessages: 4, maxQueuedBytes: 40 });
    add(queue, ['1'], 'a');
    assert.equal(add(queue, ['x'.repeat(50)], 'a'), 2);
    assert.deepEqual([queue.length, total.bytes], [0, 0]);
    total.limit = 1;
    assert.equal(add(queue, ['1'], 'a'), 1);
  });

  test('lets go of everything when it is cleared', () => {
    const queue = make(false);
    add(queue, ['1', '2'], 'a');
    queue.clear();
    assert.deepEqual([queue.length, total.bytes], [0, 0]);
  });

  test('leaves in portions, the first that are to leave', () => {
    const queue = make(false, { maxQueuedMessages: 100, maxQueuedBytes: 1_000_000 });
    const payload = 'x'.repeat(30_000);
    for (let n = 0; n < 5; n++) add(queue, [payload], `${n}`);
    const portions: number[] = [];
    while (queue.length > 0) portions.push(taken(queue).length);
    assert.deepEqual(portions, [2, 2, 1]);
    // One that is longer than what it is laid out in has memory of its own.
    add(queue, ['x'.repeat(200_000)], 'long');
    assert.equal(taken(queue)[0]!.length, 200_005);
  });

  describe('of a 5.0 receiver', () => {
    function taken5(queue: SlowQueue, receiver: SlowReceiver): Published5[] {
      return [...packetsOf(queue.take(receiver, scratch))].map(parsePublish5);
    }

    test('leaves with properties, Subscription Identifiers and RETAIN', () => {
      const queue = make(false);
      queue.add('a/b', run5(['x', 'y']), [7, 8], true);
      const frames = taken5(queue, of5({ topicAliasMaximum: 10 }));
      assert.deepEqual(
        frames.map(({ payload, retain, qos }) => [payload, retain, qos]),
        [
          ['x', true, 0],
          ['y', true, 0],
        ],
      );
      for (const { topic, block } of frames) {
        // Without alias: what is behind it may still give way.
        assert.equal(topic, 'a/b');
        assert.equal(block.replace(KEPT, ''), '0b070b08');
        assert.ok(block.includes(KEPT));
      }
    });

    test('has of what expires what is left, and passes over what has expired', () => {
      const queue = make(false);
      queue.add('a/b', run5(['gone'], sharedMs() - 1), undefined, false);
      queue.add('a/b', run5(['here'], sharedMs() + 5_500), undefined, false);
      const frames = taken5(queue, of5());
      assert.deepEqual(
        frames.map(({ payload }) => payload),
        ['here'],
      );
      assert.match(frames[0]!.block, /0200000006|0200000005/);
      assert.deepEqual([passed.expired, queue.writtenCount], [1, 1]);
    });

    test('passes over what is longer than it takes, and what it may not read any more', () => {
      const queue = make(false);
      queue.add('a/b', run5(['x'.repeat(100), 'y']), undefined, false);
      const frames = taken5(queue, of5({ maximumPacketSize: 50 }));
      assert.deepEqual(
        frames.map(({ payload }) => payload),
        ['y'],
      );
      assert.deepEqual([passed.tooLong, queue.writtenCount], [1, 1]);
      queue.add('a/b', run5(['z']), undefined, false);
      const rights = { mayRead: () => false } as unknown as Rights;
      assert.deepEqual(taken5(queue, { ...of5(), rights }), []);
      assert.deepEqual([passed.denied, total.bytes], [1, 0]);
    });

    test('of 3.x is sent messages of 5.0 without their properties', () => {
      const queue = make(false);
      queue.add('a/b', run5(['x']), [1], false);
      assert.deepEqual(taken(queue), ['a/b=x']);
    });
  });
});
