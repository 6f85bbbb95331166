/** What a connection does that is sent much at once; the test does the reading. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { CloseReason } from '../../../src/base/errors.js';
import { READ_HEADROOM_BYTES, RECENT_ROUTES } from '../../../src/base/limits.js';
import { busyMsPerTurn, SHARE_SLACK } from '../../../src/base/turn-limits.js';
import { BusyConnections } from '../../../src/connection/busy-connections.js';
import { type Connection, Pause } from '../../../src/connection/connection.js';
import type { ConnectionHost } from '../../../src/connection/host.js';
import { TurnShare } from '../../../src/connection/turn-share.js';
import type { Filters } from '../../../src/router/replay-filters.js';
import { Route } from '../../../src/router/route.js';
import type { Session } from '../../../src/sessions/session.js';
import { connect, PINGREQ, PINGRESP, subscribe, unsubscribe } from '../../support/packets.js';
import { LoneConnection } from './lone-connection.js';

const BUSY_MS = busyMsPerTurn(1);

/** Longer than a keep alive of a second and all that is added to it. */
const LONG_MS = 10_000;

describe('a connection that is sent much at once', () => {
  let lone: LoneConnection;
  let connection: Connection;
  /** Filters subscribed to and unsubscribed from. */
  let handled: string[];
  /** What the handling of one filter takes, in milliseconds; the clock of shares goes by it. */
  const FILTER_MS = 1 / 128;
  /** The polled share is half of a turn's time. */
  const POLLED = Math.round(BUSY_MS / 2 / FILTER_MS);
  const SERVED = Math.round((BUSY_MS * (1 + SHARE_SLACK)) / FILTER_MS);
  let shareMs: number;
  let share: TurnShare;
  let busy: BusyConnections;

  beforeEach(() => {
    handled = [];
    shareMs = 1;
    share = new TurnShare(BUSY_MS, () => shareMs);
    busy = new BusyConnections(
      BUSY_MS,
      () => {},
      () => shareMs,
    );
    lone = new LoneConnection({
      share,
      onBusy: (one) => busy.add(one),
      subscribe(_, filters, __, confirmed) {
        for (const [filterKey] of filters) handle(filterKey);
        confirmed();
      },
      unsubscribe(_, filterKey) {
        handle(filterKey);
        return true;
      },
    });
    connection = lone.connection;
  });

  function handle(filterKey: string): void {
    handled.push(filterKey);
    shareMs += FILTER_MS;
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
    lone.open();
    const filters = names(POLLED + SERVED * 2 + 10);
    assert.equal(lone.read(Buffer.concat([unsubscribes(filters), PINGREQ])), false);
    assert.deepEqual(turnsUntilRead(), [POLLED, POLLED + SERVED, POLLED + 2 * SERVED]);
    assert.deepEqual(handled, filters);
    connection.outbox.flush(connection.host.arena.buffer);
    assert.deepEqual(lone.socket.written.subarray(-2), PINGRESP);
    assert.equal(lone.socket.written.length, 4 + 4 * filters.length + 2);
  });

  test('what comes behind its share waits, what comes in the next turn does not', () => {
    lone.open();
    const filters = names(POLLED - 1);
    for (let reads = 0; reads < 3; reads++) {
      assert.equal(lone.read(unsubscribes(filters)), true);
      share.endTurn();
    }
    assert.equal(handled.length, 3 * filters.length);
    lone.read(unsubscribes(filters));
    assert.equal(lone.read(unsubscribes(filters)), false);
    assert.equal(handled.length, 3 * filters.length + POLLED);
    turnsUntilRead();
    assert.equal(handled.length, 5 * filters.length);
  });

  test('shares a turn with the others that are polled in it', () => {
    lone.open();
    share.beginPolled({}, false);
    shareMs += BUSY_MS / 2;
    lone.read(unsubscribes(names(POLLED)));
    assert.equal(handled.length, POLLED / 2);
    turnsUntilRead();
    assert.equal(handled.length, POLLED);
  });

  test('puts what is read meanwhile behind it, and finishes a frame that was cut', () => {
    lone.open();
    const filters = names(POLLED * 2);
    const bytes = unsubscribes(filters);
    const cut = bytes.length - 3;
    lone.read(bytes.subarray(0, cut - 5));
    // A runtime that reads by itself may have had this already.
    lone.read(bytes.subarray(cut - 5, cut));
    assert.equal(handled.length, POLLED);
    turnsUntilRead();
    assert.deepEqual(handled, filters.slice(0, -1));
    lone.read(bytes.subarray(cut));
    turnsUntilRead();
    assert.deepEqual(handled, filters);
  });

  test('a packet of many filters is handled in parts, and what follows it waits', () => {
    lone.open();
    const filters = names(20_000);
    const large = subscribe(1, ...filters.map((filter): [string, number] => [filter, 0]));
    const bytes = Buffer.concat([large, unsubscribe(2, 'last')]);
    const half = READ_HEADROOM_BYTES + 1_000;
    lone.read(bytes.subarray(0, half));
    lone.read(bytes.subarray(half));
    assert.ok(handled.length < filters.length / 10, `${handled.length} at once`);
    turnsUntilRead();
    assert.deepEqual(handled, [...filters, 'last']);
  });

  test('an UNSUBSCRIBE of many filters is handled in parts, and answered at its end', () => {
    lone.open();
    const filters = names(20_000);
    lone.read(Buffer.concat([unsubscribe(1, ...filters), unsubscribe(2, 'last')]));
    assert.ok(handled.length < filters.length / 10, `${handled.length} at once`);
    turnsUntilRead();
    assert.deepEqual(handled, [...filters, 'last']);
  });

  test('a packet of many filters is left when its connection closes', () => {
    lone.open();
    const filters = names(20_000).map((filter): [string, number] => [filter, 0]);
    lone.read(subscribe(1, ...filters));
    connection.close(CloseReason.connectionLost);
    const before = handled.length;
    turnsUntilRead();
    assert.equal(handled.length, before);
  });

  test('a packet of many filters is kept when its connection or another is read next', () => {
    lone.open();
    const filters = names(4_000);
    lone.read(subscribe(1, ...filters.map(withQos)));
    assert.ok(handled.length < filters.length / 2, `${handled.length} at once`);
    lone.connection.host.readBuffer.fill('x');
    turnsUntilRead();
    assert.deepEqual(handled, filters);
  });

  const withQos = (filter: string): [string, number] => [filter, 0];
  const packets: [string, (filters: readonly string[]) => Buffer][] = [
    ['a SUBSCRIBE', (filters) => subscribe(1, ...filters.map(withQos))],
    ['an UNSUBSCRIBE', (filters) => unsubscribe(1, ...filters)],
  ];
  for (const [name, packet] of packets) {
    test(`${name} of many filters closes for its last one, and none is handled`, () => {
      lone.open();
      // Each part takes a look at the clock, and time passes with each.
      share = new TurnShare(BUSY_MS, () => shareMs++);
      Object.assign(connection.host, { share });
      const filters = names(20_000);
      filters.push('zero\0');
      const bytes = packet(filters);
      const half = READ_HEADROOM_BYTES + 1_000;
      lone.read(bytes.subarray(0, half));
      lone.read(bytes.subarray(half));
      assert.equal(lone.closedFor, null, 'all of it was checked at once');
      turnsUntilRead();
      assert.equal(lone.closedFor, CloseReason.malformedPacket);
      assert.deepEqual(handled, []);
    });
  }

  test('what is retained for very many filters is prepared in parts, before the SUBACK', () => {
    const CONNACK_BYTES = 4;
    const flush = () => connection.outbox.flush(connection.host.arena.buffer);
    const replayed: string[] = [];
    let isHeld = false;
    Object.assign(connection.host, {
      replayRetained(_: Session, filters: Filters) {
        assert.ok(isHeld, 'sent before the SUBACK');
        for (const [filterKey] of filters) {
          replayed.push(filterKey);
          shareMs += FILTER_MS;
        }
      },
    });
    lone.open();
    const hold = () => {
      isHeld = true;
    };
    const release = () => {
      assert.deepEqual(replayed, filters);
      isHeld = false;
    };
    Object.assign(connection.session!, { replay: { hold, release } });
    const filters = names(5_000);
    lone.read(subscribe(1, ...filters.map(withQos)));
    for (let turns = 0; busy.size > 0; turns++) {
      assert.ok(turns < 1_000);
      flush();
      assert.equal(lone.socket.written.length, CONNACK_BYTES);
      const before = replayed.length;
      nextTurn();
      assert.ok(replayed.length - before <= SERVED, `${replayed.length - before} in a turn`);
    }
    assert.equal(isHeld, false);
    flush();
    const subackBytes = 1 + 2 + 2 + filters.length;
    assert.equal(lone.socket.written.length, CONNACK_BYTES + subackBytes);
  });

  test('packets pipelined behind CONNECT have the same share', () => {
    const filters = names(POLLED + SERVED + 1);
    lone.read(Buffer.concat([connect({ clientId: 'c' }), unsubscribes(filters)]));
    assert.equal(handled.length, 0);
    share.endTurn();
    lone.attach();
    assert.deepEqual(turnsUntilRead(), [POLLED, POLLED + SERVED]);
    assert.deepEqual(handled, filters);
    assert.equal(lone.socket.isPaused, false);
  });

  test('a close in between ends it', () => {
    lone.open();
    lone.read(unsubscribes(names(POLLED * 3)));
    connection.close(CloseReason.serverShutdown);
    turnsUntilRead();
    assert.equal(handled.length, POLLED);
    assert.equal(lone.socket.isPaused, false);
  });

  test('another reason to pause keeps it waiting, and it goes on when that goes', () => {
    lone.open();
    const filters = names(POLLED + SERVED);
    lone.read(unsubscribes(filters));
    connection.pause(Pause.ringFull);
    turnsUntilRead();
    assert.equal(handled.length, POLLED);
    connection.unpause(Pause.ringFull);
    turnsUntilRead();
    assert.deepEqual(handled, filters);
  });

  // A stream that decrypts tells of its end as soon as it has given out all, paused or not.
  test('is closed when all of it is handled, though its client has closed its side', () => {
    lone.open();
    const filters = names(POLLED + SERVED + 1);
    lone.read(unsubscribes(filters));
    connection.onEnd();
    assert.equal(lone.closedFor, null);
    turnsUntilRead();
    assert.deepEqual(handled, filters);
    assert.equal(lone.closedFor, CloseReason.connectionLost);
  });

  // Nothing more would come of it: without keep alive it would stay for ever.
  test('is closed behind what it has pipelined, though that is just its share', () => {
    const filters = names(POLLED);
    lone.read(Buffer.concat([connect({ clientId: 'c' }), unsubscribes(filters)]));
    connection.onEnd();
    share.endTurn();
    lone.attach();
    assert.deepEqual(handled, filters);
    assert.equal(lone.closedFor, CloseReason.connectionLost);
  });

  // What follows it may be about the same filters.
  test('what follows a packet in parts waits for its end, not only for the rate', () => {
    lone.open();
    const filters = names(4_000);
    lone.read(Buffer.concat([subscribe(1, ...filters.map(withQos)), unsubscribe(2, 'last')]));
    connection.pause(Pause.overRate);
    nextTurn();
    nextTurn();
    connection.goOnBelowRate();
    assert.ok(!handled.includes('last'));
    turnsUntilRead();
    assert.deepEqual(handled, [...filters, 'last']);
    assert.equal(lone.socket.isPaused, false);
  });

  // The event loop does not poll it meanwhile: it would flood on at critical memory.
  test('is paused for memory while it is read in turn, too', () => {
    lone.open();
    lone.open();
    const served: Connection[] = [];
    let reads = 0;
    Object.assign(lone.socket, {
      readNow: (buffer: Buffer, at: number, length: number) => {
        assert.ok(++reads < 4, 'it is read without end');
        buffer.fill(PINGREQ, at, at + length);
        return length;
      },
    });
    Object.assign(connection.host, {
      afterRead: (read: Connection, isPolled = true) => {
        if (isPolled) return;
        served.push(read);
        read.pause(Pause.memory);
      },
    });
    lone.read(unsubscribes(names(POLLED + 1)));
    nextTurn();
    assert.deepEqual(served, [connection]);
    assert.equal(reads, 1);
  });

  test('a bad packet among the rest closes when its turn comes', () => {
    lone.open();
    const filters = names(POLLED + 5);
    const bad = Buffer.from('820400000000', 'hex');
    lone.read(Buffer.concat([unsubscribes(filters), bad, unsubscribe(1, 'never')]));
    assert.equal(lone.closedFor, null);
    turnsUntilRead();
    assert.equal(lone.closedFor, CloseReason.malformedPacket);
    assert.deepEqual(handled, filters);
  });

  test('is not timed out meanwhile', () => {
    lone.open(1);
    lone.read(unsubscribes(names(POLLED + 1)));
    lone.pass(LONG_MS);
    assert.equal(lone.closedFor, null);
    turnsUntilRead();
    assert.equal(lone.closedFor, null, 'its silence was ours');
    lone.pass(LONG_MS);
    assert.equal(lone.closedFor, CloseReason.keepAliveTimeout);
  });
});

describe('a publisher of many topics', () => {
  const route = (topicKey: string): Route => new Route(topicKey, 0);
  const topicsOf = (connection: Connection): string[] =>
    [...new Set(connection.recentRoutes().map(({ topicKey }) => topicKey))].sort();

  test('is known by all of them while they are few, however long it goes on', () => {
    const { connection } = new LoneConnection();
    const routes = ['a', 'b', 'c'].map(route);
    for (let n = 0; n < 4; n++) connection.changeRoute(routes[n % 3]);
    assert.deepEqual(topicsOf(connection), ['a', 'b', 'c']);
    for (let n = 0; n < 1_000; n++) connection.changeRoute(routes[n % 3]);
    assert.deepEqual(topicsOf(connection), ['a', 'b', 'c']);
  });

  test('is known by the last and some others, when none comes twice', () => {
    const { connection } = new LoneConnection();
    for (let n = 0; n < 1_000; n++) connection.changeRoute(route(`t/${n}`));
    const topics = topicsOf(connection);
    assert.ok(topics.includes('t/999'));
    assert.equal(topics.length, RECENT_ROUTES + 1);
    assert.ok(
      topics.every((topic) => Number(topic.slice(2)) > 900),
      `${topics}`,
    );
  });

  test('finds the route of a topic that comes in turn with others, while it may be used', () => {
    const stale = new Set<Route>();
    const routes = { isFresh: (one: Route) => !stale.has(one) } as ConnectionHost['routes'];
    const { connection } = new LoneConnection({ routes });
    const find = (topic: string): Route | null =>
      connection.findRecentRoute(Buffer.from(`-${topic}-`), 1, topic.length);
    assert.equal(find('a'), null);
    const [a, b] = ['a', 'b'].map(route);
    for (const one of [a, b, a]) connection.changeRoute(one);
    assert.deepEqual([find('a'), find('b'), find('c')], [a, b, null]);
    stale.add(a);
    assert.deepEqual([find('a'), find('b')], [null, b]);
  });
});
