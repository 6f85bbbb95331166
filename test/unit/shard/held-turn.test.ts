/** What a run of QoS 2 brings is journaled together, however much is laid out of it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TURN_ARENA_BYTES } from '../../../src/base/limits.js';
import type { Session } from '../../../src/sessions/session.js';
import { TICKET_WORD } from '../../../src/store/store-words.js';
import { makeOutlet } from '../../support/outlet.js';
import { runOf } from '../sessions/frames.js';
import { makeStoredShard } from './stored-shard.js';

const TOPIC = 'a/b';
const PACKET_ID = 9;

/** A shard whose arena has no room for a run any more. */
async function makeCrowded(context: TestContext) {
  const { shard, store } = await makeStoredShard(context);
  const words = new Int32Array(store.words);
  const begin = (clientId: string, isKept: boolean): Session => {
    const session = shard.registry.create(clientId, isKept ? Number.POSITIVE_INFINITY : 0, 4, 1);
    shard.registry.keep(session);
    return session;
  };
  const subscribe = (session: Session, qos: 0 | 1 | 2) => {
    shard.registry.subscribe(session, [[TOPIC, qos]], () => {});
  };
  const publisher = begin('publisher', true);
  const publish = () => {
    const { bytes, header, count } = runOf(['x'.repeat(1_000)], 2, TOPIC);
    const route = shard.routes.findKey(TOPIC);
    shard.durable!.begin(true);
    publisher.acceptQos2(PACKET_ID);
    shard.router.publish(1, route, bytes, 0, bytes.length, header, count);
  };
  const crowd = () => {
    shard.turn.flush();
    shard.arena.reserve(TURN_ARENA_BYTES - 10);
  };
  /** Segments so far. */
  const submitted = () => Atomics.load(words, TICKET_WORD);
  return { shard, begin, subscribe, publish, crowd, submitted };
}

// The flush in the middle took the packet id along, and half of those who were to get the message:
// whoever sent it again after a crash was told that it is known.
for (const qos of [0, 1, 2] as const) {
  test(`no flush tears it apart for a subscriber of QoS ${qos}`, async (context) => {
    const { shard, begin, subscribe, publish, crowd, submitted } = await makeCrowded(context);
    for (const clientId of ['first', 'second']) {
      const clean = begin(clientId, false);
      clean.attach(makeOutlet({}));
      subscribe(clean, qos);
    }
    subscribe(begin('kept', true), 2);
    crowd();
    const before = submitted();
    publish();
    assert.equal(submitted(), before);
    shard.turn.flush();
    assert.equal(submitted(), before + 1);
  });
}

// A copy a client, of a run for thousands, is more than there is memory.
test('what can wait in a queue until the flush does', async (context) => {
  const { shard, begin, subscribe, publish, crowd } = await makeCrowded(context);
  let wakes = 0;
  const clean = begin('clean', false);
  clean.attach(makeOutlet({ wake: () => wakes++ }));
  subscribe(clean, 1);
  crowd();
  const { buffer } = shard.arena;
  publish();
  assert.equal(shard.arena.buffer, buffer);
  assert.deepEqual([clean.window?.queuedMessages, wakes], [1, 1]);
});

test('the arena is flushed as ever behind it', async (context) => {
  const { shard, publish, crowd } = await makeCrowded(context);
  crowd();
  publish();
  shard.durable!.end({ owe: () => 0, answer() {}, durableWait: null } as never);
  const { rewinds } = shard.arena;
  shard.arena.reserve(100);
  assert.equal(shard.arena.rewinds, rewinds + 1);
});
