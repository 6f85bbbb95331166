import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../src/base/errors.js';
import { OutgoingWindow, type WindowLimits } from '../../../src/sessions/outgoing-window.js';
import {
  brief,
  fillBytes,
  fillFrames,
  moveWindow,
  numberedRun,
  readFrames,
  runOf,
  windowFrom,
} from './frames.js';

const LIMITS: WindowLimits = { maxInflight: 10, maxQueuedMessages: 1_000, maxQueuedBytes: 100_000 };

/** A window with these limits whose next packet id is `nextId`. */
function windowOf(limits: Partial<WindowLimits> = {}, nextId = 1): OutgoingWindow {
  return windowFrom(nextId, { ...LIMITS, ...limits });
}

test('messages leave with packet ids counting up from 1', () => {
  // [MQTT-2.3.1-1] non-zero, [MQTT-2.3.1-4] currently unused
  const window = windowOf();
  window.enqueue(runOf(['x', 'y']), 1, false);
  window.enqueue(runOf(['z']), 1, false);
  assert.deepEqual(brief(fillFrames(window)), ['1:x', '2:y', '3:z']);
  assert.equal(window.inflight, 3);
  assert.equal(window.sendable, false);
});

test('the delivered header has the granted QoS and the RETAIN asked for', () => {
  // [MQTT-3.8.4-6] the lesser QoS, [MQTT-3.3.1-8] and [MQTT-3.3.1-9] RETAIN
  const window = windowOf();
  window.enqueue(runOf(['x'], 2), 1, true);
  window.enqueue(runOf(['y'], 2), 2, false);
  const [first, second] = fillFrames(window);
  assert.deepEqual([first.qos, first.retain, first.dup], [1, true, false]);
  assert.deepEqual([second.qos, second.retain, second.dup], [2, false, false]);
});

test('the run given is neither changed nor copied before it is sent', () => {
  const run = numberedRun(0, 5, 2);
  const before = Buffer.from(run.bytes);
  const windows = [windowOf(), windowOf({}, 500)];
  for (const window of windows) window.enqueue(run, 1, true);
  assert.deepEqual(
    windows.map((window) => fillFrames(window)[4].packetId),
    [5, 504],
  );
  windows[0].beginResend();
  fillFrames(windows[0]);
  assert.deepEqual(run.bytes, before);
});

test('packet id 1 follows 65,535', () => {
  // [MQTT-2.3.1-1]
  const window = windowOf({}, 65_534);
  window.enqueue(numberedRun(0, 4), 1, false);
  assert.deepEqual(brief(fillFrames(window)), ['65534:0', '65535:1', '1:2', '2:3']);
  for (const id of [1, 65_534, 2, 65_535]) assert.equal(window.onPuback(id), true);
  assert.equal(window.inflight, 0);
});

test('no more than maxInflight messages are unacknowledged', () => {
  const window = windowOf({ maxInflight: 3 });
  window.enqueue(numberedRun(0, 5), 1, false);
  assert.equal(fillFrames(window).length, 3);
  assert.deepEqual([window.inflight, window.queuedMessages, window.sendable], [3, 2, false]);
  assert.equal(window.nextFrameBytes(), 0);
  window.onPuback(1);
  assert.deepEqual(brief(fillFrames(window)), ['4:3']);
});

test('acknowledgements out of order are taken, the window moves on past the oldest only', () => {
  const window = windowOf({ maxInflight: 3 });
  window.enqueue(numberedRun(0, 6), 1, false);
  fillFrames(window);
  window.onPuback(3);
  window.onPuback(2);
  assert.deepEqual([window.inflight, window.sendable], [1, false]);
  window.onPuback(1);
  assert.deepEqual(brief(fillFrames(window)), ['4:3', '5:4', '6:5']);
});

test('an acknowledgement of an id that is not in use changes nothing', () => {
  const window = windowOf();
  window.enqueue(runOf(['q1'], 1), 1, false);
  window.enqueue(runOf(['q2'], 2), 2, false);
  fillFrames(window);
  for (const id of [0, 3, 65_535, -1]) {
    assert.equal(window.onPuback(id), false, `PUBACK ${id}`);
    assert.equal(window.onPubrec(id), false, `PUBREC ${id}`);
    assert.equal(window.onPubcomp(id), false, `PUBCOMP ${id}`);
  }
  assert.equal(window.inflight, 2);
});

test('an acknowledgement of another kind than its delivery waits for is a fault', () => {
  // [MQTT-4.8.0-1]
  for (const keepsSent of [true, false]) {
    const window = new OutgoingWindow(LIMITS, keepsSent);
    window.enqueue(runOf(['q1'], 1), 1, false);
    window.enqueue(runOf(['q2'], 2), 2, false);
    fillFrames(window);
    assert.throws(() => window.onPubrec(1), ProtocolError);
    assert.throws(() => window.onPubcomp(1), ProtocolError);
    assert.throws(() => window.onPuback(2), ProtocolError);
    assert.throws(() => window.onPubcomp(2), ProtocolError, 'no PUBREL was sent');
    window.onPubrec(2);
    assert.throws(() => window.onPuback(2), ProtocolError);
    assert.equal(window.inflight, 2);
    window.onPuback(1);
    assert.equal(window.onPubrec(1), false, 'late, though of the wrong kind');
  }
});

test('an id acknowledged once is not acknowledged again', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 3), 1, false);
  fillFrames(window);
  assert.equal(window.onPuback(2), true);
  assert.equal(window.onPuback(2), false);
  assert.equal(window.inflight, 2);
});

test('a QoS 2 delivery ends with PUBCOMP, and every PUBREC until then is answered', () => {
  // [MQTT-4.3.3-1]
  const window = windowOf();
  window.enqueue(runOf(['x'], 2), 2, false);
  fillFrames(window);
  assert.equal(window.onPubrec(1), true);
  assert.equal(window.onPubrec(1), true);
  assert.equal(window.inflight, 1);
  assert.equal(window.onPubcomp(1), true);
  assert.equal(window.onPubrec(1), false);
  assert.equal(window.inflight, 0);
});

test('fill writes whole frames only and nextFrameBytes tells what it lacks', () => {
  const window = windowOf();
  window.enqueue(runOf(['short', 'x'.repeat(300), 'end']), 1, false);
  const small = window.nextFrameBytes();
  assert.equal(fillBytes(window, small - 1).length, 0);
  assert.deepEqual(brief(fillFrames(window, small + 5)), ['1:short']);
  const large = window.nextFrameBytes();
  assert.ok(large > 300);
  assert.equal(fillBytes(window, large - 1).length, 0);
  assert.equal(fillFrames(window, large).length, 1);
  assert.deepEqual(brief(fillFrames(window, 100)), ['3:end']);
});

test('after a reconnect the unacknowledged go first, with DUP, in the original order', () => {
  // [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-3.3.1-1]
  const window = windowOf({ maxInflight: 5 });
  window.enqueue(numberedRun(0, 3), 1, false);
  window.enqueue(numberedRun(3, 4, 2), 2, false);
  fillFrames(window);
  window.onPuback(2);
  window.onPubrec(4);
  window.beginResend();
  assert.deepEqual(brief(fillFrames(window)), ['1:0 dup', '3:2 dup', '4:pubrel', '5:4 dup']);
  assert.equal(window.sendable, false);
  window.onPuback(1);
  assert.deepEqual(brief(fillFrames(window)), ['6:5', '7:6']);
});

test('a resend goes on where the last fill had no more room', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 4, 2), 2, false);
  fillFrames(window);
  window.onPubrec(2);
  window.enqueue(runOf(['new'], 2), 2, false);
  window.beginResend();
  const seen: string[] = [];
  while (window.sendable) {
    const bytes = window.nextFrameBytes();
    assert.equal(fillBytes(window, bytes - 1).length, 0);
    seen.push(...brief(fillFrames(window, bytes)));
  }
  assert.deepEqual(seen, ['1:0 dup', '2:pubrel', '3:2 dup', '4:3 dup', '5:new']);
});

test('what is acknowledged while a resend is under way is not sent again', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 2), 1, false);
  window.enqueue(numberedRun(2, 3), 1, false);
  fillFrames(window);
  window.beginResend();
  const room = window.nextFrameBytes();
  assert.deepEqual(brief(fillFrames(window, room)), ['1:0 dup']);
  for (const id of [1, 2, 3, 5]) window.onPuback(id);
  assert.deepEqual(brief(fillFrames(window)), ['4:3 dup']);
  assert.equal(window.sendable, false);
});

test('a second reconnect begins the resend anew', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 3), 1, false);
  fillFrames(window);
  window.beginResend();
  fillFrames(window, window.nextFrameBytes());
  window.beginResend();
  assert.deepEqual(brief(fillFrames(window)), ['1:0 dup', '2:1 dup', '3:2 dup']);
});

test('a full queue drops the newest messages and says how many', () => {
  const window = windowOf({ maxQueuedMessages: 4 });
  assert.equal(window.enqueue(numberedRun(0, 3), 1, false), 0);
  assert.equal(window.enqueue(numberedRun(3, 3), 1, false), 2);
  assert.equal(window.enqueue(numberedRun(6, 2), 1, false), 2);
  assert.equal(window.queuedMessages, 4);
  assert.deepEqual(brief(fillFrames(window)), ['1:0', '2:1', '3:2', '4:3']);
  assert.deepEqual([window.queuedMessages, window.queuedBytes], [0, 0]);
  assert.equal(window.enqueue(numberedRun(8, 2), 1, false), 0);
  assert.deepEqual(brief(fillFrames(window)), ['5:8', '6:9']);
});

test('a queue is bounded in bytes too', () => {
  const run = runOf(['0123456789', '0123456789', '0123456789']);
  const frame = run.bytes.length / 3;
  const window = windowOf({ maxQueuedBytes: 2 * frame + 1 });
  assert.equal(window.enqueue(run, 1, false), 1);
  assert.equal(window.queuedBytes, 2 * frame);
  assert.equal(window.enqueue(runOf(['']), 1, false), 1);
  assert.equal(fillFrames(window).length, 2);
});

test('for a connected receiver the room in flight is no queue', () => {
  const limits = { maxInflight: 3, maxQueuedMessages: 1, maxQueuedBytes: 60 };
  const window = windowOf(limits);
  assert.equal(window.enqueue(numberedRun(0, 5), 1, false, true), 1);
  assert.equal(fillFrames(window).length, 3);
  assert.equal(window.enqueue(numberedRun(5, 1), 1, false, true), 1);
  // One message longer than the byte bound still gets through when nothing waits.
  const huge = runOf(['x'.repeat(100), 'y']);
  assert.equal(windowOf(limits).enqueue(huge, 1, false, true), 1);
  assert.equal(windowOf(limits).enqueue(huge, 1, false), 2);
});

test('room that an older delivery keeps from being used is no room', () => {
  const window = windowOf({ maxInflight: 3, maxQueuedMessages: 0 });
  window.enqueue(numberedRun(0, 3), 1, false, true);
  fillFrames(window);
  window.onPuback(2);
  window.onPuback(3);
  assert.equal(window.enqueue(numberedRun(3, 2), 1, false, true), 2);
  window.onPuback(1);
  assert.equal(window.enqueue(numberedRun(3, 2), 1, false, true), 0);
});

test('a window that moves keeps ids, states, order and what waits', () => {
  const window = windowOf({ maxInflight: 5 }, 65_533);
  window.enqueue(numberedRun(0, 3), 1, false);
  window.enqueue(numberedRun(3, 5, 2), 2, true);
  fillFrames(window);
  for (const id of [65_533, 65_535]) window.onPuback(id);
  window.onPubrec(1);
  const { queuedMessages, queuedBytes, inflight } = window;
  const moved = moveWindow(window, { ...LIMITS, maxInflight: 5 });
  assert.deepEqual([moved.queuedMessages, moved.inflight], [queuedMessages, inflight]);
  assert.equal(moved.queuedBytes, queuedBytes);
  moved.beginResend();
  const resent = fillFrames(moved);
  assert.deepEqual(brief(resent), ['65534:1 dup', '1:pubrel', '2:4 dup', '3:5']);
  assert.deepEqual([resent[2].retain, resent[2].qos], [true, 2]);
  moved.onPuback(65_534);
  assert.deepEqual(brief(fillFrames(moved)), ['4:6', '5:7']);
});

test('a window that has moved keeps more than its limits allow, and sends no more of it', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 10), 1, false);
  fillFrames(window, 40);
  const sent = window.inflight;
  assert.ok(sent > 1 && sent < 10);
  const limits = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };
  const moved = moveWindow(window, limits);
  assert.equal(moved.queuedMessages, 10 - sent);
  moved.beginResend();
  assert.equal(fillFrames(moved).length, sent);
  for (let id = 1; id < sent; id++) moved.onPuback(id);
  assert.equal(moved.sendable, false);
  moved.onPuback(sent);
  assert.deepEqual(brief(fillFrames(moved)), [`${sent + 1}:${sent}`]);
});

test('a window counts down what it gives away', () => {
  const window = windowOf({ maxInflight: 5 });
  for (let n = 0; n < 4; n++) window.enqueue(numberedRun(3 * n, 3), 1, false);
  fillFrames(window);
  window.onPuback(1);
  const bytes = window.queuedBytes + window.inflightBytes;
  let left = 11;
  let leftBytes = bytes;
  for (let run = window.takeRun(); run !== null; run = window.takeRun()) {
    left -= run.count;
    leftBytes -= run.start === 0 ? run.end : run.bytes.length;
    assert.equal(window.queuedMessages, Math.min(left, 7));
    assert.equal(window.queuedBytes + window.inflightBytes, leftBytes);
  }
  assert.deepEqual([left, leftBytes, window.queuedMessages], [0, 0, 0]);
});

test('what is sent and kept is bounded by its bytes', () => {
  const frame = runOf(['x']).bytes.length;
  const window = windowOf({ maxInflightBytes: 3 * frame });
  for (let n = 0; n < 8; n++) window.enqueue(runOf(['x']), 1, false);
  assert.equal(fillFrames(window).length, 3);
  assert.equal(window.sendable, false);
  assert.equal(window.nextFrameBytes(), 0);
  // One that an older one holds up is kept.
  window.onPuback(2);
  assert.equal(window.sendable, false);
  window.onPuback(1);
  assert.deepEqual(brief(fillFrames(window)), ['4:x', '5:x']);
  const moved = moveWindow(window, { ...LIMITS, maxInflightBytes: 3 * frame });
  assert.equal(moved.inflightBytes, 3 * frame);
  moved.beginResend();
  assert.equal(fillFrames(moved).length, 3);
  for (let id = 3; id <= 8; id++) {
    assert.ok(moved.onPuback(id));
    fillFrames(moved);
  }
  assert.deepEqual([moved.inflight, moved.inflightBytes, moved.queuedMessages], [0, 0, 0]);
});

test('a run larger than may be in flight is sent all the same', () => {
  const window = windowOf({ maxInflight: 2, maxInflightBytes: 1 });
  window.enqueue(numberedRun(0, 5), 1, false);
  for (let id = 1; id <= 5; id++) {
    fillFrames(window);
    assert.ok(window.onPuback(id), `message ${id} was sent`);
  }
  assert.equal(window.inflightBytes, 0);
});

test('an empty window that moves goes on with the following packet id', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 7), 1, false);
  fillFrames(window);
  for (let id = 1; id <= 7; id++) window.onPuback(id);
  const moved = moveWindow(window, LIMITS);
  moved.enqueue(runOf(['x']), 1, false);
  assert.deepEqual(brief(fillFrames(moved)), ['8:x']);
});

test('a delivery is counted once each time it passes the acknowledgement time-out', () => {
  const window = windowOf();
  window.enqueue(numberedRun(0, 2), 1, false);
  fillFrames(window, 1_000, 0);
  assert.equal(window.expire(900, 1_000), 0);
  assert.equal(window.expire(1_100, 1_000), 2);
  assert.equal(window.expire(1_900, 1_000), 0);
  window.onPuback(1);
  assert.equal(window.expire(2_100, 1_000), 1);
  assert.equal(window.expiriesMax, 2);
  assert.equal(window.sendable, false, '[MQTT-4.4.0-1] a live connection gets no message twice');
  window.onPuback(2);
  assert.equal(window.expire(9_000, 1_000), 0);
  assert.equal(window.expiriesMax, 0);
});

test('deliveries time out as ever where their stamps begin again, every 49 days', () => {
  for (const sentAt of [2 ** 32 - 1_000, 2 ** 32 - 8, 2 ** 32]) {
    const window = windowOf();
    window.enqueue(numberedRun(0, 2), 1, false);
    fillFrames(window, 1_000, sentAt);
    assert.equal(window.expire(sentAt + 900, 1_000), 0);
    assert.equal(window.expire(sentAt + 1_100, 1_000), 2);
    window.onPuback(1);
    assert.equal(window.expire(sentAt + 2_100, 1_000), 1);
    assert.equal(window.expiriesMax, 2);
  }
});

test('a delivery missed by several looks is counted at the first that sees it', () => {
  const window = windowOf();
  window.expire(50_000, 1_000);
  window.enqueue(runOf(['x']), 1, false);
  fillFrames(window, 1_000, 60_000);
  assert.equal(window.expire(64_500, 1_000), 1);
  assert.equal(window.expiriesMax, 4);
});

test('PUBREC is an acknowledgement: the time-out begins anew with PUBREL', () => {
  const window = windowOf();
  window.enqueue(runOf(['x'], 2), 2, false);
  fillFrames(window, 1_000, 0);
  window.expire(900, 1_000);
  window.onPubrec(1);
  assert.equal(window.expire(1_500, 1_000), 0);
  assert.equal(window.expire(2_000, 1_000), 1);
});

test('expired deliveries of a 3.1 client are sent again and go on being counted', () => {
  const window = windowOf();
  window.enqueue(runOf(['a', 'b'], 2), 2, false);
  window.enqueue(runOf(['c', 'd']), 1, false);
  fillFrames(window, 20, 0);
  window.onPubrec(2);
  assert.deepEqual(brief(fillFrames(window, 1_000, 900)), ['3:c', '4:d']);
  assert.equal(window.expire(1_100, 1_000, true), 2);
  assert.deepEqual(brief(fillFrames(window, 1_000, 1_100)), ['1:a dup', '2:pubrel']);
  assert.equal(window.expire(1_500, 1_000, true), 0);
  assert.equal(window.expire(2_100, 1_000, true), 4);
  assert.equal(window.expiriesMax, 2);
});

test('what was sent on the last connection does not expire before it is sent on this one', () => {
  const window = windowOf();
  window.enqueue(runOf(['x']), 1, false);
  fillFrames(window, 1_000, 0);
  window.beginResend();
  assert.equal(window.expire(99_000, 1_000), 0);
  fillFrames(window, 1_000, 100_000);
  assert.equal(window.expire(100_900, 1_000), 0);
  assert.equal(window.expire(101_100, 1_000), 1);
  assert.equal(window.expiriesMax, 1);
});

test('wall-clock times count as well as small ones', () => {
  const window = windowOf();
  const now = 1_790_000_000_000;
  window.enqueue(runOf(['x']), 1, false);
  fillFrames(window, 1_000, now);
  assert.equal(window.expire(now + 19_000, 20_000), 0);
  assert.equal(window.expire(now + 21_000, 20_000), 1);
});

test('a look with an older time than the sending finds nothing', () => {
  const window = windowOf();
  window.enqueue(runOf(['x']), 1, false);
  fillFrames(window, 1_000, 5_000);
  assert.equal(window.expire(4_000, 1_000), 0);
  assert.equal(window.expiriesMax, 0);
  assert.equal(window.expire(6_100, 1_000), 1);
});

test('100,000 runs of one wait and leave in order', () => {
  const count = 100_000;
  const window = windowOf({ maxInflight: 1_024, maxQueuedMessages: count, maxQueuedBytes: 1e9 });
  for (let n = 0; n < count; n++) assert.equal(window.enqueue(runOf([String(n)]), 1, false), 0);
  const target = Buffer.alloc(65_536);
  let received = 0;
  while (window.sendable) {
    const end = window.fill(target, 0, target.length, 0);
    for (const { payload, packetId } of readFrames(target.subarray(0, end))) {
      assert.equal(payload, String(received++));
      assert.equal(window.onPuback(packetId), true);
    }
  }
  assert.equal(received, count);
  assert.deepEqual([window.inflight, window.queuedMessages, window.queuedBytes], [0, 0, 0]);
});

test('a receiver whose publishers wait for it is not held to the number of messages', () => {
  const window = windowOf({ maxInflight: 1, maxQueuedMessages: 2 });
  const run = numberedRun(0, 5);
  assert.equal(window.enqueue(run, 1, false, true, true), 0, 'all are taken');
  assert.equal(window.queuedMessages, 5);
  assert.equal(window.enqueue(run, 1, false, true, false), 5, 'none is, once nobody waits');
  assert.equal(window.enqueue(run, 1, false, false, false), 5);
});
