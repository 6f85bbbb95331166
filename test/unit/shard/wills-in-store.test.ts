/** Wills that a shard finds in the store, or leaves there. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AccessRule } from '../../../src/base/access-rule.js';
import { SHARDS_MAX } from '../../../src/base/limits.js';
import { ConnectionState } from '../../../src/connection/connection.js';
import { movedOf } from '../../../src/sessions/delayed-wills.js';
import { prepareWill } from '../../../src/sessions/will.js';
import type { ClaimRefusal } from '../../../src/shard/control.js';
import { missedOn } from '../../../src/shard/deliver-pending.js';
import { loadStore } from '../../../src/shard/load-store.js';
import { dropPeer, onPeerLoaded } from '../../../src/shard/peers.js';
import type { SessionRow } from '../../../src/shard/session-rows.js';
import { eventually } from '../../support/waiting.js';
import { readFrames } from '../sessions/frames.js';
import { SESSION_ROW } from './session-row.js';
import { makeStoredShard } from './stored-shard.js';
import type { WholeShard } from './whole-shard.js';

const HOUR_MS = 3_600_000;
const TOPIC = 'a/b';
/** Numbers of sessions in the store. */
const READER = 33;
const LEAVER = 34;
const WILL = prepareWill({ topic: TOPIC, payload: Buffer.from('gone'), qos: 1, retain: false });

const ALLOWED: readonly AccessRule[] = [{ effect: 'allow', actions: ['publish'], filter: '#' }];
const DENIED: readonly AccessRule[] = [{ effect: 'deny', actions: ['publish'], filter: '#' }];

const ROW: SessionRow = { ...SESSION_ROW, leftAt: Date.now() - HOUR_MS };

/** Shard 0 of two, and a store with a reader of wills and one whose will waits. */
async function makeScene(context: TestContext, leftMs: number, row: Partial<SessionRow>) {
  const { whole, shard, store } = await makeStoredShard(context);
  const { journal, settled } = store.journal();
  journal.putSession(READER, 'reader', ROW);
  journal.putSubscription(READER, TOPIC, 1);
  journal.putSession(LEAVER, 'leaver', { ...ROW, will: movedOf(WILL, leftMs), ...row });
  await settled();
  /** Starts the shard with the broker; or as the successor of another one. */
  const load = async (orphans: readonly string[] | null = null) => {
    const loaded = loadStore(shard, { shardCount: 2, orphans });
    dropPeer(shard, 1);
    await loaded;
  };
  const durable = async () => {
    shard.turn.flush();
    const { journal: own } = shard.store!;
    await eventually(() => own.durable === own.appended, 'the journal to be durable');
    store.reader.renew();
  };
  /** What the reader has on disk. */
  const payloads = async () => {
    await durable();
    const entries = [...store.reader.entriesFrom(READER, 0)];
    return entries.flatMap(({ run }) => readFrames(run.bytes).map(({ payload }) => payload));
  };
  const rowOf = (clientId: string) => {
    const stored = store.reader.session(clientId);
    return stored === null ? null : (stored.head as SessionRow);
  };
  return { whole, shard, store, load, payloads, rowOf };
}

/** All shards are live. */
function loadAll(shard: Parameters<typeof onPeerLoaded>[0]): void {
  onPeerLoaded(shard, 0);
  onPeerLoaded(shard, 1);
}

// [MQTT-3.1.2-8]: subscribers of shards that were not there yet missed it.
test('a will that is due is published when all shards are there', async (context) => {
  const leftAt = Date.now() - 2 * HOUR_MS;
  const willAt = leftAt + 1_000;
  const scene = await makeScene(context, 1_000, { leftAt, willAt, expiryMs: 3 * HOUR_MS });
  const { shard, load, payloads, rowOf } = scene;
  await load();
  shard.deadlines.advance(shard.deadlines.now + 10_000);
  assert.deepEqual(await payloads(), []);
  onPeerLoaded(shard, 0);
  assert.deepEqual(await payloads(), []);
  assert.notEqual(rowOf('leaver')?.will, null);
  onPeerLoaded(shard, 1);
  assert.deepEqual(await payloads(), ['gone']);
  const row = rowOf('leaver')!;
  assert.equal(row.will, null);
  // Since when it is away stays as it is [MQTT-3.1.2-23].
  assert.ok(row.leftAt <= Date.now() - 2 * HOUR_MS, `${row.leftAt - leftAt} ms later`);
});

// Who was there when the broker stopped cannot come back before it starts.
test('the delay of a will that a stop has left begins with the start', async (context) => {
  const leftAt = Date.now() - HOUR_MS;
  const willAt = Number.POSITIVE_INFINITY;
  const scene = await makeScene(context, 60_000, { leftAt, willAt });
  const { shard, load, payloads } = scene;
  await load();
  loadAll(shard);
  const { now } = shard.deadlines;
  shard.deadlines.advance(now + 59_000);
  assert.deepEqual(await payloads(), []);
  shard.deadlines.advance(now + 62_000);
  assert.deepEqual(await payloads(), ['gone']);
});

// Killed then, a broker lost it, or published it twice.
test('that it is published is one thing with what is on its way', async (context) => {
  const scene = await makeScene(context, 0, {});
  const { shard, store, load, payloads, rowOf } = scene;
  await load();
  shard.link.replacePeer(1, scene.whole.rings[1]!, scene.whole.fds[1]!);
  shard.topics.addShard(TOPIC, 1);
  shard.topics.keepShard(TOPIC, 1);
  shard.routes.invalidateAll();
  loadAll(shard);
  assert.deepEqual(await payloads(), ['gone']);
  assert.equal(rowOf('leaver')?.will, null);
  const pending = [...store.reader.pending()];
  assert.deepEqual(
    pending.map(({ shards }) => shards),
    [2],
  );
});

// [MQTT-3.1.2-11]: its client began with the session that had ended, and its will was dropped.
test('a session that has expired ends when its client is the first to come', async (context) => {
  const scene = await makeScene(context, 2 * HOUR_MS, {
    expiryMs: 1,
    willAt: Date.now() + HOUR_MS,
  });
  const { shard, load, payloads, rowOf } = scene;
  await load(['reader', 'leaver']);
  const { claim } = shard.registry.get('leaver')!;
  const newClaim = SHARDS_MAX + 1;
  const release = { kind: 'release', clientId: 'leaver', claim, to: 1, newClaim } as const;
  shard.takeover.onRelease({ ...release, discard: false });
  assert.equal(shard.registry.get('leaver'), undefined);
  onPeerLoaded(shard, 0);
  assert.deepEqual(await payloads(), ['gone']);
  assert.equal(rowOf('leaver'), null);
});

// [MQTT-3.1.3-9]: it was published at once, and once more by who found the session.
test('the will of a session that left for a shard that died stays with it', async (context) => {
  const scene = await makeScene(context, HOUR_MS, { willAt: Date.now() + HOUR_MS });
  const { shard, load, payloads, rowOf } = scene;
  await load();
  loadAll(shard);
  const { claim } = shard.registry.get('leaver')!;
  const newClaim = SHARDS_MAX + 1;
  const release = { kind: 'release', clientId: 'leaver', claim, to: 1, newClaim } as const;
  shard.takeover.onRelease({ ...release, discard: false });
  dropPeer(shard, 1);
  await eventually(() => shard.registry.get('leaver') === undefined, 'it to be let go of');
  assert.deepEqual(await payloads(), []);
  assert.ok((rowOf('leaver')?.will?.leftMs ?? 0) > 0);
});

/** A CONNECT of the leaver, as far as it has come. */
interface Coming {
  isAttached: boolean;
  readonly refused: ClaimRefusal[];
}

/** Has the leaver's client id be claimed. @param from the shard that has its session. */
function claim(
  { shard, said }: WholeShard,
  from: number,
  cleanStart: boolean,
  admission: object | null = null,
): Coming {
  const coming: Coming = { isAttached: false, refused: [] };
  const connection = {
    ...{ clientId: 'leaver', state: ConnectionState.connecting, admission },
    profile: shard.profiles.common,
    attach: () => {
      coming.isAttached = true;
      return true;
    },
    refuse: (why: ClaimRefusal) => coming.refused.push(why),
  };
  const request = { will: null, protocolVersion: 5, cleanStart, sessionExpiryMs: HOUR_MS };
  shard.takeover.claim(connection as never, request as never);
  shard.line.flush();
  const claims = said.flatMap((each) => (each.kind === 'claims' ? each.claims : []));
  shard.takeover.onGranted(claims[0]!.claim, from);
  return coming;
}

/** The shard that had the session has died, and has a successor. */
function succeed(shard: WholeShard['shard']): void {
  shard.takeover.dropPeer(1);
  shard.takeover.recover(1, missedOn(shard, 1));
}

// [MQTT-3.1.3-9], [MQTT-3.14.4-3]: the session ends, or goes on in time.
for (const [cleanStart, leftMs, expected] of [
  [true, HOUR_MS, ['gone']],
  [false, HOUR_MS, []],
  // Its client was there, and its connection has ended with the shard.
  [false, 0, ['gone']],
] as const) {
  const what = `clean start ${cleanStart}, delay ${leftMs}`;
  test(`a claim on a session whose shard has died finds its will: ${what}`, async (context) => {
    const leftAt = leftMs === 0 ? 0 : Date.now();
    const scene = await makeScene(context, leftMs, { home: 1, leftAt, willAt: leftAt + leftMs });
    const { whole, shard, load, payloads, rowOf } = scene;
    await load();
    loadAll(shard);
    const coming = claim(whole, 1, cleanStart);
    succeed(shard);
    assert.deepEqual(await payloads(), expected);
    await eventually(() => coming.isAttached, 'the client to have its session');
    assert.deepEqual(coming.refused, []);
    assert.equal(rowOf('leaver')?.will, null);
  });
}

// Whoever claims the client id may be somebody else.
for (const [who, hisRules, rules, expected] of [
  ['claims it may not', DENIED, ALLOWED, ['gone']],
  ['has left it may not', ALLOWED, DENIED, []],
] as const) {
  test(`a will that is found is published but where who ${who} publish it`, async (context) => {
    const row = { home: 1, leftAt: 0, username: 'leaver', rules };
    const { whole, shard, load, payloads } = await makeScene(context, 0, row);
    await load();
    loadAll(shard);
    claim(whole, 1, false, { username: 'somebody', rules: hisRules });
    succeed(shard);
    assert.deepEqual(await payloads(), expected);
  });
}

// [MQTT-3.1.3-9]: killed meanwhile, a broker lost it.
test('a discarded session is on disk until its will is published', async (context) => {
  const willAt = Date.now() + HOUR_MS;
  const scene = await makeScene(context, HOUR_MS, { willAt });
  const { whole, shard, load, payloads, rowOf } = scene;
  await load();
  const coming = claim(whole, 0, true);
  assert.deepEqual(await payloads(), []);
  assert.ok(rowOf('leaver')?.will);
  // [MQTT-3.1.2-4]: he would find it again then.
  assert.equal(coming.isAttached, false);
  loadAll(shard);
  assert.deepEqual(await payloads(), ['gone']);
  await eventually(() => coming.isAttached, 'the client to have its session');
  await payloads();
  assert.equal(rowOf('leaver')?.will, null);
});

test('so is one that is discarded for a client of another shard', async (context) => {
  const scene = await makeScene(context, HOUR_MS, { willAt: Date.now() + HOUR_MS });
  const { shard, load, payloads, rowOf } = scene;
  await load();
  const { claim: former } = shard.registry.get('leaver')!;
  const newClaim = SHARDS_MAX + 1;
  const release = { kind: 'release', clientId: 'leaver', claim: former, to: 1, newClaim } as const;
  shard.takeover.onRelease({ ...release, discard: true });
  assert.deepEqual(await payloads(), []);
  assert.ok(rowOf('leaver')?.will);
  loadAll(shard);
  assert.deepEqual(await payloads(), ['gone']);
  assert.equal(rowOf('leaver'), null);
});

// [MQTT-3.1.2-8]: once, and whoever succeeds the dead shard looks for the client id.
test('not where the shard that claims it dies before its will is published', async (context) => {
  const scene = await makeScene(context, HOUR_MS, { willAt: Date.now() + HOUR_MS });
  const { shard, load, payloads, rowOf } = scene;
  await load();
  const { claim: former } = shard.registry.get('leaver')!;
  const newClaim = SHARDS_MAX + 1;
  const release = { kind: 'release', clientId: 'leaver', claim: former, to: 1, newClaim } as const;
  shard.takeover.onRelease({ ...release, discard: true });
  shard.takeover.dropPeer(1);
  assert.deepEqual(await payloads(), []);
  assert.equal(rowOf('leaver'), null);
  loadAll(shard);
  assert.deepEqual(await payloads(), ['gone']);
});
