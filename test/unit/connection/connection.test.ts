/** A connection over a socket that only notes what is asked of it; the test does the reading. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { beforeEach, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadConfig } from '../../../src/base/config.js';
import { Counters } from '../../../src/base/counters.js';
import { type Deadline, Deadlines } from '../../../src/base/deadlines.js';
import { CloseReason } from '../../../src/base/errors.js';
import {
  READ_BUFFER_BYTES,
  READ_HEADROOM_BYTES,
  SCRATCH_BYTES,
  SUBSCRIBE_BYTES_PER_TURN,
  SUBSCRIBE_FRAMES_PER_TURN,
  SWEEP_MS,
} from '../../../src/base/limits.js';
import { Connection } from '../../../src/connection/connection.js';
import type { ConnectionHost } from '../../../src/connection/host.js';
import { FrameScan } from '../../../src/protocol/frame-scan.js';
import type { ConnectPacket } from '../../../src/protocol/packet.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { connect, PINGREQ, PINGRESP, subscribe, unsubscribe } from '../../support/packets.js';

const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };
/** Longer than a keep alive of a second and all that is added to it. */
const LONG_MS = 10_000;

class FakeSocket {
  isPaused = false;
  written = Buffer.alloc(0);
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  write(bytes: Buffer, done: () => void): boolean {
    this.written = Buffer.concat([this.written, bytes]);
    done();
    return true;
  }
  setKeepAlive(): void {}
  end(): void {}
  destroy(): void {}
}

describe('a connection that is sent much SUBSCRIBE and UNSUBSCRIBE at once', () => {
  let socket: FakeSocket;
  let connection: Connection;
  let closedFor: CloseReason | null;
  let clock: number;
  let deadlines: Deadlines<Deadline>;
  /** Filters subscribed to and unsubscribed from. */
  let handled: string[];
  let claimed: ConnectPacket | null;
  const { config } = loadConfig({ workers: 1 }, {}, {});
  const readBuffer = Buffer.alloc(READ_HEADROOM_BYTES + READ_BUFFER_BYTES);

  beforeEach(() => {
    socket = new FakeSocket();
    closedFor = null;
    claimed = null;
    handled = [];
    clock = 1;
    deadlines = new Deadlines<Deadline>(clock, (due) => (due as Connection).onDeadline());
    const host = {
      config,
      deadlines,
      counters: new Counters(),
      scan: new FrameScan(config.maxPacketBytes),
      arena: new TurnArena(() => {}),
      scratch: Buffer.alloc(SCRATCH_BYTES),
      outboxBytes: config.outboxBytes,
      outboxBytesMax: config.maxQueuedBytes,
      readBuffer,
      isStopping: false,
      ringBacklogBytes: 0,
      authenticator: { authenticate: () => true },
      get now() {
        return clock;
      },
      claim: (_: Connection, packet: ConnectPacket) => {
        claimed = packet;
      },
      subscribe: (_: Session, filters: readonly [string, number][], confirmed: () => void) => {
        for (const [filterKey] of filters) handled.push(filterKey);
        confirmed();
      },
      unsubscribe: (_: Session, filterKey: string) => handled.push(filterKey),
      onClosed: (_: Connection, __: Session, reason: CloseReason) => {
        closedFor = reason;
      },
      ...Object.fromEntries(
        [
          'schedule',
          'flushRing',
          'afterRead',
          'replayRetained',
          'onAttached',
          'onClosing',
          'log',
        ].map(none),
      ),
      ...Object.fromEntries(['onDirty', 'onHeavy', 'onRelieved', 'onSent'].map(none)),
    };
    connection = new Connection(
      host as unknown as ConnectionHost,
      1,
      socket as unknown as Socket,
      -1,
    );
  });

  function none(name: string): [string, () => void] {
    return [name, () => {}];
  }

  function read(bytes: Buffer): void {
    bytes.copy(readBuffer, READ_HEADROOM_BYTES);
    connection.onRead(bytes.length);
  }

  function attach(): void {
    assert.ok(claimed);
    connection.attach(new Session('c', true, 4, 1, LIMITS, new AbsentQueues()), claimed, false);
  }

  /** Time passes in ticks, as in a shard. */
  function pass(ms: number): void {
    for (const end = clock + ms; clock < end; ) {
      clock = Math.min(end, clock + SWEEP_MS);
      deadlines.advance(clock);
    }
  }

  function open(keepAlive = 0): void {
    read(connect({ clientId: 'c', keepAlive }));
    attach();
  }

  /** Turns until reading goes on. @returns what had been handled before each. */
  async function turnsUntilRead(): Promise<number[]> {
    const counts: number[] = [];
    while (socket.isPaused) {
      counts.push(handled.length);
      assert.ok(counts.length < 1_000);
      await nextTurn();
    }
    return counts;
  }

  const names = (count: number) => Array.from({ length: count }, (_, index) => `f/${index}`);
  const unsubscribes = (filters: readonly string[]) =>
    Buffer.concat(filters.map((filter, index) => unsubscribe(index + 1, filter)));

  test('handles a share of them in a turn, and all of them in order', async () => {
    open();
    const filters = names(SUBSCRIBE_FRAMES_PER_TURN * 3 + 10);
    read(Buffer.concat([unsubscribes(filters), PINGREQ]));
    const share = SUBSCRIBE_FRAMES_PER_TURN;
    assert.deepEqual(await turnsUntilRead(), [share, 2 * share, 3 * share]);
    assert.deepEqual(handled, filters);
    connection.outbox.flush(connection.host.arena.buffer);
    assert.deepEqual(socket.written.subarray(-2), PINGRESP);
    assert.equal(socket.written.length, 4 + 4 * filters.length + 2);
  });

  test('takes long ones by their bytes', async () => {
    open();
    const filters = names(40).map((name) => name.padEnd(SUBSCRIBE_BYTES_PER_TURN / 4, 'x'));
    // With what is around the filter, four of them are more than the share.
    const packets = filters.map((filter, index) => subscribe(index + 1, [filter, 0]));
    read(Buffer.concat(packets));
    assert.equal((await turnsUntilRead())[0], 4);
    assert.deepEqual(handled, filters);
  });

  test('pings, and few in each of many reads, are handled as they come', () => {
    open();
    read(Buffer.concat(new Array<Buffer>(10_000).fill(PINGREQ)));
    const filters = names(SUBSCRIBE_FRAMES_PER_TURN - 1);
    for (let reads = 0; reads < 3; reads++) read(unsubscribes(filters));
    assert.equal(socket.isPaused, false);
    assert.equal(handled.length, 3 * filters.length);
  });

  test('puts what is read meanwhile behind it, and finishes a frame that was cut', async () => {
    open();
    const filters = names(SUBSCRIBE_FRAMES_PER_TURN * 2);
    const bytes = unsubscribes(filters);
    const cut = bytes.length - 3;
    read(bytes.subarray(0, cut - 5));
    // A runtime that reads by itself may have had this already.
    read(bytes.subarray(cut - 5, cut));
    assert.equal(handled.length, SUBSCRIBE_FRAMES_PER_TURN);
    await turnsUntilRead();
    assert.deepEqual(handled, filters.slice(0, -1));
    read(bytes.subarray(cut));
    await turnsUntilRead();
    assert.deepEqual(handled, filters);
  });

  test('a frame gathered from several reads counts, and what follows it waits', async () => {
    open();
    const filters = names(20_000);
    const large = subscribe(1, ...filters.map((filter): [string, number] => [filter, 0]));
    const bytes = Buffer.concat([large, unsubscribe(2, 'last')]);
    const half = READ_HEADROOM_BYTES + 1_000;
    read(bytes.subarray(0, half));
    read(bytes.subarray(half));
    assert.equal(handled.length, filters.length);
    await turnsUntilRead();
    assert.deepEqual(handled.slice(-2), [filters.at(-1), 'last']);
  });

  test('packets pipelined behind CONNECT have the same share', async () => {
    const filters = names(SUBSCRIBE_FRAMES_PER_TURN * 2 + 1);
    read(Buffer.concat([connect({ clientId: 'c' }), unsubscribes(filters)]));
    assert.equal(handled.length, 0);
    attach();
    const share = SUBSCRIBE_FRAMES_PER_TURN;
    assert.deepEqual(await turnsUntilRead(), [share, 2 * share]);
    assert.deepEqual(handled, filters);
  });

  test('a close in between ends it', async () => {
    open();
    read(unsubscribes(names(SUBSCRIBE_FRAMES_PER_TURN * 3)));
    connection.close(CloseReason.serverShutdown);
    await nextTurn();
    await nextTurn();
    assert.equal(handled.length, SUBSCRIBE_FRAMES_PER_TURN);
    assert.equal(socket.isPaused, false);
  });

  test('a bad packet among the rest closes when its turn comes', async () => {
    open();
    const filters = names(SUBSCRIBE_FRAMES_PER_TURN + 5);
    const bad = Buffer.from('820400000000', 'hex');
    read(Buffer.concat([unsubscribes(filters), bad, unsubscribe(1, 'never')]));
    assert.equal(closedFor, null);
    await turnsUntilRead();
    assert.equal(closedFor, CloseReason.malformedPacket);
    assert.deepEqual(handled, filters);
  });

  test('is not timed out meanwhile', async () => {
    open(1);
    read(unsubscribes(names(SUBSCRIBE_FRAMES_PER_TURN + 1)));
    pass(LONG_MS);
    assert.equal(closedFor, null);
    await turnsUntilRead();
    assert.equal(closedFor, null, 'its silence was ours');
    pass(LONG_MS);
    assert.equal(closedFor, CloseReason.keepAliveTimeout);
  });
});
