/** The outbox over a socket that takes what a test lets it take. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { closeDescriptor, createPipe } from '../../../src/base/libc.js';
import {
  OUTBOX_CHUNK_BYTES,
  PIN_BYTES_MIN,
  SCRATCH_BYTES,
  UNREAD_REPLY_BYTES_MAX,
} from '../../../src/base/limits.js';
import type { SlowConsumerPolicy } from '../../../src/base/slow-consumer-policy.js';
import { Outbox, type OutboxHost, type OutboxLimits } from '../../../src/connection/outbox.js';
import { OutboxTotal } from '../../../src/connection/outbox-total.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Session } from '../../../src/sessions/session.js';
import { SlowQueue } from '../../../src/sessions/slow-queue.js';
import { writeDescriptor } from '../../../src/transport/descriptor-io.js';
import type { Transport } from '../../../src/transport/transport.js';
import { numberedRun, readFrames, runOf } from '../sessions/frames.js';

const LIMITS = { maxInflight: 4, maxQueuedMessages: 1_000, maxQueuedBytes: 10_000_000 };
const NO_DESCRIPTOR = -1;

/** Writes at once what its descriptor takes; of other writes it says when the test lets it. */
class SlowSocket {
  isDestroyed = false;
  waitingBytes = 0;
  readonly writes: string[] = [];
  readonly #descriptor: number;
  #callbacks: (() => void)[] = [];

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  writeNow(buffer: Buffer, start: number, end: number): number {
    if (this.#descriptor < 0 || this.isDestroyed) return 0;
    return writeDescriptor(this.#descriptor, buffer, start, end);
  }

  write(bytes: Buffer, done: () => void): void {
    this.writes.push(bytes.toString('latin1'));
    this.waitingBytes = bytes.length;
    this.#callbacks.push(done);
  }

  /** The oldest write is with the kernel. */
  take(): void {
    this.#callbacks.shift()?.();
  }

  get text(): string {
    return this.writes.join('');
  }
}

/** Its limits are in it, too: a test changes them. */
class TestHost implements OutboxHost, OutboxLimits {
  slowConsumerTimeoutMs = 2_000;
  readonly maxQueuedMessages = LIMITS.maxQueuedMessages;
  readonly maxQueuedBytes = LIMITS.maxQueuedBytes;
  readonly outboxTotal = new OutboxTotal();
  slowConsumerPolicy: SlowConsumerPolicy = 'backpressure';
  readonly queuedTotal = new QueuedTotal();
  isMemoryShort = false;
  get shedsQos0(): boolean {
    return this.isMemoryShort || this.outboxTotal.isFull;
  }
  readonly arena = new TurnArena(() => {});
  readonly said: string[] = [];
  readonly scratch = Buffer.alloc(SCRATCH_BYTES);
  now = 1;
  stamp = 1;
  sent = 0;
  delivered = 0;
  outboxBytes = 1_000;
  outboxBytesMax = 1_000_000;
  onDirty(): void {
    this.said.push('dirty');
  }
  onHeavy(): void {
    this.said.push('heavy');
  }
  onRelieved(): void {
    this.said.push('relieved');
  }
  onDelivering(): void {}
  onSlowConsumer(): void {
    this.said.push('slow');
  }
  makeSlowQueue(isLatest: boolean): SlowQueue {
    return new SlowQueue(isLatest, this.queuedTotal, LIMITS);
  }
  onSent(bytes: number): void {
    this.sent += bytes;
  }
  onDelivered(messages: number): void {
    this.delivered += messages;
  }
}

describe('an outbox', () => {
  let host: TestHost;
  let socket: SlowSocket;
  let outbox: Outbox;
  let arena: Buffer;
  let file = '';
  let descriptor = NO_DESCRIPTOR;

  beforeEach(() => {
    host = new TestHost();
    outbox = make(NO_DESCRIPTOR);
    arena = Buffer.from('abcdefghijklmnopqrstuvwxyz');
  });

  afterEach(() => {
    if (descriptor < 0) return;
    closeSync(descriptor);
    rmSync(file);
    descriptor = NO_DESCRIPTOR;
  });

  function make(fd: number): Outbox {
    const owner = {
      close() {},
      onUnreadReplies: (areMany: boolean) => void host.said.push(areMany ? 'unread' : 'read'),
    };
    socket = new SlowSocket(fd);
    return new Outbox(host, owner, socket as unknown as Transport, host);
  }

  /** An outbox whose descriptor takes everything: a file. */
  function makeWritable(): Outbox {
    file = join(tmpdir(), `outbox-${process.pid}-${Math.random()}`);
    descriptor = openSync(file, 'w');
    return make(descriptor);
  }

  function attach(target: Outbox): Session {
    const session = new Session('c', 0, 4, 1, LIMITS, new AbsentQueues());
    session.attach(target);
    target.session = session;
    return session;
  }

  /** Lets the socket take all there is. */
  function drain(): void {
    for (let writes = 0; writes < 1_000 && outbox.isBlocked; writes++) socket.take();
    assert.equal(outbox.isBlocked, false);
  }

  test('writes what was appended in order, in one write to the descriptor', () => {
    outbox = makeWritable();
    outbox.append(0, 3);
    outbox.append(3, 5);
    outbox.append(20, 22);
    outbox.append(22, 23);
    outbox.append(7, 8);
    assert.deepEqual(host.said, ['dirty']);
    outbox.flush(arena);
    assert.equal(readFileSync(file, 'latin1'), 'abcdeuvwh');
    assert.equal(host.sent, 9);
    assert.deepEqual(socket.writes, []);
    outbox.flush(arena);
    assert.equal(host.sent, 9, 'nothing is written twice');
    outbox.append(1, 2);
    outbox.flush(arena);
    assert.equal(readFileSync(file, 'latin1'), 'abcdeuvwhb');
    assert.deepEqual(host.said, ['dirty', 'dirty']);
  });

  test('leaves what the descriptor does not take to the stream, as a copy', () => {
    outbox.append(0, 3);
    outbox.flush(arena);
    arena.fill(0);
    assert.deepEqual(socket.writes, ['abc']);
    assert.deepEqual([outbox.isBlocked, outbox.pendingBytes, host.sent], [true, 3, 0]);
    socket.take();
    assert.deepEqual([outbox.isBlocked, outbox.pendingBytes, host.sent], [false, 0, 3]);
  });

  test('keeps what a full kernel buffer leaves, and does not go past it when there is room', () => {
    const { readFd, writeFd } = createPipe();
    try {
      outbox = make(writeFd);
      const bytes = Buffer.alloc(300_000, 'p');
      outbox.append(0, bytes.length);
      outbox.flush(bytes);
      const taken = host.sent;
      assert.ok(taken > 0 && taken < bytes.length, `a pipe took ${taken}`);
      assert.equal(outbox.pendingBytes, bytes.length - taken);
      assert.equal(readSync(readFd, Buffer.alloc(bytes.length)), taken);
      outbox.append(0, 2);
      outbox.flush(arena);
      assert.equal(host.sent, taken);
      drain();
      assert.equal(socket.text, `${'p'.repeat(bytes.length - taken)}ab`);
      outbox.append(2, 4);
      outbox.flush(arena);
      assert.equal(host.sent, bytes.length + 4);
      assert.equal(readSync(readFd, Buffer.alloc(10)), 2);
    } finally {
      closeDescriptor(readFd);
      closeDescriptor(writeFd);
    }
  });

  test('does not add to a piece that the stream has', () => {
    outbox.append(0, 3);
    outbox.flush(arena);
    outbox.append(3, 5);
    outbox.flush(arena);
    socket.take();
    assert.deepEqual(socket.writes, ['abc', 'de']);
    outbox.append(5, 9);
    outbox.flush(arena);
    drain();
    assert.deepEqual(socket.writes, ['abc', 'de', 'fghi']);
    assert.equal(host.sent, 9);
  });

  test('keeps the order of what comes while the stream is busy, in few pieces', () => {
    const expected: string[] = [];
    for (let turn = 0; turn < 100; turn++) {
      arena.fill(String(turn % 10));
      outbox.append(0, 10);
      outbox.flush(arena);
      expected.push(String(turn % 10).repeat(10));
    }
    drain();
    assert.equal(socket.text, expected.join(''));
    assert.equal(socket.writes.length, 2);
    assert.equal(host.sent, 1_000);
  });

  test('leaves much of it in the arena, which goes on elsewhere until it is written', () => {
    const turns = host.arena;
    const expected: string[] = [];
    const blocks = new Set<Buffer>();
    for (const letter of 'abcabc') {
      const at = turns.reserve(PIN_BYTES_MIN);
      turns.buffer.fill(letter, at, at + PIN_BYTES_MIN);
      blocks.add(turns.buffer);
      outbox.append(at, at + PIN_BYTES_MIN);
      outbox.flush(turns.buffer);
      turns.rewind();
      expected.push(letter.repeat(PIN_BYTES_MIN));
    }
    assert.equal(blocks.size, 6, 'no block is used again while bytes wait in it');
    drain();
    assert.equal(socket.text, expected.join(''));
    turns.rewind();
    assert.ok(blocks.has(turns.buffer) || turns.pin(turns.buffer) !== null);
  });

  test('lets go of the arena when it is closed', () => {
    const turns = host.arena;
    const block = turns.buffer;
    turns.reserve(PIN_BYTES_MIN);
    outbox.append(0, PIN_BYTES_MIN);
    outbox.flush(block);
    turns.rewind();
    assert.notEqual(turns.buffer, block);
    turns.pin(turns.buffer);
    outbox.close();
    turns.rewind();
    assert.equal(turns.buffer, block, 'it is the spare one now');
  });

  test('opens another piece when one is full, and takes large ones whole', () => {
    const large = Buffer.alloc(OUTBOX_CHUNK_BYTES + 1, 'L');
    const expected: string[] = [];
    const add = (bytes: Buffer) => {
      outbox.append(0, bytes.length);
      outbox.flush(bytes);
      expected.push(bytes.toString('latin1'));
    };
    add(Buffer.from('first'));
    add(Buffer.alloc(OUTBOX_CHUNK_BYTES - 1, 'a'));
    add(Buffer.from('bb'));
    add(large);
    add(Buffer.from('c'));
    socket.take();
    add(Buffer.from('d'));
    drain();
    assert.equal(socket.text, expected.join(''));
  });

  test('writes the window behind what was appended, with one write', () => {
    outbox = makeWritable();
    const session = attach(outbox);
    session.enqueue(numberedRun(0, 6), 1, false);
    outbox.append(0, 2);
    assert.deepEqual(host.said, ['dirty']);
    outbox.flush(arena);
    const bytes = readFileSync(file);
    assert.equal(bytes.toString('latin1', 0, 2), 'ab');
    const payloads = readFrames(bytes.subarray(2)).map(({ payload }) => payload);
    assert.deepEqual(payloads, ['0', '1', '2', '3']);
  });

  test('asks the window for nothing while blocked, and is woken when there is room', () => {
    const session = attach(outbox);
    outbox.append(0, 2);
    outbox.flush(arena);
    session.enqueue(numberedRun(0, 2), 1, false);
    outbox.flush(arena);
    assert.equal(socket.text, 'ab');
    host.said.length = 0;
    socket.take();
    assert.deepEqual(host.said, ['dirty']);
    outbox.flush(arena);
    assert.equal(readFrames(Buffer.from(socket.writes[1], 'latin1')).length, 2);
  });

  test('writes frames and stretches that are larger than the scratch buffer', () => {
    outbox = makeWritable();
    const session = attach(outbox);
    const huge = 'x'.repeat(SCRATCH_BYTES + 10);
    session.enqueue(runOf(['small', huge, 'last']), 1, false);
    const long = Buffer.alloc(SCRATCH_BYTES * 2 + 5, 'y');
    outbox.append(0, 3);
    outbox.append(5, long.length);
    outbox.append(1, 2);
    outbox.flush(long);
    const bytes = readFileSync(file);
    const prefix = 3 + long.length - 5 + 1;
    assert.equal(bytes.toString('latin1', 0, prefix), 'y'.repeat(prefix));
    const payloads = readFrames(bytes.subarray(prefix)).map(({ payload }) => payload);
    assert.deepEqual(payloads, ['small', huge, 'last']);
  });

  test('is heavy above its mark until it is at half of it', () => {
    const bytes = Buffer.alloc(1_001, 'z');
    outbox.append(0, 400);
    outbox.flush(bytes);
    outbox.append(0, 600);
    outbox.flush(bytes);
    assert.deepEqual([outbox.isHeavy, host.said.includes('heavy')], [false, false]);
    host.now = 7;
    outbox.append(0, 1);
    outbox.flush(bytes);
    assert.deepEqual([outbox.isHeavy, outbox.progressAt], [true, 7]);
    host.now = 9;
    socket.take();
    assert.deepEqual([outbox.isHeavy, outbox.progressAt, outbox.pendingBytes], [true, 9, 601]);
    socket.take();
    assert.equal(outbox.isHeavy, false);
    assert.deepEqual(
      host.said.filter((word) => word !== 'dirty'),
      ['heavy', 'relieved'],
    );
  });

  test('counts what waits in the window, and an acknowledgement as progress', () => {
    const session = attach(outbox);
    for (let first = 0; first < 6; first++) {
      session.enqueue(runOf(['p'.repeat(300)]), 1, false);
    }
    outbox.flush(arena);
    drain();
    host.outboxBytes = 700;
    session.enqueue(runOf(['p'.repeat(300)]), 1, false);
    outbox.flush(arena);
    assert.equal(outbox.isHeavy, true, 'three messages of 300 bytes wait');
    host.now = 50;
    for (const id of [1, 2]) session.window?.onPuback(id);
    outbox.onAcknowledged();
    assert.equal(outbox.progressAt, 50);
    outbox.flush(arena);
    assert.equal(outbox.isHeavy, true, 'what it sent waits for the socket now');
    drain();
    assert.equal(outbox.isHeavy, false);
  });

  test('counts what the kernel took of a write as progress before all of it is taken', () => {
    outbox.append(0, 3_000);
    outbox.flush(Buffer.alloc(3_000));
    assert.deepEqual([outbox.isHeavy, outbox.progressAt], [true, 1]);
    host.now = 9;
    outbox.noteProgress();
    assert.equal(outbox.progressAt, 1, 'nothing was taken');
    socket.waitingBytes -= 1;
    outbox.noteProgress();
    assert.equal(outbox.progressAt, 9);
    host.now = 12;
    outbox.noteProgress();
    assert.equal(outbox.progressAt, 9, 'the same byte counts once');
    outbox.append(0, 2_000);
    outbox.flush(Buffer.alloc(2_000));
    socket.take();
    host.now = 15;
    outbox.noteProgress();
    assert.equal(outbox.progressAt, 12, 'the next chunk is larger than what was left of the first');
    socket.waitingBytes = 0;
    outbox.noteProgress();
    assert.equal(outbox.progressAt, 15);
  });

  test('is overfull at sixteen marks', () => {
    const bytes = Buffer.alloc(16_001);
    outbox.append(0, 16_000);
    outbox.flush(bytes);
    assert.equal(outbox.isOverfull, false);
    outbox.append(0, 1);
    outbox.flush(bytes);
    assert.equal(outbox.isOverfull, true);
    drain();
    assert.equal(outbox.isOverfull, false);
  });

  test('stalls at once when it costs too much memory, until it is light', () => {
    host.outboxBytesMax = 5_000;
    const bytes = Buffer.alloc(5_001);
    outbox.append(0, 5_001);
    outbox.flush(bytes);
    assert.deepEqual([outbox.isStalled, outbox.isHeavy], [true, true]);
    assert.deepEqual(host.said, ['dirty', 'heavy', 'relieved']);
    drain();
    assert.deepEqual([outbox.isStalled, outbox.isHeavy], [false, false]);
  });

  test('a stalled outbox holds nobody back and stays heavy', () => {
    const bytes = Buffer.alloc(2_000);
    outbox.append(0, 2_000);
    outbox.flush(bytes);
    host.said.length = 0;
    outbox.stall();
    assert.deepEqual([outbox.isStalled, outbox.isHeavy, host.said], [true, true, ['relieved']]);
  });

  test('forgets everything when it is closed, and takes nothing more', () => {
    const bytes = Buffer.alloc(2_000);
    outbox.append(0, 2_000);
    outbox.flush(bytes);
    outbox.append(0, 5);
    host.said.length = 0;
    outbox.close();
    assert.deepEqual(host.said, ['relieved']);
    assert.deepEqual([outbox.isHeavy, outbox.pendingBytes], [false, 0]);
    outbox.append(0, 5);
    outbox.wake();
    outbox.flush(bytes);
    socket.take();
    assert.equal(socket.writes.length, 1);
    assert.deepEqual([host.said, host.sent], [['relieved'], 0]);
  });

  test('counts messages when the socket has taken them, and none that it never does', () => {
    const session = attach(outbox);
    outbox.append(0, 3, 2);
    session.enqueue(numberedRun(1, 3, 1), 1, false);
    assert.equal(host.delivered, 0);
    outbox.flush(arena);
    assert.equal(host.delivered, 0, 'the stream has them');
    drain();
    assert.equal(host.delivered, 5);
    outbox.append(0, 3, 1);
    outbox.flush(arena);
    outbox.close();
    assert.equal(host.delivered, 5);
  });

  test('says when many replies wait, and when few do again, whatever else waits', () => {
    const half = UNREAD_REPLY_BYTES_MAX / 2;
    const bytes = Buffer.alloc(half + 1);
    host.outboxBytes = 10 * UNREAD_REPLY_BYTES_MAX;
    outbox.append(0, half);
    outbox.append(0, half);
    outbox.flush(bytes);
    host.said.length = 0;
    outbox.appendReply(0, half);
    outbox.flush(bytes);
    assert.deepEqual(host.said, ['dirty']);
    outbox.appendReply(0, half + 1);
    outbox.flush(bytes);
    assert.deepEqual(host.said.slice(2), ['heavy', 'unread']);
    assert.equal(outbox.hasUnreadReplies, true);
    drain();
    assert.deepEqual(host.said.slice(4), ['relieved', 'read']);
    outbox.appendReply(0, half + 1);
    outbox.flush(bytes);
    outbox.appendReply(0, half + 1);
    outbox.flush(bytes);
    assert.equal(outbox.hasUnreadReplies, true);
    outbox.close();
    assert.equal(outbox.hasUnreadReplies, false);
  });

  test('writes nothing to a socket that was destroyed', () => {
    outbox = makeWritable();
    socket.isDestroyed = true;
    outbox.append(0, 5);
    outbox.flush(arena);
    assert.equal(readFileSync(file, 'latin1'), '');
    assert.deepEqual(socket.writes, []);
  });

  test('stalls once its socket takes no more while memory is short, until it does', () => {
    host.isMemoryShort = true;
    attach(outbox);
    outbox.append(0, 10, 1);
    outbox.flush(arena);
    assert.deepEqual([outbox.isHeavy, outbox.isStalled], [true, true]);
    socket.take();
    assert.deepEqual([outbox.isHeavy, outbox.isStalled], [false, false]);
    outbox.append(0, 10, 1);
    outbox.flush(arena);
    host.isMemoryShort = false;
    outbox.append(0, 10, 1);
    outbox.flush(arena);
    assert.deepEqual([outbox.isHeavy, outbox.isStalled], [false, false]);
  });

  test('counts what waits in the total of its shard, which stalls it where it is full', () => {
    attach(outbox);
    host.outboxTotal.limit = 15;
    outbox.append(0, 10, 1);
    outbox.flush(arena);
    assert.deepEqual([host.outboxTotal.bytes, outbox.isStalled], [10, false]);
    outbox.append(0, 10, 1);
    outbox.flush(arena);
    assert.deepEqual([host.outboxTotal.bytes, outbox.isStalled], [20, true]);
    socket.take();
    assert.deepEqual([host.outboxTotal.bytes, outbox.isStalled], [10, false]);
    outbox.close();
    assert.equal(host.outboxTotal.bytes, 0);
  });
});
