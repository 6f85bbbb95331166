/** Windows whose oldest messages give way to newer ones, or all but the newest of each topic. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SlowConsumerPolicy } from '../../../src/base/slow-consumer-policy.js';
import { OutgoingWindow, type WindowLimits } from '../../../src/sessions/outgoing-window.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { fillFrames, numberedRun, runOf } from './frames.js';

const LIMITS = { maxInflight: 4, maxQueuedMessages: 10, maxQueuedBytes: 10_000 };

function windowOf(policy: SlowConsumerPolicy, own: Partial<WindowLimits> = {}, keepsSent = true) {
  const total = new QueuedTotal();
  const limits = { ...LIMITS, slowConsumerPolicy: policy, outboxBytes: 60, ...own };
  return { window: new OutgoingWindow(limits, keepsSent, total), total };
}

/** Sends all that the window may, acknowledged at once. @returns the payloads. */
function drain(window: OutgoingWindow): number[] {
  const payloads: number[] = [];
  while (window.sendable) {
    for (const { packetId, payload } of fillFrames(window)) {
      payloads.push(Number(payload));
      assert.equal(window.onPuback(packetId), true);
    }
  }
  return payloads;
}

describe('a window of the policy drop-oldest', () => {
  test('that is full has the newest, and what is in flight stays', () => {
    const { window, total } = windowOf('drop-oldest');
    window.enqueue(numberedRun(0, 4), 1, false, true);
    const sent = fillFrames(window);
    assert.equal(sent.length, 4);
    let displaced = 0;
    for (let n = 4; n < 30; n++) {
      assert.equal(window.enqueue(numberedRun(n, 1), 1, false), 0);
      displaced += window.displaced;
    }
    assert.deepEqual([window.queuedMessages, displaced], [10, 16]);
    for (const { packetId } of sent) window.onPuback(packetId);
    assert.deepEqual(drain(window), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    assert.equal(total.bytes, 0);
  });

  test('loses the rest of a run that was sent in part, and takes the last of one too long', () => {
    const { window, total } = windowOf('drop-oldest');
    window.enqueue(numberedRun(0, 8), 1, false);
    const sent = fillFrames(window);
    assert.deepEqual(
      sent.map(({ payload }) => Number(payload)),
      [0, 1, 2, 3],
    );
    // Two are done: the run stays for the other two.
    for (const { packetId } of sent.slice(0, 2)) window.onPuback(packetId);
    assert.equal(window.enqueue(numberedRun(8, 50), 1, false), 0);
    assert.deepEqual([window.displaced, window.queuedMessages], [4 + 40, 10]);
    // The two that are not acknowledged are sent again behind a reconnect.
    window.beginResend();
    const again = fillFrames(window);
    assert.deepEqual(
      again.map(({ payload, dup }) => [Number(payload), dup]),
      [
        [2, true],
        [3, true],
        [48, false],
        [49, false],
      ],
    );
    for (const { packetId } of again) window.onPuback(packetId);
    assert.deepEqual(drain(window), [50, 51, 52, 53, 54, 55, 56, 57]);
    assert.equal(total.bytes, 0);
  });

  test('keeps what waits while nothing may wait any more', () => {
    const { window } = windowOf('drop-oldest');
    window.enqueue(numberedRun(0, 5), 1, false);
    window.limits = { ...window.limits, maxQueuedMessages: 0 };
    assert.equal(window.enqueue(numberedRun(5, 3), 1, false), 3);
    assert.deepEqual([window.queuedMessages, window.displaced], [5, 0]);
  });

  test('goes by bytes as well, and refuses what is larger than all of them', () => {
    const { window } = windowOf('drop-oldest', { maxQueuedBytes: 40 });
    for (let n = 0; n < 9; n++) window.enqueue(runOf([`${n}`.padEnd(8)]), 1, false);
    assert.equal(window.enqueue(runOf(['x'.repeat(50)]), 1, false), 1);
    assert.deepEqual(drain(window), [7, 8]);
  });

  for (const keepsSent of [true, false]) {
    test(`loses no other message, whatever happens (keeps sent: ${keepsSent})`, () => {
      const step = fc.tuple(
        fc.constantFrom('enqueue', 'enqueue', 'enqueue', 'fill', 'ack', 'ack'),
        fc.integer({ min: 1, max: 14 }),
      );
      const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { window, total } = windowOf('drop-oldest', {}, keepsSent);
        let next = 0;
        let lost = 0;
        const unacknowledged: number[] = [];
        const received: number[] = [];
        const fill = (room: number) => {
          for (const { packetId, payload } of fillFrames(window, room)) {
            unacknowledged.push(packetId);
            received.push(Number(payload));
          }
        };
        const ack = (at: number) => {
          const [packetId] = unacknowledged.splice(at % unacknowledged.length, 1);
          assert.equal(window.onPuback(packetId!), true);
        };
        for (const [what, n] of steps) {
          if (what === 'enqueue') {
            lost += window.enqueue(numberedRun(next, n), 1, false) + window.displaced;
            next += n;
            assert.ok(window.queuedMessages <= LIMITS.maxQueuedMessages);
          } else if (what === 'fill') {
            fill(n * 12);
          } else if (unacknowledged.length > 0) {
            ack(n);
          }
          assert.equal(received.length + window.queuedMessages + lost, next);
        }
        for (fill(10_000); unacknowledged.length > 0; fill(10_000)) ack(0);
        assert.equal(received.length + lost, next);
        assert.deepEqual(
          received,
          received.toSorted((a, b) => a - b),
        );
        if (next > 0) assert.equal(received.at(-1), next - 1);
        assert.deepEqual([window.queuedBytes, window.inflightBytes, total.bytes], [0, 0, 0]);
      });
      fc.assert(property, { numRuns: 200 });
    });
  }
});

describe('a window of the policy latest', () => {
  const topicOf = (value: number) => `topic/${value % 3}`;

  test('keeps the newest of each topic alone once more waits than an outbox may hold', () => {
    const { window, total } = windowOf('latest', { maxQueuedMessages: 1_000 });
    let displaced = 0;
    // Some 12 bytes each: the first six wait as ever.
    for (let n = 0; n < 300; n++) {
      window.enqueue(runOf([`${n}`], 1, topicOf(n)), 1, false);
      displaced += window.displaced;
    }
    const payloads: number[] = [];
    const target = Buffer.alloc(10_000);
    while (window.sendable) {
      const end = window.fill(target, 0, target.length, 0);
      for (let at = 0; at < end; at += 2 + target[at + 1]!) {
        const frame = target.subarray(at, at + 2 + target[at + 1]!);
        payloads.push(Number(frame.toString('latin1', 2 + 2 + 7 + 2)));
        window.onPuback(frame.readUInt16BE(2 + 2 + 7));
      }
    }
    // In the turn of the first of each: the first of 297 to 299 came when there was room no more.
    assert.deepEqual(payloads.slice(0, 4), [0, 1, 2, 3]);
    assert.deepEqual(
      payloads.slice(-3).toSorted((a, b) => a - b),
      [297, 298, 299],
    );
    assert.equal(payloads.length + displaced, 300);
    assert.ok(payloads.length < 12, `${payloads}`);
    assert.equal(total.bytes, 0);
  });

  test('takes of a run the last, and nothing gives way to what came before it is behind', () => {
    const { window } = windowOf('latest', { maxQueuedMessages: 1_000 });
    assert.equal(window.enqueue(numberedRun(0, 20), 1, false), 0);
    assert.equal(window.displaced, 0);
    window.enqueue(numberedRun(20, 5), 1, false);
    assert.deepEqual([window.displaced, window.queuedMessages], [4, 21]);
    window.enqueue(numberedRun(25, 5), 2, false);
    assert.deepEqual([window.displaced, window.queuedMessages], [5, 21]);
    const sent: number[] = [];
    for (let left = 21; left > 1; left--) {
      const [frame] = fillFrames(window, 12);
      sent.push(Number(frame!.payload));
      window.onPuback(frame!.packetId);
    }
    assert.equal(sent.length, 20);
    // With the QoS that it has come with.
    const [last] = fillFrames(window);
    assert.deepEqual([last!.payload, last!.qos], ['29', 2]);
    // It has caught up: everything waits again.
    window.enqueue(numberedRun(30, 5), 1, false);
    assert.deepEqual([window.displaced, window.queuedMessages], [0, 5]);
  });

  test('brings of each topic the newest, and nothing older behind it, whatever happens', () => {
    const step = fc.tuple(
      fc.constantFrom('enqueue', 'enqueue', 'send'),
      fc.integer({ max: 12, min: 1 }),
    );
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { window, total } = windowOf('latest', { maxQueuedMessages: 40 });
      const received: number[] = [];
      let next = 0;
      let lost = 0;
      const send = (room: number) => {
        for (const { packetId, payload } of fillFrames(window, room)) {
          received.push(Number(payload));
          window.onPuback(packetId);
        }
      };
      for (const [what, n] of steps) {
        for (let left = n; what === 'enqueue' && left > 0; left--, next++) {
          // Topics as long as the one that frames are read by.
          lost += window.enqueue(runOf([`${next}`], 1, `a/${next % 5}`), 1, false);
          lost += window.displaced;
        }
        if (what === 'send') send(n * 12);
        assert.equal(received.length + window.queuedMessages + lost, next);
      }
      while (window.sendable) send(10_000);
      for (let topic = 0; topic < 5; topic++) {
        const values = received.filter((value) => value % 5 === topic);
        assert.deepEqual(
          values,
          values.toSorted((x, y) => x - y),
        );
        const newest = next - 1 - ((((next - 1 - topic) % 5) + 5) % 5);
        if (newest >= 0) assert.equal(values.at(-1), newest);
      }
      assert.deepEqual([window.queuedBytes, total.bytes], [0, 0]);
    });
    fc.assert(property, { numRuns: 300 });
  });

  test('has the oldest give way where there are more topics than may wait', () => {
    const { window } = windowOf('latest', { maxQueuedMessages: 20 });
    let lost = 0;
    for (let n = 0; n < 100; n++) {
      assert.equal(window.enqueue(runOf([`${n}`], 1, `t/${n}`), 1, false), 0);
      lost += window.displaced;
    }
    assert.deepEqual([window.queuedMessages, lost], [20, 80]);
  });
});
