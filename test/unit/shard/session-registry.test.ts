/** The sessions of a shard whose peers, clients and turns are the test's. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  ENDED_FILTER_BYTES_PER_TURN,
  ENDED_FILTER_MS_PER_TURN,
  ENDED_FILTERS_PER_LOOK,
  ENDED_FILTERS_PER_SHARE,
} from '../../../src/base/limits.js';
import type { QoS } from '../../../src/protocol/packet.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import type { Outlet, Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { ModelShard } from './model-net.js';

/** As many filters as several turns remove. */
const MANY = 5 * (ENDED_FILTER_BYTES_PER_TURN / 16);
/** What ModelShard publishes to. */
const TOPIC = 'a/b';

describe('the end of a session with many subscriptions', () => {
  let topics: TopicsProvider<Session, RetainedMessage>;
  let shard: ModelShard;
  let claims: number;

  beforeEach(async () => {
    claims = 0;
    topics = await createTopicsProvider('mem');
    shard = new ModelShard(0, 1, topics);
  });

  /** A session that has these filters, and TOPIC as the last of them. */
  function makeSession(clientId: string, filterCount: number, qos: QoS): Session {
    const session = shard.registry.create(clientId, Number.POSITIVE_INFINITY, 4, ++claims);
    const filters = Array.from({ length: filterCount }, (_, at): [string, QoS] => {
      return [`${clientId}/${String(at).padStart(6, '0')}/+`, qos];
    });
    shard.registry.subscribe(session, [...filters, [TOPIC, qos]], () => {});
    return session;
  }

  /** Filters that each of the turns that are asked for removes. */
  function turns(): number[] {
    const removed: number[] = [];
    while (shard.isScheduled) {
      const before = topics.filterCount;
      shard.endTurn();
      removed.push(before - topics.filterCount);
    }
    return removed;
  }

  test('takes several turns, none of which removes more than may be subscribed in one', () => {
    const session = makeSession('many', MANY, 1);
    shard.endTurn();
    shard.registry.end(session);
    assert.ok(topics.filterCount > MANY / 2, `${topics.filterCount} filters are left`);
    const removed = turns();
    assert.equal(topics.filterCount, 0);
    assert.ok(removed.length > 2);
    for (const filters of removed) assert.ok(filters <= ENDED_FILTER_BYTES_PER_TURN / 16 + 1);
  });

  test('is over at once when they are few', () => {
    shard.registry.end(makeSession('few', 10, 1));
    assert.equal(topics.filterCount, 0);
  });

  test('shares one turn with the ends of others', () => {
    const sessions = Array.from({ length: 100 }, (_, at) => makeSession(`s${at}`, 100, 1));
    shard.endTurn();
    for (const session of sessions) shard.registry.end(session);
    assert.ok(topics.filterCount > 5_000, `${topics.filterCount} filters are left`);
    turns();
    assert.equal(topics.filterCount, 0);
  });

  test('goes the faster the more there is to be removed', () => {
    const session = makeSession('very-many', 2 * ENDED_FILTERS_PER_SHARE, 0);
    shard.endTurn();
    shard.registry.end(session);
    const removed = turns();
    assert.ok(removed[0] > 1.5 * removed[removed.length - 2], removed.join());
    assert.equal(topics.filterCount, 0);
  });

  test('takes no longer of a turn than it may', () => {
    const session = makeSession('many', MANY, 1);
    shard.endTurn();
    shard.msPerLook = ENDED_FILTER_MS_PER_TURN / 2;
    shard.registry.end(session);
    for (const filters of turns()) assert.ok(filters <= 2 * ENDED_FILTERS_PER_LOOK);
    assert.equal(topics.filterCount, 0);
  });

  // What was read on the other shards waited for all that they had been told, 400 ms.
  test('waits while the ring is full, and goes on before those that feed it', () => {
    const session = makeSession('many', MANY, 1);
    shard.endTurn();
    shard.link.backlogBytes = 1;
    shard.registry.end(session);
    const left = topics.filterCount;
    assert.ok(left > MANY / 2, `${left} filters are left`);
    shard.isScheduled = false;
    for (let turn = 0; turn < 10; turn++) shard.endTurn();
    assert.equal(topics.filterCount, left);
    assert.equal(shard.isScheduled, false, 'the ring has it woken');
    shard.link.backlogBytes = 0;
    shard.registry.onRingRoom();
    assert.ok(topics.filterCount < left);
    assert.equal(shard.isScheduled, true);
    turns();
    assert.equal(topics.filterCount, 0);
  });

  for (const qos of [0, 1] as const) {
    test(`ends deliveries of QoS ${qos} to it at once`, () => {
      const session = makeSession('ended', MANY, qos);
      let appended = 0;
      const outlet = { slowQueue: null, append: () => appended++, wake: () => appended++ };
      session.attach(outlet as unknown as Outlet);
      shard.publish(['0:0']);
      const appendedBefore = appended;
      assert.ok(appendedBefore > 0);
      shard.registry.end(session);
      assert.equal(shard.routes.findKey(TOPIC).subscribers[0], session, 'it is still routed');
      shard.publish(['0:1']);
      assert.equal(appended, appendedBefore);
      assert.equal(session.window, null);
    });
  }

  test('leaves a new session of its client id without them, and with its own', () => {
    const session = makeSession('again', MANY, 1);
    shard.registry.end(session);
    const next = shard.registry.create('again', Number.POSITIVE_INFINITY, 4, ++claims);
    assert.equal(shard.registry.get('again'), next);
    assert.equal(next.subscriptions.size, 0);
    shard.publish(['0:0']);
    assert.equal(next.window, null);
    shard.registry.subscribe(next, [[TOPIC, 1]], () => {});
    turns();
    assert.equal(topics.filterCount, 1);
    shard.publish(['0:1']);
    assert.equal(next.openWindow().queuedMessages, 1);
  });
});
