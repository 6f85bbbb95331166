/** The window against a naive model of it, under random histories. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../src/base/errors.js';
import { writeAck } from '../../../src/protocol/ack-frame.js';
import { frameEnd } from '../../../src/protocol/publish-frame.js';
import { IncomingQos2 } from '../../../src/sessions/incoming-qos2.js';
import type { OutgoingWindow, WindowLimits } from '../../../src/sessions/outgoing-window.js';
import { fillBytes, moveWindow, readFrames, runOf, type Seen, windowFrom } from './frames.js';

const PUBREL = 6;

/** A message as the model knows it. */
interface Message {
  readonly frame: Buffer;
  readonly qos: number;
  state: 'waiting' | 'sent' | 'received' | 'done';
  id: number;
  again: boolean;
}

/** Everything in one array; every question answered by looking through all of it. */
class Model {
  messages: Message[] = [];
  nextId: number;
  readonly limits: WindowLimits;

  constructor(limits: WindowLimits, nextId: number) {
    this.limits = limits;
    this.nextId = nextId;
  }

  get waiting(): Message[] {
    return this.messages.filter(({ state }) => state === 'waiting');
  }

  get unacknowledged(): Message[] {
    return this.messages.filter(({ state }) => state === 'sent' || state === 'received');
  }

  get queuedBytes(): number {
    return this.waiting.reduce((sum, { frame }) => sum + frame.length, 0);
  }

  /** Takes frames one by one until a bound is reached. @returns how many were dropped. */
  enqueue(frames: readonly Buffer[], qos: 1 | 2, retain: boolean, isConnected: boolean): number {
    const { maxInflight, maxQueuedMessages, maxQueuedBytes } = this.limits;
    const room = isConnected ? Math.max(0, maxInflight - this.#span()) : 0;
    for (let taken = 0; taken < frames.length; taken++) {
      const isFull = this.waiting.length >= maxQueuedMessages + room;
      const isLarge = this.queuedBytes + frames[taken].length > maxQueuedBytes;
      const isExcepted = isConnected && this.waiting.length === 0;
      if (isFull || (isLarge && !isExcepted)) return frames.length - taken;
      const frame = Buffer.from(frames[taken]);
      frame[0] = 0x30 | (qos << 1) | (retain ? 1 : 0);
      this.messages.push({ frame, qos, state: 'waiting', id: 0, again: false });
    }
    return 0;
  }

  /** What fill has to write into `room` bytes. */
  fill(room: number): Buffer {
    const written: Buffer[] = [];
    let left = room;
    for (const message of this.messages.filter(({ again }) => again)) {
      const bytes = this.#againBytes(message);
      if (bytes.length > left) return Buffer.concat(written);
      left -= bytes.length;
      message.again = false;
      written.push(bytes);
    }
    for (const message of this.waiting) {
      if (message.frame.length > left || this.#span() >= this.limits.maxInflight) break;
      left -= message.frame.length;
      message.state = 'sent';
      message.id = this.nextId;
      this.nextId = this.nextId === 65_535 ? 1 : this.nextId + 1;
      written.push(withId(message.frame, message.id));
    }
    return Buffer.concat(written);
  }

  nextFrameBytes(): number {
    const again = this.messages.find((message) => message.again);
    if (again !== undefined) return this.#againBytes(again).length;
    if (this.#span() >= this.limits.maxInflight) return 0;
    return this.waiting[0]?.frame.length ?? 0;
  }

  /** @returns whether it did anything; 'fault' when it is not what the id waits for. */
  acknowledge(id: number, kind: 'puback' | 'pubrec' | 'pubcomp'): boolean | 'fault' {
    const message = this.unacknowledged.find((each) => each.id === id);
    if (message === undefined) return false;
    const qos = kind === 'puback' ? 1 : 2;
    if (message.qos !== qos || (kind === 'pubcomp' && message.state !== 'received')) return 'fault';
    message.state = kind === 'pubrec' ? 'received' : 'done';
    message.again = false;
    while (this.messages[0]?.state === 'done') this.messages.shift();
    return true;
  }

  resend(): void {
    for (const message of this.unacknowledged) message.again = true;
  }

  #span(): number {
    return this.messages.filter(({ state }) => state !== 'waiting').length;
  }

  #againBytes({ state, frame, id }: Message): Buffer {
    if (state === 'received') return Buffer.from([0x62, 2, id >> 8, id & 0xff]);
    const bytes = withId(frame, id);
    bytes[0] |= 8;
    return bytes;
  }
}

/**
 * A copy of a frame with another packet id. The payload is the last thing in it, the topic is a/b.
 */
function withId(frame: Buffer, id: number): Buffer {
  const copy = Buffer.from(frame);
  let body = 1;
  while (copy[body] >= 0x80) body++;
  copy.writeUInt16BE(id, body + 1 + 2 + 3);
  return copy;
}

function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let position = 0, end = 0; position < bytes.length; position = end) {
    end = frameEnd(bytes, position);
    frames.push(bytes.subarray(position, end));
  }
  return frames;
}

type Step =
  | { do: 'enqueue'; sizes: number[]; runQos: 1 | 2; qos: 1 | 2; retain: boolean; live: boolean }
  | { do: 'fill'; room: number }
  | { do: 'fillNext'; lack: boolean }
  | { do: 'ack'; pick: number; kind: 'puback' | 'pubrec' | 'pubcomp' }
  | { do: 'ackAll'; from: 'oldest' | 'newest'; count: number }
  | { do: 'ackRow'; picks: number[]; count: number; isAhead: boolean; kind: 'puback' | 'pubcomp' }
  | { do: 'reconnect' }
  | { do: 'move'; reconnect: boolean };

const qosArb = fc.constantFrom<(1 | 2)[]>(1, 2);
const sizesArb = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 4 }),
  },
  {
    weight: 2,
    arbitrary: fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 60 }),
  },
);
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      sizes: sizesArb,
      runQos: qosArb,
      qos: qosArb,
      retain: fc.boolean(),
      live: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('fill' as const),
      room: fc.oneof(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 6_000 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fillNext' as const), lack: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('ack' as const),
      pick: fc.nat(),
      kind: fc.constantFrom<('puback' | 'pubrec' | 'pubcomp')[]>('puback', 'pubrec', 'pubcomp'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('ackAll' as const),
      from: fc.constantFrom<('oldest' | 'newest')[]>('oldest', 'newest'),
      count: fc.integer({ min: 1, max: 50 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('ackRow' as const),
      picks: fc.array(fc.nat(), { maxLength: 3 }),
      count: fc.nat(40),
      isAhead: fc.boolean(),
      kind: fc.constantFrom<('puback' | 'pubcomp')[]>('puback', 'pubcomp'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reconnect' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('move' as const), reconnect: fc.boolean() }),
  },
);

/** A window and its model side by side; each step is done to both. */
class Pair {
  window: OutgoingWindow;
  readonly model: Model;
  readonly #limits: WindowLimits;
  #numbered = 0;

  constructor(limits: WindowLimits, nextId: number) {
    this.window = windowFrom(nextId, limits);
    this.model = new Model(limits, nextId);
    this.#limits = limits;
  }

  step(step: Step): void {
    const { window, model } = this;
    switch (step.do) {
      case 'enqueue':
        this.#enqueue(step);
        break;
      case 'fill':
        this.#fill(step.room);
        break;
      case 'fillNext':
        this.#fill(Math.max(0, window.nextFrameBytes() - (step.lack ? 1 : 0)));
        break;
      case 'ack':
        this.#acknowledge(this.#someId(step.pick), step.kind);
        break;
      case 'ackAll': {
        const open = model.unacknowledged;
        if (step.from === 'newest') open.reverse();
        for (const { id, qos, state } of open.slice(0, step.count)) {
          const second = state === 'sent' ? 'pubrec' : 'pubcomp';
          this.#acknowledge(id, qos === 1 ? 'puback' : second);
        }
        break;
      }
      case 'ackRow':
        this.#acknowledgeRow(step);
        break;
      case 'reconnect':
        window.beginResend();
        model.resend();
        break;
      case 'move':
        this.window = moveWindow(window, this.#limits);
        // Marks are of the connection that ended.
        for (const message of model.messages) message.again = false;
        if (step.reconnect) this.step({ do: 'reconnect' });
    }
  }

  check(): void {
    const { window, model } = this;
    const open = model.unacknowledged;
    assert.equal(window.inflight, open.length);
    assert.equal(window.queuedMessages, model.waiting.length);
    assert.equal(window.queuedBytes, model.queuedBytes);
    assert.equal(window.nextFrameBytes(), model.nextFrameBytes());
    assert.equal(window.sendable, model.nextFrameBytes() > 0);
    assert.equal(new Set(open.map(({ id }) => id)).size, open.length, 'an id is in use twice');
    assert.ok(open.length <= this.#limits.maxInflight);
  }

  #enqueue(step: Extract<Step, { do: 'enqueue' }>): void {
    const payloads = step.sizes.map((size) => `${this.#numbered++}`.padEnd(size, '.'));
    const run = runOf(payloads, step.runQos);
    const frames = framesOf(run.bytes);
    const dropped = this.model.enqueue(frames, step.qos, step.retain, step.live);
    assert.equal(this.window.enqueue(run, step.qos, step.retain, step.live), dropped);
  }

  #fill(room: number): void {
    const expected = this.model.fill(room);
    const written = fillBytes(this.window, room);
    assert.deepEqual(readFrames(written), readFrames(expected));
    assert.deepEqual(written, expected);
    for (const { packetId } of readFrames(written)) assert.notEqual(packetId, 0);
  }

  /** An id in use, or one of a few that need not be. */
  #someId(pick: number): number {
    const open = this.model.unacknowledged;
    const index = pick % (open.length + 3);
    return index < open.length
      ? open[index].id
      : [0, this.model.nextId, 65_535][index - open.length];
  }

  /** Those of the oldest that wait for it, in turn, behind or before any others. */
  #acknowledgeRow({ picks, count, isAhead, kind }: Extract<Step, { do: 'ackRow' }>): void {
    const wanted = kind === 'puback' ? 1 : 2;
    const oldest = this.model.unacknowledged.filter(({ qos, state }) =>
      wanted === 1 ? qos === 1 : state === 'received',
    );
    const turn = oldest.slice(0, count).map(({ id }) => id);
    const others = picks.map((pick) => this.#someId(pick));
    const ids = Uint16Array.from(isAhead ? [...others, ...turn] : [...turn, ...others]);
    let expected: boolean | 'fault' = false;
    for (const id of ids) {
      const is = this.model.acknowledge(id, kind);
      if (is !== false) expected = is;
      if (is === 'fault') break;
    }
    const end = kind === 'puback' ? 'onPubacks' : 'onPubcomps';
    if (expected === 'fault') assert.throws(() => this.window[end](ids, ids.length), ProtocolError);
    else assert.equal(this.window[end](ids, ids.length), expected, `${kind} of ${ids}`);
  }

  #acknowledge(id: number, kind: 'puback' | 'pubrec' | 'pubcomp'): void {
    const { window } = this;
    const on = { puback: 'onPuback', pubrec: 'onPubrec', pubcomp: 'onPubcomp' } as const;
    const expected = this.model.acknowledge(id, kind);
    if (expected === 'fault') assert.throws(() => window[on[kind]](id), ProtocolError);
    else assert.equal(window[on[kind]](id), expected, `${kind} of ${id}`);
  }
}

for (const maxInflight of [1, 3, 20, 1_024, 65_535]) {
  test(`a window of ${maxInflight} does what its model does`, () => {
    // [MQTT-2.3.1-1], [MQTT-2.3.1-4], [MQTT-3.3.1-1], [MQTT-4.4.0-1], [MQTT-4.6.0-1]
    const property = fc.property(
      fc.array(stepArb, { minLength: 1, maxLength: 80 }),
      fc.constantFrom(1, 65_500, 65_530, 65_535),
      fc.constantFrom(
        { maxQueuedMessages: 100_000, maxQueuedBytes: 1_000_000 },
        { maxQueuedMessages: 30, maxQueuedBytes: 900 },
        { maxQueuedMessages: 0, maxQueuedBytes: 500 },
        { maxQueuedMessages: 2, maxQueuedBytes: 1_000_000 },
      ),
      (steps, nextId, queue) => {
        const pair = new Pair({ maxInflight, ...queue }, nextId);
        for (const step of steps) {
          pair.step(step);
          pair.check();
        }
      },
    );
    fc.assert(property, { numRuns: 150 });
  });
}

/** A receiver that keeps the rules of 4.3 and notes what it hands to its application. */
class Receiver {
  readonly delivered: string[] = [];
  readonly #unreleased = new IncomingQos2();

  /** Takes a frame. @returns the acknowledgement it answers with. */
  take(frame: Seen): { kind: 'puback' | 'pubrec' | 'pubcomp'; id: number } {
    const id = frame.packetId;
    if (frame.type === 'pubrel') {
      this.#unreleased.release(id);
      return { kind: 'pubcomp', id };
    }
    if (frame.qos === 1) {
      this.delivered.push(frame.payload);
      return { kind: 'puback', id };
    }
    if (this.#unreleased.add(id)) this.delivered.push(frame.payload);
    return { kind: 'pubrec', id };
  }
}

/**
 * One connection over which the first frames and the first answers arrive, and nothing behind them.
 */
interface Connection {
  readonly frames: number;
  readonly answers: number;
  readonly room: number;
  readonly moves: boolean;
}

/**
 * Sends over a connection until it is used up or nothing is left.
 * @returns the window that goes on.
 */
function connect(
  window: OutgoingWindow,
  receiver: Receiver,
  connection: Connection,
): OutgoingWindow {
  let current = window;
  if (connection.moves) {
    current = moveWindow(window, {
      maxInflight: 7,
      maxQueuedMessages: 0,
      maxQueuedBytes: 0,
    });
  }
  current.beginResend();
  let { frames, answers } = connection;
  const pubrel = Buffer.alloc(4);
  while (current.sendable && frames > 0) {
    const sent = readFrames(
      fillBytes(current, Math.max(connection.room, current.nextFrameBytes())),
    );
    while (sent.length > 0 && frames-- > 0) {
      const { kind, id } = receiver.take(sent.shift() as Seen);
      if (answers-- <= 0) continue;
      if (kind === 'puback') assert.ok(current.onPuback(id));
      else if (kind === 'pubcomp') assert.ok(current.onPubcomp(id));
      else if (current.onPubrec(id)) {
        writeAck(pubrel, 0, PUBREL, id);
        sent.push(...readFrames(pubrel));
      }
    }
  }
  return current;
}

const connectionArb = fc.record({
  frames: fc.integer({ min: 0, max: 40 }),
  answers: fc.integer({ min: 0, max: 40 }),
  room: fc.integer({ min: 0, max: 200 }),
  moves: fc.boolean(),
});

test('whatever is lost, QoS 2 arrives exactly once and QoS 1 at least once, in order', () => {
  // [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-4.6.0-1] to [MQTT-4.6.0-4]
  const property = fc.property(
    fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 }),
    fc.array(connectionArb, { maxLength: 12 }),
    fc.constantFrom<(1 | 2)[]>(1, 2),
    fc.constantFrom(1, 65_530),
    (counts, connections, qos, oldestId) => {
      const limits = { maxInflight: 7, maxQueuedMessages: 1_000, maxQueuedBytes: 100_000 };
      let window = windowFrom(oldestId, limits);
      const sent: string[] = [];
      for (const count of counts) {
        const payloads = Array.from({ length: count }, (_, index) => `m${sent.length + index}`);
        assert.equal(window.enqueue(runOf(payloads, qos), qos, false), 0);
        sent.push(...payloads);
      }
      const receiver = new Receiver();
      const whole = { frames: 10_000, answers: 10_000, room: 500, moves: false };
      for (const connection of [...connections, whole]) {
        window = connect(window, receiver, connection);
      }
      const delivered = qos === 2 ? receiver.delivered : [...new Set(receiver.delivered)];
      assert.deepEqual(delivered, sent);
      assert.deepEqual([window.inflight, window.queuedMessages, window.sendable], [0, 0, false]);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test('all 65,535 packet ids can be in flight at once, and each comes round again', () => {
  const limits = { maxInflight: 65_535, maxQueuedMessages: 1_000_000, maxQueuedBytes: 1e8 };
  const window = windowFrom(60_000, limits);
  const run = runOf(Array.from({ length: 1_000 }, () => 'x'));
  for (let n = 0; n < 200; n++) window.enqueue(run, 1, false);
  const target = Buffer.alloc(2_000_000);
  const ids = (end: number) => readFrames(target.subarray(0, end)).map(({ packetId }) => packetId);
  const all = ids(window.fill(target, 0, target.length, 0));
  assert.equal(new Set(all).size, 65_535);
  assert.ok(!all.includes(0));
  assert.equal(window.sendable, false);
  for (const id of all.toReversed()) assert.ok(window.onPuback(id));
  assert.equal(window.inflight, 0);
  const again = ids(window.fill(target, 0, target.length, 0));
  assert.deepEqual(again, all);
  for (const id of all) assert.ok(window.onPuback(id));
  assert.equal(window.queuedMessages, 200_000 - 2 * 65_535);
});
