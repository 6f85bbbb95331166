/** A connection over a socket that only notes what is asked of it; the test does the reading. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { beforeEach, describe, test } from 'node:test';
import { loadConfig } from '../../../src/base/config.js';
import { Counters } from '../../../src/base/counters.js';
import { type Deadline, Deadlines } from '../../../src/base/deadlines.js';
import { CloseReason } from '../../../src/base/errors.js';
import {
  READ_BUFFER_BYTES,
  READ_HEADROOM_BYTES,
  SCRATCH_BYTES,
  SWEEP_MS,
} from '../../../src/base/limits.js';
import { BUSY_MS_PER_TURN, SHARE_SLACK } from '../../../src/base/turn-limits.js';
import { BusyConnections, type Servable } from '../../../src/connection/busy-connections.js';
import { Connection, Pause } from '../../../src/connection/connection.js';
import type { ConnectionHost } from '../../../src/connection/host.js';
import { TurnShare } from '../../../src/connection/turn-share.js';
import { UnfinishedPackets } from '../../../src/connection/unfinished-packets.js';
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

describe('a connection that is sent much at once', () => {
  let socket: FakeSocket;
  let connection: Connection;
  let closedFor: CloseReason | null;
  let clock: number;
  let deadlines: Deadlines<Deadline>;
  /** Filters subscribed to and unsubscribed from. */
  let handled: string[];
  let claimed: ConnectPacket | null;
  /** What the handling of one filter takes, in milliseconds; the clock of shares goes by it. */
  const FILTER_MS = 1 / 128;
  /** The polled share is half of a turn's time. */
  const POLLED = Math.round(BUSY_MS_PER_TURN / 2 / FILTER_MS);
  const SERVED = Math.round((BUSY_MS_PER_TURN * (1 + SHARE_SLACK)) / FILTER_MS);
  let shareMs: number;
  let share: TurnShare;
  let busy: BusyConnections;
  const { config } = loadConfig({ workers: 1 }, {}, {});
  const readBuffer = Buffer.alloc(READ_HEADROOM_BYTES + READ_BUFFER_BYTES);

  beforeEach(() => {
    socket = new FakeSocket();
    closedFor = null;
    claimed = null;
    handled = [];
    clock = 1;
    deadlines = new Deadlines<Deadline>(clock, (due) => (due as Connection).onDeadline());
    shareMs = 1;
    share = new TurnShare(() => shareMs);
    busy = new BusyConnections(
      () => {},
      () => shareMs,
    );
    const host = {
      share,
      unfinished: new UnfinishedPackets(Number.POSITIVE_INFINITY),
      onBusy: (one: Servable) => busy.add(one),
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
        for (const [filterKey] of filters) handle(filterKey);
        confirmed();
      },
      unsubscribe: (_: Session, filterKey: string) => handle(filterKey),
      onClosed: (_: Connection, __: Session, reason: CloseReason) => {
        closedFor = reason;
      },
      ...Object.fromEntries(
        [
          'schedule',
          'flushRing',
          'afterRead',
          'flushWhenFull',
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

  function handle(filterKey: string): void {
    handled.push(filterKey);
    shareMs += FILTER_MS;
  }

  /** @returns whether the socket is to be read on. */
  function read(bytes: Buffer): boolean {
    bytes.copy(readBuffer, READ_HEADROOM_BYTES);
    return connection.onRead(bytes.length);
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

  function nextTurn(): void {
    share.endTurn();
    busy.serve();
    share.endTurn();
  }

  /** Turns until the connection is polled again. @returns what had been handled before each. */
  function turnsUntilRead(): number[] {
    const counts: number[] = [];
    while (busy.size > 0) {
      counts.push(handled.length);
      assert.ok(counts.length < 1_000);
      nextTurn();
    }
    return counts;
  }

  const names = (count: number) => Array.from({ length: count }, (_, index) => `f/${index}`);
  const unsubscribes = (filters: readonly string[]) =>
    Buffer.concat(filters.map((filter, index) => unsubscribe(index + 1, filter)));

  test('handles a share of it in a turn, and all of it in order', () => {
    open();
    const filters = names(POLLED + SERVED * 2 + 10);
    assert.equal(read(Buffer.concat([unsubscribes(filters), PINGREQ])), false);
    assert.deepEqual(turnsUntilRead(), [POLLED, POLLED + SERVED, POLLED + 2 * SERVED]);
    assert.deepEqual(handled, filters);
    connection.outbox.flush(connection.host.arena.buffer);
    assert.deepEqual(socket.written.subarray(-2), PINGRESP);
    assert.equal(socket.written.length, 4 + 4 * filters.length + 2);
  });

  test('what comes behind its share waits, what comes in the next turn does not', () => {
    open();
    const filters = names(POLLED - 1);
    for (let reads = 0; reads < 3; reads++) {
      assert.equal(read(unsubscribes(filters)), true);
      share.endTurn();
    }
    assert.equal(handled.length, 3 * filters.length);
    read(unsubscribes(filters));
    assert.equal(read(unsubscribes(filters)), false);
    assert.equal(handled.length, 3 * filters.length + POLLED);
    turnsUntilRead();
    assert.equal(handled.length, 5 * filters.length);
  });

  test('shares a turn with the others that are polled in it', () => {
    open();
    share.beginPolled({});
    shareMs += BUSY_MS_PER_TURN / 2;
    read(unsubscribes(names(POLLED)));
    assert.equal(handled.length, POLLED / 2);
    turnsUntilRead();
    assert.equal(handled.length, POLLED);
  });

  test('puts what is read meanwhile behind it, and finishes a frame that was cut', () => {
    open();
    const filters = names(POLLED * 2);
    const bytes = unsubscribes(filters);
    const cut = bytes.length - 3;
    read(bytes.subarray(0, cut - 5));
    // A runtime that reads by itself may have had this already.
    read(bytes.subarray(cut - 5, cut));
    assert.equal(handled.length, POLLED);
    turnsUntilRead();
    assert.deepEqual(handled, filters.slice(0, -1));
    read(bytes.subarray(cut));
    turnsUntilRead();
    assert.deepEqual(handled, filters);
  });

  test('a frame gathered from several reads counts, and what follows it waits', () => {
    open();
    const filters = names(20_000);
    const large = subscribe(1, ...filters.map((filter): [string, number] => [filter, 0]));
    const bytes = Buffer.concat([large, unsubscribe(2, 'last')]);
    const half = READ_HEADROOM_BYTES + 1_000;
    read(bytes.subarray(0, half));
    read(bytes.subarray(half));
    assert.equal(handled.length, filters.length);
    turnsUntilRead();
    assert.deepEqual(handled.slice(-2), [filters.at(-1), 'last']);
  });

  test('packets pipelined behind CONNECT have the same share', () => {
    const filters = names(POLLED + SERVED + 1);
    read(Buffer.concat([connect({ clientId: 'c' }), unsubscribes(filters)]));
    assert.equal(handled.length, 0);
    share.endTurn();
    attach();
    assert.deepEqual(turnsUntilRead(), [POLLED, POLLED + SERVED]);
    assert.deepEqual(handled, filters);
    assert.equal(socket.isPaused, false);
  });

  test('a close in between ends it', () => {
    open();
    read(unsubscribes(names(POLLED * 3)));
    connection.close(CloseReason.serverShutdown);
    turnsUntilRead();
    assert.equal(handled.length, POLLED);
    assert.equal(socket.isPaused, false);
  });

  test('another reason to pause keeps it waiting, and it goes on when that goes', () => {
    open();
    const filters = names(POLLED + SERVED);
    read(unsubscribes(filters));
    connection.pause(Pause.ringFull);
    turnsUntilRead();
    assert.equal(handled.length, POLLED);
    connection.unpause(Pause.ringFull);
    turnsUntilRead();
    assert.deepEqual(handled, filters);
  });

  test('a bad packet among the rest closes when its turn comes', () => {
    open();
    const filters = names(POLLED + 5);
    const bad = Buffer.from('820400000000', 'hex');
    read(Buffer.concat([unsubscribes(filters), bad, unsubscribe(1, 'never')]));
    assert.equal(closedFor, null);
    turnsUntilRead();
    assert.equal(closedFor, CloseReason.malformedPacket);
    assert.deepEqual(handled, filters);
  });

  test('is not timed out meanwhile', () => {
    open(1);
    read(unsubscribes(names(POLLED + 1)));
    pass(LONG_MS);
    assert.equal(closedFor, null);
    turnsUntilRead();
    assert.equal(closedFor, null, 'its silence was ours');
    pass(LONG_MS);
    assert.equal(closedFor, CloseReason.keepAliveTimeout);
  });
});
