/** What is known of topics by their hashes, and that a cache never misses a route by it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ROUTE_CACHE_ENTRIES } from '../../../src/base/limits.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { RouteCache } from '../../../src/router/route.js';
import { hashOfBytes, hashOfTopic, TopicPlaces } from '../../../src/router/topic-places.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';

describe('the places of topics', () => {
  test('are those of their bytes, whichever way they are hashed', () => {
    for (const topicKey of ['', 'a', 'a/b', '\u00ff\u0080/x', 'x'.repeat(300)]) {
      const bytes = Buffer.from(` ${topicKey} `, 'latin1');
      assert.equal(hashOfBytes(bytes, 1, bytes.length - 1), hashOfTopic(topicKey));
    }
  });

  test('tell of a kept topic for two generations', () => {
    const places = new TopicPlaces();
    assert.equal(places.mayBeKept(-7), false);
    places.keep(-7);
    places.growOld();
    assert.equal(places.mayBeKept(-7), true);
    places.growOld();
    assert.equal(places.mayBeKept(-7), false);
  });

  test('tell of one that was moved to the young generation for two more', () => {
    const places = new TopicPlaces();
    places.keep(1);
    places.growOld();
    places.keep(1);
    places.growOld();
    assert.equal(places.mayBeKept(1), true);
  });

  test('see a topic first, then again, until another takes its place', () => {
    const places = new TopicPlaces();
    assert.equal(places.isFirstSight(3), true);
    assert.equal(places.isFirstSight(3), false);
    assert.equal(places.isFirstSight(3 + ROUTE_CACHE_ENTRIES), true);
    assert.equal(places.isFirstSight(3), true);
  });

  test('let a cache of two generations find each route that it keeps', async () => {
    const cache = new RouteCache(await createTopicsProvider<Session, RetainedMessage>('mem'), 1);
    const find = (topicKey: string) => {
      const bytes = Buffer.from(topicKey, 'latin1');
      return cache.find(bytes, 0, bytes.length);
    };
    // The first of them are in the old generation when the last are kept.
    const topics = Array.from({ length: ROUTE_CACHE_ENTRIES + 1_000 }, (_, n) => `t/${n}`);
    const kept = topics.map((topicKey) => {
      find(topicKey);
      return find(topicKey);
    });
    // Each that is found in the old one moves to the young one, which begins anew when it is full.
    for (let n = topics.length - 1; n > 2_000; n--) assert.ok(find(topics[n]) === kept[n]);
  });
});
