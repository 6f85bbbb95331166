/** What a shard finds in the store, and what was on its way, when it or another one has died. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { SHARDS_MAX } from '../../../src/base/limits.js';
import { missedOn } from '../../../src/shard/deliver-pending.js';
import { loadStore } from '../../../src/shard/load-store.js';
import { dropPeer, onPeerLoaded } from '../../../src/shard/peers.js';
import type { SessionRow } from '../../../src/shard/session-rows.js';
import { StoreReader } from '../../../src/store/store-reader.js';
import { eventually } from '../../support/waiting.js';
import { readFrames, runOf } from '../sessions/frames.js';
import { TemporaryStore } from '../store/temporary-store.js';
import { makeShard } from './whole-shard.js';

const CLIENT_ID = 'x';
const TAIL_ID = `${CLIENT_ID}\0`;
const TOPIC = 'a/b';
/** Numbers of the session and its tail in the store. */
const NUMBER = 33;
const TAIL = 34;
/** Bits of the two shards. */
const HERE = 1;
const THERE = 2;

const ROW: SessionRow = {
  home: 1,
  expiryMs: Number.POSITIVE_INFINITY,
  protocolVersion: 4,
  username: null,
  rules: null,
  leftAt: 0,
  mayBeSent: 0,
  next: 0,
  will: null,
  willAt: 0,
};

const message = (payload: string) => runOf([payload], 2, TOPIC);

/** A store with the session, and shard 0 of two that has just begun; what the dead have said. */
async function makeScene(context: TestContext, row: Partial<SessionRow> = {}) {
  const store = new TemporaryStore(context);
  const { folder, words } = store;
  const { journal: dead, settled } = store.journal();
  const { port1, port2: port } = new MessageChannel();
  store.writer.attach(port1);
  const start = { port, words, folder, durability: 'fsync', base: 1_024 } as const;
  const reader = new StoreReader(start);
  const whole = await makeShard('silent', {}, { start, reader });
  const { shard } = whole;
  const kept = shard.store!;
  context.after(async () => {
    shard.isClosed = true;
    await kept.journal.close();
    await reader.close();
    whole.close();
  });
  dead.putSession(NUMBER, CLIENT_ID, { ...ROW, ...row });
  dead.putSubscription(NUMBER, TOPIC, 2);
  await settled();
  const queue = (session: number, position: number, payload: string) => {
    const run = message(payload);
    dead.queue(session, position, run, run.bytes.length, 0x34, 1);
  };
  /** A run is on its way from a shard to others, a bit each, that have not handled it. */
  const pend = (source: number, shards: number, payload: string) => {
    dead.pend(source, 2, shards, new Int32Array(SHARDS_MAX).fill(1_000), message(payload));
  };
  const putTail = (home: number, payload: string) => {
    dead.putSession(TAIL, TAIL_ID, { isTail: true, home });
    queue(TAIL, 0, payload);
  };
  /** Starts shard 0 as the successor of another one; or, without orphans, with the broker. */
  const load = async (orphans: readonly string[] | null) => {
    await settled();
    const loaded = loadStore(shard, { shardCount: 2, orphans });
    dropPeer(shard, 1);
    await loaded;
  };
  const durable = async () => {
    const isDurable = () => {
      shard.schedule();
      return kept.journal.durable === kept.journal.appended;
    };
    await eventually(isDurable, 'the journal to be durable');
    store.reader.renew();
  };
  /** What is in the session's queue. */
  const payloads = async () => {
    await durable();
    const entries = [...store.reader.entriesFrom(NUMBER, 0)];
    return entries.flatMap(({ run }) => readFrames(run.bytes).map(({ payload }) => payload));
  };
  return { shard, store, settled, durable, queue, pend, putTail, load, payloads };
}

// Both shards had died: the successor that was live first had the other look for what its
// predecessor had left, which that had found as it began.
test('what was on its way between two shards that have died comes once', async (context) => {
  const { shard, pend, load, payloads } = await makeScene(context, { home: 0 });
  pend(1, HERE, '1');
  await load([CLIENT_ID]);
  onPeerLoaded(shard, 1);
  assert.deepEqual(await payloads(), ['1']);
  onPeerLoaded(shard, 0);
  onPeerLoaded(shard, 1);
  assert.deepEqual(await payloads(), ['1']);
});

test('a session whose shard dies on its way here has each message once and in order', async (context) => {
  const { shard, settled, queue, pend, payloads } = await makeScene(context);
  dropPeer(shard, 1);
  queue(NUMBER, 0, '1');
  // The dead shard had not handled them: the first had to be in its queue, the second in the tail.
  pend(0, THERE, '2');
  pend(0, THERE, '3');
  // It had had the first itself, and the session had come so far as to have the second here.
  pend(1, HERE, '1');
  pend(1, HERE, '5');
  await settled();
  const session = shard.registry.create(CLIENT_ID, Number.POSITIVE_INFINITY, 4, 7);
  shard.registry.beginTail(session);
  shard.registry.subscribe(session, [[TOPIC, 2]], () => {});
  for (const payload of ['3', '4']) session.enqueue(message(payload), 2, false);
  assert.ok(shard.registry.recover(session, missedOn(shard, 1)));
  assert.deepEqual(await payloads(), ['1', '2', '3', '4', '5']);
  onPeerLoaded(shard, 1);
  assert.deepEqual(await payloads(), ['1', '2', '3', '4', '5']);
});

test('a session that was moving when its shards died has each message in its place', async (context) => {
  const { queue, pend, putTail, load, payloads } = await makeScene(context);
  queue(NUMBER, 0, '1');
  putTail(0, '3');
  pend(1, HERE, '4');
  pend(0, THERE, '2');
  await load([CLIENT_ID]);
  assert.deepEqual(await payloads(), ['1', '2', '3', '4']);
});

// It had it where it was, and its client may have acknowledged it.
test('a session is not given what was on its way to a shard that it had not come to', async (context) => {
  const { pend, load, payloads } = await makeScene(context);
  pend(1, HERE, '1');
  await load([CLIENT_ID]);
  assert.deepEqual(await payloads(), []);
});

test('the store says which shard a session is on from its first start with fewer shards', async (context) => {
  const leftAt = Date.now() - 60_000;
  const { store, load, durable } = await makeScene(context, { home: 2, leftAt });
  await load(null);
  await durable();
  const head = store.reader.session(CLIENT_ID)?.head as SessionRow;
  assert.deepEqual([head.home, head.leftAt], [0, leftAt]);
});
