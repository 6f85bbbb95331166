/** Cached routes against fresh matches, after any changes of filters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { type Route, RouteCache } from '../../../src/router/route.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { MatchResult } from '../../../src/topics/subscription-tree.js';
import { filterKey, topicKey } from '../topics/arbitraries.js';

const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };
const sessions = ['a', 'b', 'c'].map(
  (clientId) => new Session(clientId, 0, 4, 1, LIMITS, new AbsentQueues()),
);

const session = fc.constantFrom(...sessions);
const shard = fc.constantFrom(1, 30, 31);
const qos = fc.constantFrom(0, 1, 2);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant('subscribe' as const), filterKey, session, qos) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('unsubscribe' as const), filterKey, session, qos) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('addShard' as const), filterKey, session, shard) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('removeShard' as const), filterKey, session, shard),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('dropShard' as const), filterKey, session, shard) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('sweep' as const), filterKey, session, shard) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('publish' as const), topicKey, session, shard) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('publishPart' as const), topicKey, session, shard) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A shard's filters and routes, and a connection for each topic, which keeps its last route. */
class Publishers {
  readonly #lastRoutes = new Map<string, Route>();
  readonly #topics: TopicsProvider<Session, RetainedMessage>;
  readonly #routes: RouteCache;

  constructor(topics: TopicsProvider<Session, RetainedMessage>) {
    this.#topics = topics;
    this.#routes = new RouteCache(topics, 32);
  }

  perform([kind, key, session, number]: Step): void {
    const topics = this.#topics;
    const routes = this.#routes;
    switch (kind) {
      case 'subscribe':
        topics.subscribe(key, session, number as 0 | 1 | 2);
        routes.invalidate(key);
        break;
      case 'unsubscribe':
        topics.unsubscribe(key, session);
        routes.invalidate(key);
        break;
      case 'addShard':
        topics.addShard(key, number);
        routes.invalidate(key);
        break;
      case 'removeShard':
        topics.removeShard(key, number);
        routes.invalidate(key);
        break;
      case 'dropShard':
        topics.removeShardEverywhere(number);
        routes.invalidateAll();
        break;
      case 'sweep':
        routes.sweep();
        break;
      default:
        this.check(key, kind === 'publish' ? Number.POSITIVE_INFINITY : 1);
    }
  }

  check(topic: string, stepsMax: number): void {
    let route: Route | null | undefined = this.#lastRoutes.get(topic);
    if (route === undefined || !this.#routes.isFresh(route)) {
      const bytes = Buffer.from(topic, 'latin1');
      route = this.#routes.findWithin(bytes, 0, bytes.length, stepsMax);
      if (route === null) return;
      this.#lastRoutes.set(topic, route);
    }
    const match = new MatchResult<Session>();
    this.#topics.match(topic, match);
    const list = (subscribers: readonly Session[], granted: readonly number[], count: number) =>
      Array.from({ length: count }, (_, i) => `${subscribers[i]!.clientId}${granted[i]}`).sort();
    const found = list(route.subscribers, route.grants, route.subscribers.length);
    assert.deepEqual(found, list(match.subscribers, match.grants, match.count), topic);
    assert.equal(route.shardMask, match.shardMask, topic);
  }
}

test('after any changes of filters a cached route is what a fresh match finds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 150, size: 'max' }), async (steps) => {
      const publishers = new Publishers(await createTopicsProvider('mem'));
      for (const step of steps) publishers.perform(step);
      for (const [kind, key] of steps) {
        if (kind === 'publish') publishers.check(key, Number.POSITIVE_INFINITY);
      }
    }),
    { numRuns: 400 },
  );
});
