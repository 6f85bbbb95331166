/** Runs that must not be torn apart by a flush, and what they may have the arena grow to. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenOutlet } from '../../../bench/support/open-outlet.js';
import { Counter, Counters } from '../../../src/base/counters.js';
import { TURN_ARENA_BYTES } from '../../../src/base/limits.js';
import { Delivery } from '../../../src/router/delivery.js';
import { RouteCache } from '../../../src/router/route.js';
import { PLAIN_RUN } from '../../../src/router/run-traits.js';
import { Impatience } from '../../../src/router/slowdown.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Receiver } from '../../../src/sessions/receiver.js';
import { Session } from '../../../src/sessions/session.js';
import { makeGrant } from '../../../src/topics/grant.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';
import { publish } from '../../support/packets.js';
import { parsePublish5 } from '../../support/packets5.js';

const TOPIC = 'long/ones';
const PAYLOAD = 'x'.repeat(TURN_ARENA_BYTES / 4);
const LIMITS = { maxInflight: 10, maxQueuedMessages: 1_000, maxQueuedBytes: 1e9 };
const QOS_2_HEADER = 0x34;

/** A client of 5.0 with an identifier of its own: no other takes the bytes that it takes. */
class Client extends OpenOutlet {
  readonly session: Session;
  /** By message: its identifiers, and whether it is whole. */
  readonly seen: unknown[] = [];
  readonly #arena: TurnArena;
  #noted: [number, number][] = [];

  constructor(arena: TurnArena, total: QueuedTotal) {
    super();
    this.#arena = arena;
    this.session = new Session('client', 0, 5, 1, LIMITS, new AbsentQueues(total));
    this.session.receiver = new Receiver({
      topicAliasMaximum: 0,
      maximumPacketSize: Number.POSITIVE_INFINITY,
    });
    this.session.attach(this);
  }

  override append(start: number, end: number): void {
    this.#noted.push([start, end]);
  }

  flush(): void {
    for (const [start, end] of this.#noted) {
      const { block, payload, topic } = parsePublish5(this.#arena.buffer.subarray(start, end));
      this.seen.push([block, topic, payload === PAYLOAD]);
    }
    this.#noted = [];
  }
}

/** As many clients as want the topic at QoS 0, and what delivers to them. */
async function setUp(count: number, total = new QueuedTotal()) {
  const counters = new Counters();
  let flushes = 0;
  const clients: Client[] = [];
  const arena: TurnArena = new TurnArena(() => {
    flushes++;
    for (const client of clients) client.flush();
    arena.rewind();
  });
  const topics = await createTopicsProvider<Session, never>('mem');
  for (let n = 0; n < count; n++) {
    const client = new Client(arena, total);
    clients.push(client);
    topics.subscribe(TOPIC, client.session, makeGrant(0, false, false, n + 1));
  }
  const pressure = { impatient: new Map(), onFed: () => {}, relieve: () => {} };
  const clock = { now: 1 };
  const parts = { shardIndex: 0, arena, pressure, counters, queuedTotal: total, clock };
  const delivery = new Delivery(parts);
  const route = new RouteCache(topics as never, 1).findKey(TOPIC);
  const deliver = () => {
    const bytes = publish({ topic: TOPIC, payload: PAYLOAD, qos: 2, packetId: 1 });
    const { none } = Impatience;
    delivery.deliver(0, 1, none, route, bytes, 0, bytes.length, QOS_2_HEADER, 1, PLAIN_RUN);
    // What was read is gone when the next read comes.
    bytes.fill(0xff);
  };
  return { arena, total, counters, clients, delivery, deliver, flushes: () => flushes };
}

function expected(clients: readonly Client[], times: number): unknown[][] {
  return clients.map((_, n) =>
    Array.from({ length: times }, () => [
      `0b${(n + 1).toString(16).padStart(2, '0')}`,
      TOPIC,
      true,
    ]),
  );
}

test('the arena does not grow with the number of those who take a form of their own', async () => {
  const { arena, total, clients, delivery, deliver, flushes } = await setUp(100);
  arena.isHeld = true;
  deliver();
  deliver();
  assert.equal(flushes(), 0, 'nothing of it is torn apart');
  assert.ok(arena.buffer.length <= 2 * TURN_ARENA_BYTES, `${arena.buffer.length} bytes`);
  assert.ok(total.bytes < 3 * PAYLOAD.length, 'they share one copy of each');
  arena.isHeld = false;
  delivery.onReleased();
  assert.ok(arena.buffer.length <= 2 * TURN_ARENA_BYTES, `${arena.buffer.length} bytes`);
  for (const client of clients) client.flush();
  assert.deepEqual(
    clients.map(({ seen }) => seen),
    expected(clients, 2),
  );
  assert.equal(total.bytes, 0);
});

test('what finds no room to wait for the end of the hold is dropped, and counted', async () => {
  const { arena, counters, clients, delivery, deliver } = await setUp(100, new QueuedTotal(1_000));
  arena.isHeld = true;
  deliver();
  arena.isHeld = false;
  delivery.onReleased();
  for (const client of clients) client.flush();
  const seen = clients.filter(({ seen: each }) => each.length === 1).length;
  assert.ok(seen > 0 && seen < 100);
  assert.equal(counters.get(Counter.droppedSlowConsumer), 100 - seen);
});
