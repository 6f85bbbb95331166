/** Windows of clients of either version, filled with runs of either. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { sharedMs } from '../../../src/base/clock.js';
import { OutgoingWindow } from '../../../src/sessions/outgoing-window.js';
import { Receiver, type ReceiverLimits } from '../../../src/sessions/receiver.js';
import { passed } from '../../../src/sessions/window-form.js';
import { packetEnd } from '../../support/packets.js';
import { type Published5, parsePublish5 } from '../../support/packets5.js';
import { brief, moveRuns, readFrames, run5, runOf } from './frames.js';

const LIMITS = { maxInflight: 10, maxQueuedMessages: 1_000, maxQueuedBytes: 100_000 };

/** A window whose client is here. @param limits null for one of 3.x. */
function windowFor(limits: ReceiverLimits | null, keepsSent = true): OutgoingWindow {
  const window = new OutgoingWindow(LIMITS, keepsSent);
  window.receiver = limits === null ? null : new Receiver(limits);
  return window;
}

/** All that the window sends now to a client of 5.0. */
function fill5(window: OutgoingWindow): Published5[] {
  const target = Buffer.alloc(10_000);
  let rest = target.subarray(0, window.fill(target, 0, target.length, 1));
  const frames = [];
  for (let end = packetEnd(rest); rest.length > 0 && end !== undefined; end = packetEnd(rest)) {
    frames.push(parsePublish5(rest.subarray(0, end)));
    rest = rest.subarray(end);
  }
  return frames;
}

/** The same to one of 3.x. */
function fill3(window: OutgoingWindow): string[] {
  const target = Buffer.alloc(10_000);
  return brief(readFrames(target.subarray(0, window.fill(target, 0, target.length, 1))));
}

const KEPT = '260001' + '6b' + '0001' + '76';

/** Time that goes on when it is told to, in milliseconds. */
function fakeTime(context: TestContext): { pass(milliseconds: number): void } {
  const start = performance.now();
  let passedMs = 0;
  context.mock.method(performance, 'now', () => start + passedMs);
  return {
    pass: (milliseconds) => {
      passedMs += milliseconds;
    },
  };
}

for (const keepsSent of [true, false]) {
  describe(
    keepsSent ? 'a window that keeps what it has sent' : 'a window that keeps nothing',
    () => {
      test('gives runs of both versions to clients of both', () => {
        const old = windowFor(null, keepsSent);
        const young = windowFor({}, keepsSent);
        for (const window of [old, young]) {
          window.enqueue(run5(['a', 'b']), 1, false, true);
          window.enqueue(runOf(['c']), 1, true, true);
        }
        assert.deepEqual(fill3(old), ['1:a', '2:b', '3:c']);
        const frames = fill5(young).map(({ packetId, payload, block, retain }) => [
          packetId,
          payload,
          block,
          retain,
        ]);
        assert.deepEqual(frames, [
          [1, 'a', KEPT, false],
          [2, 'b', KEPT, false],
          [3, 'c', '', true],
        ]);
      });

      // [MQTT-3.3.4-3] [MQTT-3.3.4-4]
      test('adds the identifiers of the subscriptions that a run is for', () => {
        const window = windowFor({}, keepsSent);
        window.enqueue(run5(['a']), 1, false, true, false, [1, 300]);
        window.enqueue(run5(['b']), 1, false, true, false);
        window.enqueue(runOf(['c']), 1, false, true, false, [2]);
        const blocks = fill5(window).map(({ block }) => block);
        assert.deepEqual(blocks, [`0b010bac02${KEPT}`, KEPT, '0b02']);
      });

      // [MQTT-3.3.2-5] [MQTT-3.3.2-6]
      test('counts expiry down and leaves out what has expired', (context) => {
        const time = fakeTime(context);
        const window = windowFor({}, keepsSent);
        const before = passed.expired;
        window.enqueue(run5(['gone', 'too'], sharedMs() + 5_000), 1, false, true);
        window.enqueue(run5(['left'], sharedMs() + 7_500), 1, false, true);
        window.enqueue(run5(['ever']), 1, false, true);
        time.pass(5_000);
        const frames = fill5(window).map(({ packetId, payload, block }) => [
          packetId,
          payload,
          block,
        ]);
        assert.deepEqual(frames, [
          [1, 'left', `0200000003${KEPT}`],
          [2, 'ever', KEPT],
        ]);
        assert.equal(passed.expired - before, 2);
        assert.deepEqual([window.queuedMessages, window.queuedBytes], [0, 0]);
        for (const id of [1, 2]) assert.ok(window.onPuback(id));
        assert.deepEqual([window.inflight, window.inflightBytes], [0, 0]);
      });

      // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
      test('leaves out what is too long for its client', () => {
        const window = windowFor({ maximumPacketSize: 45 }, keepsSent);
        const long = 'x'.repeat(40);
        window.enqueue(run5([long, 'a', long, 'b', long]), 1, false, true);
        window.enqueue(runOf([long, 'c']), 1, false, true);
        const sent = [];
        for (let frames = fill5(window); frames.length > 0; frames = fill5(window)) {
          sent.push(...frames.map(({ packetId, payload }) => `${packetId}:${payload}`));
        }
        assert.deepEqual(
          sent.map((each) => each.split(':')[1]),
          ['a', 'b', 'c'],
        );
        for (const each of sent) assert.ok(window.onPuback(Number(each.split(':')[0])), each);
        assert.deepEqual([window.inflight, window.inflightBytes, window.queuedMessages], [0, 0, 0]);
      });

      // [MQTT-3.3.4-9]
      test('has no more in flight than the Receive Maximum', () => {
        const window = windowFor({ receiveMaximum: 2 }, keepsSent);
        window.enqueue(run5(['a', 'b', 'c']), 1, false, true);
        assert.deepEqual(
          fill5(window).map(({ payload }) => payload),
          ['a', 'b'],
        );
        window.onPuback(1);
        assert.deepEqual(
          fill5(window).map(({ payload }) => payload),
          ['c'],
        );
      });
    },
  );
}

// [MQTT-4.4.0-1] [MQTT-3.3.1-1]
test('what was sent is sent again to a client of another version, with its topic', () => {
  const window = windowFor({ topicAliasMaximum: 5 });
  for (let at = 0; at < 3; at++) window.enqueue(run5([String(at)]), 1, false, true);
  assert.deepEqual(
    fill5(window).map(({ topic }) => topic),
    ['a/b', 'a/b', ''],
  );
  window.receiver = new Receiver({ topicAliasMaximum: 5 });
  window.beginResend();
  const again = fill5(window).map(({ topic, block, dup }) => [topic, block, dup]);
  assert.deepEqual(
    again,
    [0, 1, 2].map(() => ['a/b', KEPT, true]),
  );
  window.receiver = null;
  window.beginResend();
  assert.deepEqual(fill3(window), ['1:0 dup', '2:1 dup', '3:2 dup']);
});

// [MQTT-4.3.3-7] [MQTT-4.3.3-13]
test('what was sent does not expire any more: its exchange is completed', (context) => {
  const time = fakeTime(context);
  const window = windowFor({});
  window.enqueue(run5(['a', 'b'], sharedMs() + 5_000), 2, false, true);
  assert.equal(fill5(window).length, 2);
  assert.ok(window.onPubrec(1));
  time.pass(6_000);
  window.beginResend();
  const target = Buffer.alloc(1_000);
  const sent = target.subarray(0, window.fill(target, 0, target.length, 1));
  const types: number[] = [];
  for (let at = 0; at < sent.length; at += packetEnd(sent.subarray(at))!) types.push(sent[at] >> 4);
  assert.deepEqual(types, [6, 3]);
  assert.ok(window.onPubcomp(1));
  assert.ok(window.onPubrec(2));
  assert.ok(window.onPubcomp(2));
  assert.equal(window.inflight, 0);
});

// [MQTT-3.1.2-24]
test('what was sent and is too long for the client that comes back has been delivered', () => {
  const window = windowFor({});
  window.enqueue(run5(['x'.repeat(40), 'y']), 1, false, true);
  assert.equal(fill5(window).length, 2);
  window.receiver = new Receiver({ maximumPacketSize: 45 });
  window.beginResend();
  assert.deepEqual(
    fill5(window).map(({ packetId, payload }) => [packetId, payload]),
    [[2, 'y']],
  );
  window.onPuback(2);
  assert.deepEqual([window.inflight, window.inflightBytes], [0, 0]);
});

test('a session that moves takes properties, expiry and identifiers along', (context) => {
  const time = fakeTime(context);
  const from = windowFor({});
  from.enqueue(run5(['a'], sharedMs() + 9_000), 1, false, true, false, [7]);
  from.enqueue(runOf(['b']), 1, true, true, false);
  const to = windowFor({});
  moveRuns(from, to);
  time.pass(1_000);
  const frames = fill5(to).map(({ payload, block, retain }) => [payload, block, retain]);
  assert.deepEqual(frames, [
    ['a', `0200000008${'0b07'}${KEPT}`, false],
    ['b', '', true],
  ]);
});
