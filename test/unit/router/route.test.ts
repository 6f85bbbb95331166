/** What the cache of routes knows, and when it has to ask again. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ProtocolError } from '../../../src/base/errors.js';
import {
  LEFT_MATCH_SWEEPS_MAX,
  LEFT_MATCHES_MAX,
  ROUTE_CACHE_ENTRIES,
  ROUTE_CACHE_SUBSCRIBERS_MAX,
  ROUTE_CHANGES_KEPT,
  ROUTES_SWEPT_MAX,
} from '../../../src/base/limits.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { type Route, RouteCache, retainedOwnerOf } from '../../../src/router/route.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';

const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };
const SHARDS = 3;

describe('the route of a topic', () => {
  let topics: TopicsProvider<Session, RetainedMessage>;
  let routes: RouteCache;
  let session: Session;

  beforeEach(async () => {
    topics = await createTopicsProvider('mem');
    routes = new RouteCache(topics, SHARDS);
    session = new Session('c', 0, 4, 1, LIMITS, new AbsentQueues());
  });

  /** As a connection asks: the topic's bytes in the midst of others. */
  function find(topic: string): Route {
    const bytes = Buffer.from(`<<${topic}>>`);
    return routes.find(bytes, 2, bytes.length - 4);
  }

  /** The route as it is kept: asked for often enough. */
  function keep(topic: string): Route {
    find(topic);
    return find(topic);
  }

  function brief(route: Route): string {
    const local = route.subscribers.map(
      ({ clientId }, at) => `${clientId}${route.grants[at]! & 3}`,
    );
    return `${local.join()}|${route.shardMask}`;
  }

  function subscribe(filter: string, qos: 0 | 1 | 2): void {
    topics.subscribe(filter, session, qos);
    routes.invalidate(filter);
  }

  test('names local subscribers, interested shards and the retained owner', () => {
    subscribe('a/b', 2);
    topics.addShard('a/+', 2);
    const route = find('a/b');
    assert.equal(brief(route), 'c2|4');
    assert.equal(route.topicKey, 'a/b');
    assert.equal(route.retainedOwner, retainedOwnerOf('a/b', SHARDS));
    assert.equal(brief(find('other')), '|0');
    assert.equal(brief(route), 'c2|4', 'and goes on to');
  });

  test('is used by nobody twice before it is kept', () => {
    // It is in no map, and would miss what is invalidated.
    const first = find('a');
    assert.equal(routes.isFresh(first), false);
    const second = find('a');
    assert.notEqual(second, first);
    assert.equal(routes.isFresh(second), true);
    assert.equal(find('a'), second);
    assert.equal(routes.findKey('a'), second);
  });

  test('is stale when its exact filter changes, and others are not', () => {
    const changed = keep('a');
    const other = keep('b');
    subscribe('a', 1);
    assert.deepEqual([routes.isFresh(changed), routes.isFresh(other)], [false, true]);
    assert.equal(brief(find('a')), 'c1|0');
    assert.equal(find('a'), changed);
    assert.equal(routes.isFresh(changed), true);
  });

  test('lets go of the subscribers of a filter that changed', () => {
    subscribe('a', 1);
    const route = keep('a');
    const held = route.subscribers;
    topics.unsubscribe('a', session);
    routes.invalidate('a');
    assert.deepEqual([route.subscribers.length, route.grants.length], [0, 0]);
    assert.deepEqual(held, [session], 'a delivery under way goes on');
  });

  test('is as good as before when a wildcard filter changes that does not match it', () => {
    subscribe('a/b', 1);
    const route = keep('a/b');
    const { subscribers } = route;
    const before = topics.matchSteps;
    for (const filter of ['x/+', '+', 'a/b/+', '+/c/#']) subscribe(filter, 1);
    assert.equal(find('a/b'), route);
    assert.equal(routes.isFresh(route), true);
    assert.equal(route.subscribers, subscribers, 'the very list');
    assert.equal(topics.matchSteps, before, 'nothing was matched');
  });

  test('is stale when a wildcard filter changes that matches it, or everything may have', () => {
    const route = keep('a/b');
    for (const filter of ['+/+', 'a/#', 'a/b/#', '#']) {
      subscribe(filter, 0);
      assert.equal(routes.isFresh(route), false);
      assert.equal(brief(find('a/b')), 'c0|0');
      topics.unsubscribe(filter, session);
      routes.invalidate(filter);
      assert.equal(brief(find('a/b')), '|0');
    }
    topics.addShard('a/b', 1);
    routes.invalidateAll();
    assert.equal(routes.isFresh(route), false);
    assert.equal(brief(routes.findKey('a/b')), '|2');
  });

  test('is found anew when more filters have changed than are remembered', () => {
    const route = keep('a/b');
    topics.subscribe('a/+', session, 1);
    routes.invalidate('a/+');
    for (let i = 0; i < 2 * ROUTE_CHANGES_KEPT; i++) routes.invalidate(`x/${i}/+`);
    assert.equal(routes.isFresh(route), false);
    assert.equal(brief(find('a/b')), 'c1|0');
  });

  test('lets go of who has unsubscribed, even if the topic never comes again', () => {
    const kept = Array.from({ length: 3 * ROUTES_SWEPT_MAX }, (_, i) => keep(`t/${i}`));
    subscribe('t/#', 1);
    for (const route of kept) assert.equal(brief(find(route.topicKey)), 'c1|0');
    topics.unsubscribe('t/#', session);
    routes.invalidate('t/#');
    for (let sweeps = 0; sweeps < 10; sweeps++) routes.sweep();
    for (const route of kept) assert.equal(route.subscribers.length, 0);
  });

  test('is let go of when the routes have too many subscribers together', () => {
    const many = 2_048;
    for (let i = 0; i < many; i++) {
      const other = new Session(`${i}`, 0, 4, 1, LIMITS, new AbsentQueues());
      topics.subscribe('#', other, 0);
    }
    const kept = Array.from({ length: 3_072 }, (_, i) => keep(`t/${i}`));
    const subscribers = kept.reduce((sum, route) => sum + route.subscribers.length, 0);
    assert.ok(subscribers <= 2 * ROUTE_CACHE_SUBSCRIBERS_MAX + many, `${subscribers}`);
    assert.equal(find('t/0').subscribers.length, many);
  });

  test('that leaves the cache is stale for whoever has kept it', () => {
    const kept = keep('kept');
    for (let topic = 0; topic < 2 * ROUTE_CACHE_ENTRIES; topic++) {
      routes.findKey(`t/${topic}`);
      routes.findKey(`t/${topic}`);
    }
    assert.equal(routes.isFresh(kept), false);
    const again = find('kept');
    subscribe('kept', 1);
    assert.equal(routes.isFresh(kept), false);
    assert.equal(brief(find('kept')), 'c1|0');
    assert.notEqual(again, kept);
  });

  test('from the older generation is the same one', () => {
    const route = keep('a');
    for (let topic = 0; topic < ROUTE_CACHE_ENTRIES; topic++) {
      routes.findKey(`t/${topic}`);
      routes.findKey(`t/${topic}`);
    }
    topics.subscribe('a', session, 1);
    routes.invalidate('a');
    assert.equal(routes.isFresh(route), false);
    assert.equal(find('a'), route, 'without being asked for twice');
    assert.equal(brief(route), 'c1|0');
    topics.unsubscribe('a', session);
    routes.invalidate('a');
    assert.equal(routes.isFresh(route), false);
  });

  test('comes after as many calls as its match takes, whoever asks', () => {
    for (let bits = 0; bits < 1_024; bits++) {
      const levels = Array.from({ length: 10 }, (_, at) => ((bits >> at) & 1 ? '+' : 'a'));
      topics.subscribe(levels.join('/'), session, 1);
    }
    const topic = Buffer.from(`${'a/'.repeat(9)}a`);
    let calls = 1;
    const before = routes.matchSteps;
    while (routes.findWithin(topic, 0, topic.length, 100) === null) {
      assert.ok(routes.matchSteps - before <= 110 * calls);
      calls++;
      assert.equal(brief(find('other')), '|0', 'others are found meanwhile');
    }
    assert.ok(calls > 10, `${calls}`);
    const route = routes.findWithin(topic, 0, topic.length, 1)!;
    assert.deepEqual([brief(route), routes.isFresh(route)], ['c1|0', true]);
  });

  test('comes at last where more matches are left than are kept, and where others gave up', () => {
    for (let bits = 0; bits < 256; bits++) {
      const levels = Array.from({ length: 8 }, (_, at) => ((bits >> at) & 1 ? '+' : 'a'));
      topics.subscribe([...levels, '+'].join('/'), session, 1);
    }
    const topicOf = (last: number) => `${'a/'.repeat(8)}${last}`;
    const waiting = new Set(Array.from({ length: 2 * LEFT_MATCHES_MAX }, (_, last) => last));
    // Half of those that were left are never asked for again.
    for (const last of waiting) assert.equal(routes.findKeyWithin(topicOf(last), 20), null);
    for (let last = 0; last < LEFT_MATCHES_MAX; last += 2) waiting.delete(last);
    for (let sweep = 0; waiting.size > 0; sweep++) {
      assert.ok(sweep < 4 * LEFT_MATCH_SWEEPS_MAX, `${[...waiting]}`);
      for (const last of waiting) {
        const route = routes.findKeyWithin(topicOf(last), 100);
        if (route === null) continue;
        assert.equal(brief(route), 'c1|0');
        waiting.delete(last);
      }
      routes.sweep();
    }
  });

  test('is not given for what is no topic name, however often', () => {
    const bad: [topic: Buffer, clause: string][] = [
      [Buffer.from('a/+'), 'MQTT-3.3.2-2'],
      [Buffer.from('a/#'), 'MQTT-3.3.2-2'],
      [Buffer.from('a/'.repeat(300)), 'MQTT-3.3.2-2'],
      [Buffer.from([0x61, 0xff]), 'MQTT-1.5.3-1'],
      [Buffer.from([0x61, 0]), 'MQTT-1.5.3-1'],
      [Buffer.from([0xed, 0xa0, 0x80]), 'MQTT-1.5.3-1'],
    ];
    for (const [topic, clause] of bad) {
      for (let times = 0; times < 3; times++) {
        const isRight = (error: unknown) =>
          error instanceof ProtocolError && error.clause === clause;
        assert.throws(() => routes.find(topic, 0, topic.length), isRight, topic.toString('latin1'));
      }
    }
  });

  test('knows its topic by the bytes', () => {
    const route = find('grüße/a');
    const bytes = Buffer.from('xgrüße/a');
    assert.equal(route.isTopic(bytes, 1, bytes.length - 1), true);
    assert.equal(route.isTopic(bytes, 1, bytes.length - 2), false);
    assert.equal(route.isTopic(bytes, 0, bytes.length - 1), false);
    bytes[bytes.length - 1] ^= 1;
    assert.equal(route.isTopic(bytes, 1, bytes.length - 1), false);
  });

  test('lets clients publish to all topics but those of the server', () => {
    const topicsOf = (isPublishable: boolean) =>
      ['$SYS', '$SYS/a', '$SYSTEM', '$a', 'a/$SYS'].filter(
        (topic) => find(topic).isPublishable === isPublishable,
      );
    assert.deepEqual(topicsOf(false), ['$SYS', '$SYS/a']);
    assert.deepEqual(topicsOf(true), ['$SYSTEM', '$a', 'a/$SYS']);
  });

  test('every topic has an owner of its retained message, and they are spread', () => {
    const counts = new Array<number>(SHARDS).fill(0);
    for (let topic = 0; topic < 3_000; topic++) counts[retainedOwnerOf(`t/${topic}`, SHARDS)]++;
    for (const count of counts) assert.ok(count > 800, `${counts}`);
    assert.equal(retainedOwnerOf('anything', 1), 0);
  });
});
