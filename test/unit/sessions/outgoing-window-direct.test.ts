/**
 * A window that keeps nothing of what it has sent, under random histories of what a router, an
 * outbox and a client do with it. The client checks all that it gets.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../src/base/errors.js';
import { frameEnd } from '../../../src/protocol/publish-frame.js';
import { OutgoingWindow } from '../../../src/sessions/outgoing-window.js';
import { brief, fillFrames, numberedRun, readFrames, runOf, type Seen } from './frames.js';

const NEVER_USED = 0xee;
/** One run of as many moves the packet ids to the end of their range. */
const LONG_RUN = numberedRun(0, 65_520);

/** What the client waits for with a packet id. */
type Waiting = 'puback' | 'pubrec' | 'pubcomp';

class History {
  /** The window sees changes of it: it keeps no copy. */
  readonly limits = { maxInflight: 65_535, maxQueuedMessages: 12, maxQueuedBytes: 200 };
  readonly window = new OutgoingWindow(this.limits, false);
  readonly waiting = new Map<number, Waiting>();
  /** Payloads to come, in this order. */
  readonly expected: string[] = [];
  #next = 0;
  #now = 1_000;

  /** @param isNearWrap whether the next packet id is to be near 65,535. */
  constructor(maxInflight: number, isNearWrap: boolean) {
    if (isNearWrap) {
      const { bytes, count } = LONG_RUN;
      this.window.sendDirect(
        bytes,
        0,
        bytes.length,
        count,
        false,
        0x32,
        Buffer.alloc(bytes.length),
        0,
        1,
      );
      for (let id = 1; id <= count; id++) assert.ok(this.window.onPuback(id));
      this.window.release();
    }
    this.limits.maxInflight = maxInflight;
  }

  /** As the router does it: what has room goes past the queue, the rest into it. */
  publish(count: number, qos: 1 | 2, payloadBytes: number): void {
    const { window } = this;
    const payloads = Array.from({ length: count }, () =>
      String(this.#next++).padEnd(payloadBytes, '.'),
    );
    const run = runOf(payloads, qos);
    const room = window.directRoom;
    assert.ok(room >= 0 && room <= this.limits.maxInflight - this.waiting.size);
    assert.ok(room === 0 || this.expected.length === 0, 'nothing goes past what waits');
    const direct = Math.min(count, room);
    this.expected.push(...payloads.slice(0, direct));
    let from = 0;
    if (direct > 0) from = this.#sendDirect(run.bytes, direct, qos);
    if (direct === count) return;
    const rest = {
      ...run,
      bytes: Buffer.from(run.bytes.subarray(from)),
      count: count - direct,
    };
    const dropped = window.enqueue(rest, qos, false, true);
    this.expected.push(...payloads.slice(direct, count - dropped));
  }

  #sendDirect(bytes: Buffer, count: number, qos: 1 | 2): number {
    const target = Buffer.alloc(bytes.length + 7, NEVER_USED);
    const before = Buffer.from(bytes);
    const reached = this.window.sendDirect(
      bytes,
      0,
      bytes.length,
      count,
      count === readFrames(bytes).length,
      0x30 | (qos << 1),
      target,
      3,
      this.#now,
    );
    assert.deepEqual(bytes, before, 'the run given is not changed');
    const isOutside = (byte: number, at: number) =>
      byte === NEVER_USED || (at >= 3 && at < 3 + reached);
    assert.ok(target.every(isOutside));
    let end = 0;
    for (let left = count; left > 0; left--) end = frameEnd(bytes, end);
    assert.equal(reached, end);
    this.#receive(readFrames(target.subarray(3, 3 + reached)));
    return reached;
  }

  fill(room: number): void {
    this.#receive(fillFrames(this.window, room, this.#now));
  }

  #receive(frames: readonly Seen[]): void {
    for (const { type, dup, retain, packetId, payload, qos } of frames) {
      assert.deepEqual([type, dup, retain], ['publish', false, false]);
      assert.ok(packetId > 0, '[MQTT-2.3.1-1]');
      assert.ok(!this.waiting.has(packetId), '[MQTT-2.3.1-4] a packet id in use');
      assert.equal(payload, this.expected.shift(), 'the next one in order');
      this.waiting.set(packetId, qos === 1 ? 'puback' : 'pubrec');
    }
    assert.ok(this.waiting.size <= this.limits.maxInflight);
  }

  /** The client answers a delivery, not always the oldest, with what it owes or a wrong ack. */
  acknowledge(choice: number, isWrong: boolean): void {
    const ids = [...this.waiting.keys()];
    if (ids.length === 0) return;
    const packetId = ids[choice % ids.length];
    const { window, waiting } = this;
    const state = waiting.get(packetId);
    if (isWrong) {
      const { throws } = assert;
      if (state !== 'puback') throws(() => window.onPuback(packetId), ProtocolError);
      if (state !== 'pubcomp') throws(() => window.onPubcomp(packetId), ProtocolError);
      if (state === 'puback') throws(() => window.onPubrec(packetId), ProtocolError);
    } else if (state === 'pubrec') {
      assert.equal(window.onPubrec(packetId), true);
      waiting.set(packetId, 'pubcomp');
    } else {
      const isKnown = state === 'puback' ? window.onPuback(packetId) : window.onPubcomp(packetId);
      assert.equal(isKnown, true);
      waiting.delete(packetId);
    }
  }

  expire(ms: number): void {
    this.#now += ms;
    this.window.expire(this.#now, 1_000);
  }

  check(): void {
    assert.equal(this.window.inflight, this.waiting.size);
    assert.equal(this.window.queuedMessages, this.expected.length);
    const isSendable = this.window.nextFrameBytes() > 0;
    assert.equal(this.window.sendable, isSendable);
  }

  finish(): void {
    while (this.expected.length > 0 || this.waiting.size > 0) {
      this.fill(10_000);
      assert.ok(this.waiting.size > 0, 'never stuck');
      this.acknowledge(0, false);
    }
    assert.equal(this.window.queuedBytes, 0);
    this.window.release();
    this.check();
  }
}

const qos = fc.constantFrom<(1 | 2)[]>(1, 2);
const step = fc.oneof(
  fc.record({ do: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 9 }), qos }),
  fc.record({ do: fc.constant('fill' as const), room: fc.nat(70) }),
  fc.record({ do: fc.constant('acknowledge' as const), choice: fc.nat(9), wrong: fc.nat(3) }),
  fc.record({ do: fc.constant('acknowledge' as const), choice: fc.constant(0), wrong: fc.nat(9) }),
  fc.record({ do: fc.constant('expire' as const), ms: fc.nat(3_000) }),
  fc.record({ do: fc.constant('release' as const) }),
);

describe('a window that keeps nothing of what it has sent', () => {
  test('numbers, orders and bounds what it sends under any history', () => {
    // [MQTT-2.3.1-1], [MQTT-2.3.1-4], [MQTT-4.6.0-6]
    const history = fc.record({
      maxInflight: fc.integer({ min: 1, max: 20 }),
      isNearWrap: fc.nat(9).map((choice) => choice === 0),
      payloadBytes: fc.constantFrom(0, 5, 140),
      steps: fc.array(step, { maxLength: 80, size: 'max' }),
    });
    const property = fc.property(history, ({ maxInflight, isNearWrap, payloadBytes, steps }) => {
      const all = new History(maxInflight, isNearWrap);
      for (const one of steps) {
        if (one.do === 'publish') all.publish(one.count, one.qos, payloadBytes);
        else if (one.do === 'fill') all.fill(one.room);
        else if (one.do === 'acknowledge') all.acknowledge(one.choice, one.wrong === 1);
        else if (one.do === 'expire') all.expire(one.ms);
        else all.window.release();
        all.check();
      }
      all.finish();
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('has no direct room while anything waits or was kept to be sent again', () => {
    const limits = { maxInflight: 3, maxQueuedMessages: 9, maxQueuedBytes: 999 };
    assert.equal(new OutgoingWindow(limits, true).directRoom, 0);
    const window = new OutgoingWindow(limits, false);
    assert.equal(window.directRoom, 3);
    window.enqueue(numberedRun(0, 1), 1, false, true);
    assert.equal(window.directRoom, 0);
    assert.deepEqual(brief(fillFrames(window)), ['1:0']);
    assert.equal(window.directRoom, 2);
  });

  test('sends all 65,535 packet ids when it may, and not one more', () => {
    // [MQTT-2.3.1-4]
    const limits = { maxInflight: 65_535, maxQueuedMessages: 9, maxQueuedBytes: 999 };
    const window = new OutgoingWindow(limits, false);
    const run = numberedRun(0, 65_535);
    const target = Buffer.alloc(run.bytes.length);
    window.sendDirect(run.bytes, 0, run.bytes.length, window.directRoom, false, 0x32, target, 0, 1);
    const ids = new Set(readFrames(target).map(({ packetId }) => packetId));
    assert.equal(ids.size, 65_535);
    assert.equal(window.directRoom, 0);
    window.onPuback(2);
    assert.equal(window.directRoom, 0, 'ids are given in turn: the oldest is in the way');
    window.enqueue(runOf(['x']), 1, false, true);
    assert.equal(window.sendable, false);
    window.onPuback(1);
    assert.deepEqual(brief(fillFrames(window)), ['1:x']);
  });

  test('a delivery sent past the queue expires like any other', () => {
    const limits = { maxInflight: 3, maxQueuedMessages: 9, maxQueuedBytes: 999 };
    const window = new OutgoingWindow(limits, false);
    const { bytes } = numberedRun(0, 2, 2);
    window.sendDirect(bytes, 0, bytes.length, 2, false, 2, Buffer.alloc(bytes.length), 0, 5_000);
    assert.equal(window.expire(5_900, 1_000), 0);
    assert.equal(window.expire(6_100, 1_000), 2);
    assert.equal(window.expiriesMax, 1);
    assert.equal(window.sendable, false);
  });
});
