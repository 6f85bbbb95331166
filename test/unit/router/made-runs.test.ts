/** Runs made by a shard itself, beside filters that make every match of their topics long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters } from '../../../src/base/counters.js';
import { MADE_RUNS_STEPS_PER_TURN } from '../../../src/base/limits.js';
import { frameEnd } from '../../../src/protocol/publish-frame.js';
import { MadeRuns } from '../../../src/router/made-runs.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RetainedInMemory } from '../../../src/router/retained-in-memory.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { RetainedStore } from '../../../src/router/retained-store.js';
import { RouteCache } from '../../../src/router/route.js';
import { Router } from '../../../src/router/router.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Session } from '../../../src/sessions/session.js';
import { willRun } from '../../../src/sessions/will.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';

const LEVELS = 12;
const LIMITS = { maxInflight: 1_000, maxQueuedMessages: 1_000, maxQueuedBytes: 1_000_000 };

test('many wills are published in order, no turn taking more steps than it may', async () => {
  const topics = await createTopicsProvider<Session, RetainedMessage>('mem');
  const routes = new RouteCache(topics, 1);
  const session = new Session('reader', Number.POSITIVE_INFINITY, 4, 1, LIMITS, new AbsentQueues());
  for (let bits = 0; bits < 2 ** LEVELS; bits++) {
    const levels = Array.from({ length: LEVELS }, (_, at) => ((bits >> at) & 1 ? '+' : 'a'));
    topics.subscribe([...levels, '+'].join('/'), session, 1);
  }
  const counters = new Counters();
  const arena: TurnArena = new TurnArena(() => arena.rewind());
  const share = { maxRetainedMessages: 10, maxRetainedBytes: 1_000 };
  const router = new Router({
    shardIndex: 0,
    routes,
    arena,
    link: { hasNews: false, mark: () => 0, isPast: () => true } as unknown as PeerLink,
    retained: new RetainedStore(new RetainedInMemory(topics), counters, share),
    pressure: { impatient: new Map(), onFed: () => {}, relieve: () => {} },
    queuedTotal: new QueuedTotal(),
    counters,
    clock: { now: 1 },
  });
  const wills = 40;
  const before = routes.matchSteps;
  for (let will = 0; will < wills; will++) {
    const topic = `${'a/'.repeat(LEVELS)}${will}`;
    const run = willRun({ topic, payload: Buffer.from(`${will}`), qos: 1, retain: false });
    router.publishRun(run, topic);
  }
  // What collecting its subscribers takes is not known before.
  const stepsMax = MADE_RUNS_STEPS_PER_TURN + 2 ** (LEVELS + 1);
  assert.ok(routes.matchSteps - before <= stepsMax, `${routes.matchSteps - before}`);
  assert.ok(session.window!.queuedMessages < wills, 'not all in one turn');
  let turns = 1;
  for (let from = routes.matchSteps; router.made.goOn(); from = routes.matchSteps) {
    assert.ok(routes.matchSteps - from <= stepsMax, `${routes.matchSteps - from}`);
    turns++;
  }
  assert.ok(turns > 5, `${turns} turns`);
  const target = Buffer.alloc(65_536);
  const end = session.window!.fill(target, 0, target.length, 1);
  const numbers: number[] = [];
  for (let at = 0; at < end; at = frameEnd(target, at)) {
    // Behind the fixed header of two bytes, the topic, and the packet id.
    const payloadStart = at + 4 + target.readUInt16BE(at + 2) + 2;
    numbers.push(Number(target.toString('latin1', payloadStart, frameEnd(target, at))));
  }
  assert.deepEqual(
    numbers,
    Array.from({ length: wills }, (_, will) => will),
  );
});

// A run that fills the arena is flushed in the middle, and behind a flush what waits goes on.
test('what waits is published once, and nothing behind it forgotten, whatever it flushes', () => {
  let isPast = false;
  const link = { hasNews: true, isBlocked: false, mark: () => 0, isPast: () => isPast };
  const routes = { matchSteps: 0, findKeyWithin: () => ({}) };
  const published: string[] = [];
  const parts = { routes, link } as unknown as ConstructorParameters<typeof MadeRuns>[0];
  const made = new MadeRuns(parts, ({ bytes }) => {
    published.push(bytes.toString('latin1').at(-1)!);
    made.goOn();
    return true;
  });
  for (const name of ['a', 'b']) {
    const payload = Buffer.from(name);
    made.publish(willRun({ topic: 't', payload, qos: 0, retain: false }), 't');
  }
  made.whenPublished(() => published.push('done'));
  isPast = true;
  made.goOn();
  assert.deepEqual(published, ['a', 'b', 'done']);
  assert.equal(made.areWaiting, false);
  assert.equal(made.bytes, 0);
});

// A shard that dies waits for those that wait here, and what waits for it has to let them by.
test('what is too early is put aside, and the rest goes on', () => {
  const link = { hasNews: false, isBlocked: false, mark: () => 0, isPast: () => true };
  const routes = { matchSteps: 0, findKeyWithin: (topicKey: string) => ({ topicKey }) };
  const said: string[] = [];
  const parts = { routes, link } as unknown as ConstructorParameters<typeof MadeRuns>[0];
  const made = new MadeRuns(parts, (_run, { topicKey }, done) => {
    said.push(topicKey);
    done?.();
    return true;
  });
  const early = new Set(['a', 'b']);
  made.isTooEarly = ({ topicKey }) => early.has(topicKey);
  for (const topic of ['a', 'b', 'c']) {
    const run = willRun({ topic, payload: Buffer.alloc(0), qos: 1, retain: false });
    made.publish(run, topic, () => said.push(`${topic} is out`));
  }
  made.whenPublished(() => said.push('the rest'));
  made.whenAllPublished(() => said.push('all'));
  assert.deepEqual(said.splice(0), ['c', 'c is out', 'the rest']);
  assert.equal(made.areWaiting, false);
  early.delete('b');
  made.takeUp();
  made.goOn();
  assert.deepEqual(said.splice(0), ['b', 'b is out']);
  early.clear();
  made.takeUp();
  made.goOn();
  assert.deepEqual(said, ['a', 'a is out', 'all']);
  assert.equal(made.bytes, 0);
});
