import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { ROUTE_CACHE_TOPIC_BYTES_MAX } from '../../../src/base/limits.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { type Route, RouteCache } from '../../../src/router/route.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';

describe('the route cache', () => {
  let cache: RouteCache;
  before(async () => {
    cache = new RouteCache(await createTopicsProvider<Session, RetainedMessage>('mem'), 1);
  });

  /** The route of a topic that was asked for often enough to be kept, and the next one. */
  function findAgain(length: number): [Route, Route] {
    const topic = Buffer.alloc(length, 'a');
    cache.find(topic, 0, length);
    return [cache.find(topic, 0, length), cache.find(topic, 0, length)];
  }

  test('keeps the route of a topic that comes again', () => {
    const [first, second] = findAgain(ROUTE_CACHE_TOPIC_BYTES_MAX);
    assert.equal(first, second);
    assert.ok(cache.isFresh(first));
  });

  // 131,072 topics of 64 KiB would be kept otherwise, each found more slowly than the last.
  test('keeps none of a longer topic, and finds it all the same', () => {
    const [first, second] = findAgain(ROUTE_CACHE_TOPIC_BYTES_MAX + 1);
    assert.notEqual(first, second);
    assert.equal(first.topicKey, second.topicKey);
    assert.ok(!cache.isFresh(first));
  });
});
