/** What a shard finds in the store, and what was on its way, when it or another one has died. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SHARDS_MAX } from '../../../src/base/limits.js';
import { ConnectionState } from '../../../src/connection/connection.js';
import { ownerOfGroup, sendToMember, toGroupRun } from '../../../src/router/group-link.js';
import type { LocalMember } from '../../../src/router/group-parts.js';
import { unpackInterestChange } from '../../../src/router/interest.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { type InterestChange, RecordKind } from '../../../src/router/records.js';
import { createRing } from '../../../src/router/ring.js';
import { missedOn } from '../../../src/shard/deliver-pending.js';
import { packr } from '../../../src/shard/handover.js';
import { loadStore } from '../../../src/shard/load-store.js';
import { dropPeer, onPeerLoaded, welcomePeer } from '../../../src/shard/peers.js';
import type { SessionRow } from '../../../src/shard/session-rows.js';
import { DURABLE_WORDS } from '../../../src/store/store-words.js';
import { makeOutlet } from '../../support/outlet.js';
import { eventually } from '../../support/waiting.js';
import { readFrames, runOf } from '../sessions/frames.js';
import { SESSION_ROW } from './session-row.js';
import { makeStoredShard } from './stored-shard.js';
import { makePeer, RING_BYTES, type WholeShard } from './whole-shard.js';

const CLIENT_ID = 'x';
const TAIL_ID = `${CLIENT_ID}\0`;
const TOPIC = 'a/b';
/** Numbers of the session and its tail in the store. */
const NUMBER = 33;
const TAIL = 34;
/** That of a group. */
const GROUP = 35;
/** Bits of the two shards. */
const HERE = 1;
const THERE = 2;

const ROW: SessionRow = { ...SESSION_ROW, home: 1, protocolVersion: 4 };

/** What moves of a queue that has been empty ever since. */
const NO_QUEUE = {
  ...{ diskFrom: 0, next: 0, diskBytes: 0, rowsFrom: 0, hole: 0 },
  isUnsettled: false,
};

const NOTHING = Buffer.alloc(0);
const QOS1 = 0x32;

/** A dead shard 1 has a successor, which is live then. */
function succeed(whole: WholeShard): void {
  welcome(whole);
  onPeerLoaded(whole.shard, 1);
}

function welcome({ shard, fds }: WholeShard): void {
  welcomePeer(shard, 1, createRing(RING_BYTES), fds[1]!);
}

const message = (payload: string) => runOf([payload], 2, TOPIC);

/** A store with the session, and shard 0 of two that has just begun; what the dead have said. */
async function makeScene(context: TestContext, row: Partial<SessionRow> = {}) {
  const { whole, shard, store } = await makeStoredShard(context);
  const { journal: dead, settled } = store.journal();
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
  const durable = async (of = shard) => {
    const { journal } = of.store!;
    const isDurable = () => {
      of.schedule();
      return journal.durable === journal.appended;
    };
    await eventually(isDurable, 'the journal to be durable');
    store.reader.renew();
  };
  /** The broker has ended as it was then, and shard 0 starts with another one. */
  const loadAgain = async () => {
    await durable();
    const { shard: next } = await makeStoredShard(context, store);
    const loaded = loadStore(next, { shardCount: 2, orphans: null });
    dropPeer(next, 1);
    await loaded;
    await durable(next);
  };
  /** What is in the session's queue. */
  const payloads = async () => {
    await durable();
    const entries = [...store.reader.entriesFrom(NUMBER, 0)];
    return entries.flatMap(({ run }) => readFrames(run.bytes).map(({ payload }) => payload));
  };
  const steps = { dead, settled, durable, queue, pend, putTail, load, loadAgain, payloads };
  return { whole, shard, store, ...steps };
}

// Both shards had died: the successor that was live first had the other look for what its
// predecessor had left, which that had found as it began.
test('what was on its way between two shards that have died comes once', async (context) => {
  const { whole, shard, store, pend, load, payloads } = await makeScene(context, { home: 0 });
  pend(1, HERE, '1');
  await load([CLIENT_ID]);
  succeed(whole);
  shard.turn.flush();
  const { durable } = shard;
  const { onDurable } = durable!;
  durable!.onDurable = () => {
    durable!.onDurable = onDurable;
    // That it has come is noted now, and is not durable when the other one is looked after.
    onPeerLoaded(shard, 0);
    durable!.onDurable();
  };
  assert.deepEqual(await payloads(), ['1']);
  dropPeer(shard, 1);
  succeed(whole);
  assert.deepEqual(await payloads(), ['1']);
  assert.deepEqual(store.rows().pending, undefined);
});

test('a session whose shard dies on its way has all messages once, in order', async (context) => {
  const { whole, shard, settled, queue, pend, payloads } = await makeScene(context);
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
  succeed(whole);
  assert.deepEqual(await payloads(), ['1', '2', '3', '4', '5']);
});

test('a session that moved when its shards died has all messages in place', async (context) => {
  const { queue, pend, putTail, load, payloads } = await makeScene(context);
  queue(NUMBER, 0, '1');
  putTail(0, '3');
  pend(1, HERE, '4');
  pend(0, THERE, '2');
  await load([CLIENT_ID]);
  assert.deepEqual(await payloads(), ['1', '2', '3', '4']);
});

// It had it where it was, and its client may have acknowledged it.
test('a session is not given what was on its way to where it had not come', async (context) => {
  const { pend, load, payloads } = await makeScene(context);
  pend(1, HERE, '1');
  await load([CLIENT_ID]);
  assert.deepEqual(await payloads(), []);
});

// The store said by then that the session was here, and not yet that the run had come here.
for (const [leftAt, state] of [[0, 'here'] as const, [Date.now() - 60_000, 'away'] as const]) {
  test(`nor when the broker ends behind the shard that took it in, ${state}`, async (context) => {
    const { pend, load, loadAgain, payloads } = await makeScene(context, { leftAt });
    pend(1, HERE, '1');
    await load([CLIENT_ID]);
    await loadAgain();
    assert.deepEqual(await payloads(), []);
  });
}

// It was given what the dead shard had sent here, and its client had acknowledged that, while it
// was pending still for the others here.
test('nor what a session that was found here has had', async (context) => {
  const { shard, settled, pend, loadAgain, payloads } = await makeScene(context);
  dropPeer(shard, 1);
  pend(0, THERE, '1');
  pend(1, HERE, '2');
  await settled();
  const session = shard.registry.create(CLIENT_ID, Number.POSITIVE_INFINITY, 4, 7);
  shard.registry.beginTail(session);
  shard.registry.subscribe(session, [[TOPIC, 2]], () => {});
  assert.ok(shard.registry.recover(session, missedOn(shard, 1)));
  shard.registry.onComing(session, { receiveMaximum: 10, will: null });
  assert.deepEqual(await payloads(), ['1', '2']);
  shard.store!.journal.left(NUMBER, 2);
  await loadAgain();
  assert.deepEqual(await payloads(), []);
});

// The successor has given it what was for it, and says so as the session comes.
test('nor what was sent here before it came from the successor', async (context) => {
  const { whole, shard, settled, pend, payloads } = await makeScene(context);
  dropPeer(shard, 1);
  pend(1, HERE, '1');
  await settled();
  take(whole);
  const session = shard.registry.get(CLIENT_ID)!;
  record(whole, RecordKind.handoverFilters, 1, [[TOPIC, 2]]);
  succeed(whole);
  await payloads();
  assert.equal(session.window, null);
  bring(whole, 2);
  await payloads();
  dropPeer(shard, 1);
  pend(1, HERE, '2');
  pend(1, HERE, '3');
  await settled();
  succeed(whole);
  assert.deepEqual(await payloads(), ['3']);
});

// [MQTT-4.3.3-1]: its publisher uses the packet id again, and its PUBREC waits for this.
for (const starts of [1, 2]) {
  test(`one with the bytes of another comes as well, by ${starts} starts`, async (context) => {
    const row = { home: 0, leftAt: 1 };
    const { queue, pend, load, loadAgain, payloads } = await makeScene(context, row);
    queue(NUMBER, 0, 'same');
    pend(1, HERE, 'same');
    await load(null);
    if (starts === 2) await loadAgain();
    assert.deepEqual(await payloads(), ['same', 'same']);
  });
}

test('what two shards had for a session that moved comes once, by two starts', async (context) => {
  const scene = await makeScene(context, { home: 0, leftAt: 1 });
  const { queue, pend, putTail, load, loadAgain, payloads } = scene;
  queue(NUMBER, 0, 'a');
  putTail(1, 'b');
  for (const shards of [THERE, HERE | THERE]) pend(1, shards, `for ${shards}`);
  await load(null);
  const all = await payloads();
  assert.deepEqual(all, ['a', 'b', 'for 2', 'for 3']);
  await loadAgain();
  assert.deepEqual(await payloads(), all);
});

// The successor publishes by the time that its peers look for what the dead one had sent.
test('what a successor sends is not taken for what the dead one had sent', async (context) => {
  const { whole, shard, settled, pend, load, payloads } = await makeScene(context, { home: 0 });
  await load([CLIENT_ID]);
  pend(1, HERE, '1');
  await settled();
  welcome(whole);
  pend(1, HERE, '2');
  await settled();
  onPeerLoaded(shard, 1);
  assert.deepEqual(await payloads(), ['1']);
});

test('the store says which shard a session is on since there are fewer', async (context) => {
  const leftAt = Date.now() - 60_000;
  const { store, load, durable } = await makeScene(context, { home: 2, leftAt });
  await load(null);
  await durable();
  const head = store.reader.session(CLIENT_ID)?.head as SessionRow;
  assert.deepEqual([head.home, head.leftAt], [0, leftAt]);
});

// Much of it was on disk alone, and was forgotten with the tail.
test('a session on its way keeps all that it is given meanwhile', async (context) => {
  const { shard, payloads } = await makeScene(context);
  const session = shard.registry.create(CLIENT_ID, Number.POSITIVE_INFINITY, 4, 7);
  shard.registry.beginTail(session);
  const given = Array.from({ length: 12 }, (_, at) => String(at).padStart(60_000));
  for (const payload of given) session.enqueue(message(payload), 2, false);
  const moved = { number: NUMBER, lookedTo: 0, ...NO_QUEUE };
  const head = { window: null, incomingQos2: [], replay: null, kept: moved };
  shard.registry.restore(session, head, null, shard.registry.keptOf(moved));
  assert.deepEqual(
    (await payloads()).map((payload) => payload.trim()),
    given.map((payload) => payload.trim()),
  );
});

/** A session that another shard, which is about to die, has claimed. */
function leave({ shard }: WholeShard, clientId: string, topic: string, claim: number): void {
  const session = shard.registry.create(clientId, Number.POSITIVE_INFINITY, 4, claim);
  shard.registry.keep(session);
  shard.registry.subscribe(session, [[topic, 1]], () => {});
  const newClaim = claim + SHARDS_MAX;
  const discard = false;
  shard.takeover.onRelease({ kind: 'release', clientId, claim, to: 1, newClaim, discard });
}

// Nobody had them any more, or yet: what was published was acknowledged and kept nowhere.
test('what is for sessions that left for a shard that died waits', async (context) => {
  const { whole, shard } = await makeScene(context);
  leave(whole, 'offered', 'o', 32);
  fillRing(whole);
  leave(whole, 'waits to be', 'w', 64);
  dropPeer(shard, 1);
  const waiting = () => ['o', 'w', 's'].filter((topic) => shard.durable!.orphaned.has(topic, -1));
  assert.deepEqual(waiting(), ['o', 'w']);
  succeed(whole);
  await eventually(() => waiting().length === 0, 'its successor to have found them');
});

/** Shard 2 of three: what it is told of filters that wait for shard 1, and its answers. */
class Third {
  readonly link: PeerLink;
  readonly orphaned: unknown[] = [];
  readonly isSpent = false;
  readonly isLeft = false;
  /** Number of the last change that it has read, in two words. */
  #last: readonly [low: number, high: number] = [0, 0];

  constructor(whole: WholeShard) {
    this.link = makePeer(whole, 2);
  }

  onRecord(_from: number, kind: number, low: number, high: number, ...rest: unknown[]): void {
    if (kind !== RecordKind.interest) return;
    const [, , buffer, start, end] = rest as [number, number, Buffer, number, number];
    const { orphaned } = unpackInterestChange(buffer, start, end);
    if (orphaned !== undefined) this.orphaned.push(orphaned);
    this.#last = [low, high];
  }

  read(): void {
    this.link.drain(this, RING_BYTES);
  }

  confirm(): void {
    this.#say(RecordKind.interestConfirmed, this.#last, NOTHING);
  }

  tell(change: InterestChange): void {
    this.#say(RecordKind.interest, [1, 0], packr.pack(change));
  }

  #say(kind: number, [low, high]: readonly [number, number], body: Buffer): void {
    this.link.send(kind, HERE, low, high, 0, 0, body, 0, body.length);
    this.link.flush();
  }
}

// It sent what was for them where they had been, as before, and that shard had let go of them.
test('sessions that left for a shard that died stay until all know of them', async (context) => {
  const { whole, shard } = await makeStoredShard(context, undefined, 3);
  const third = new Third(whole);
  leave(whole, 'offered', 'o', 32);
  shard.turn.flush();
  dropPeer(shard, 1);
  shard.turn.flush();
  third.read();
  assert.deepEqual(third.orphaned, [{ shard: 1, filters: ['o'] }]);
  const isHere = () => shard.registry.get('offered') !== undefined;
  const isDropped = () => whole.said.some(({ kind }) => kind === 'peer-dropped');
  shard.turn.flush();
  assert.deepEqual([isHere(), isDropped()], [true, false]);
  third.confirm();
  shard.schedule();
  await eventually(isDropped, 'the primary to hear of it');
  assert.ok(!isHere());
  third.link.close();
});

test('what is for sessions that left another shard for a dead one waits', async (context) => {
  const { whole, shard } = await makeStoredShard(context, undefined, 3);
  const third = new Third(whole);
  const waits = () => shard.durable!.orphaned.has('o/1', -1);
  third.tell({ added: [], removed: [], orphaned: { shard: 1, filters: ['o/+'] } });
  shard.schedule();
  await eventually(waits, 'the topic to wait');
  // It hears of the death from the primary behind that.
  dropPeer(shard, 1);
  assert.ok(waits());
  succeed(whole);
  await eventually(() => !waits(), 'its successor to have found them');
  third.link.close();
});

// It ended with its last member, and what had waited in it was lost.
test('a group waits for a member that left for a shard that died', async (context) => {
  const { whole, shard } = await makeScene(context);
  const groupKey = groupOwnedBy(shard.shardIndex);
  leave(whole, 'member', groupKey, 32);
  assert.deepEqual(shard.members.keptGroups, [groupKey]);
  dropPeer(shard, 1);
  shard.turn.flush();
  assert.equal(shard.registry.get('member'), undefined);
  assert.deepEqual(shard.members.keptGroups, [groupKey]);
});

// What was asked of the first one's store was answered behind the second death.
test('it waits for the next successor where one dies, too', async (context) => {
  const { whole, shard, durable } = await makeScene(context);
  leave(whole, 'offered', 'o', 32);
  dropPeer(shard, 1);
  leave(whole, 'what is not durable', 'n', 64);
  succeed(whole);
  dropPeer(shard, 1);
  await durable();
  assert.ok(shard.durable!.orphaned.has('o', -1));
  succeed(whole);
  assert.ok(!shard.durable!.orphaned.has('o', -1));
});

test('a dead shard is succeeded when sessions are let go that left for it', async (context) => {
  const { whole, shard, durable } = await makeScene(context);
  fillRing(whole);
  leave(whole, 'waits to be', 'w', 64);
  await durable();
  const isDropped = () => whole.said.some(({ kind }) => kind === 'peer-dropped');
  const isHere = () => shard.registry.get('waits to be') !== undefined;
  assert.ok(isHere());
  dropPeer(shard, 1);
  assert.deepEqual([isHere(), isDropped()], [true, false]);
  await eventually(isDropped, 'the primary to hear of it');
  assert.ok(!isHere());
});

// A member had it by then, while it was pending still for sessions on other shards.
test('a group is not given what was on its way to it by two starts', async (context) => {
  const { shard, store, dead, settled, pend, load, loadAgain, durable } = await makeScene(context);
  const groupKey = groupOwnedBy(shard.shardIndex, TOPIC);
  dead.putSession(GROUP, `\0${GROUP}`, { home: 0, groupKey });
  pend(1, HERE, '1');
  await settled();
  const waiting = () => [...store.reader.entriesFrom(GROUP, 0)].length;
  await load(null);
  await durable();
  assert.equal(waiting(), 1);
  shard.store!.journal.gone(GROUP, 0);
  await loadAgain();
  assert.equal(waiting(), 0);
});

// What was sent before was lost, and came again behind what the session was given here.
test('what is published for a session that comes waits for the disk', async (context) => {
  const { whole, shard, store } = await makeScene(context);
  take(whole);
  for (const topic of [TOPIC, 'other']) {
    shard.topics.addShard(topic, 1);
    shard.topics.keepShard(topic, 1);
  }
  shard.durable!.onSent(THERE, THERE);
  record(whole, RecordKind.handoverFilters, 1, [[TOPIC, 1]]);
  const session = shard.registry.get(CLIENT_ID)!;
  const waits = (topic: string) => shard.durable!.mustHold(shard.routes.findKey(topic), QOS1, 0);
  await eventually(() => waits(TOPIC), 'its publishers to wait');
  assert.deepEqual([session.sourceMask, waits('other')], [0, false]);
  // The other shard has it on disk.
  Atomics.store(new Int32Array(store.words), DURABLE_WORDS + SHARDS_MAX, 1);
  shard.schedule();
  await eventually(() => session.sourceMask === HERE, 'it to have what is published here');
  assert.equal(waits(TOPIC), false);
});

// [MQTT-3.1.2-4]: else whoever is told so finds it again when the broker is killed.
test('a session is discarded on disk before its client is told', async (context) => {
  const { whole, shard, load, store } = await makeScene(context, { home: 0 });
  await load(null);
  const found: unknown[] = [];
  grant(whole, 0, { cleanStart: true, sessionExpiryMs: 0 }, () => {
    store.reader.renew();
    found.push(store.reader.session(CLIENT_ID));
    return true;
  });
  await eventually(() => {
    shard.schedule();
    return found.length > 0;
  }, 'the client to be told');
  assert.deepEqual(found, [null]);
});

/** Has a client claim the session, which is on shard `from`. @param attach tells it. */
function grant(
  { shard, said }: WholeShard,
  from: number,
  asked: { readonly cleanStart: boolean; readonly sessionExpiryMs: number },
  attach = () => true,
): void {
  const { connecting: state } = ConnectionState;
  const profile = shard.profiles.common;
  const connection = { clientId: CLIENT_ID, state, admission: null, profile, attach };
  const request = { will: null, protocolVersion: 4, ...asked };
  shard.takeover.claim(connection as never, request as never);
  shard.line.flush();
  shard.takeover.onGranted(claimOf(said), from);
}

/** Has the session be on its way here from the other shard. */
function take(whole: WholeShard): void {
  grant(whole, 1, { cleanStart: false, sessionExpiryMs: 1 });
  const { shard, said } = whole;
  shard.takeover.onRecord(1, RecordKind.handoverOffer, claimOf(said), 0, 1, 0, NOTHING, 0, 0);
}

/** The rest of it has come, with what was looked at for it. */
function bring(whole: WholeShard, lookedTo: number): void {
  const kept = { number: NUMBER, lookedTo, ...NO_QUEUE };
  record(whole, RecordKind.handoverCutDone, 0, null);
  record(whole, RecordKind.handoverHead, 0, {
    ...{ window: null, incomingQos2: [], replay: null, kept },
  });
  record(whole, RecordKind.handoverPart, 1, null);
}

/** A record of the session that is on its way has come. */
function record({ shard, said }: WholeShard, kind: number, word3: number, content: unknown): void {
  const body = content === null ? NOTHING : packr.pack(content);
  shard.takeover.onRecord(1, kind, claimOf(said), 0, 0, word3, body, 0, body.length);
}

/** The first that was said. */
function claimOf(said: WholeShard['said']): number {
  return said.flatMap((each) => (each.kind === 'claims' ? each.claims : []))[0]!.claim;
}

/** One that is this shard's of two. */
function groupOwnedBy(shardIndex: number, filter = 'a'): string {
  let n = 0;
  while (ownerOfGroup(`$share/g${n}/${filter}`, 2) !== shardIndex) n++;
  return `$share/g${n}/${filter}`;
}

/** The other shard reads nothing. */
function fillRing({ shard }: WholeShard): void {
  const bytes = Buffer.alloc(RING_BYTES / 4);
  while (shard.link.backlogBytes === 0) {
    shard.link.send(RecordKind.handoverMore, 2, 0, 0, 0, 0, bytes, 0, bytes.length);
  }
}

// MQTT 5.0, 4.8.2; [MQTT-4.3.3-1]: what it has goes back by itself.
test('what a member gives back to its group on a successor goes back once', async (context) => {
  const { whole, shard, dead, settled, durable } = await makeScene(context);
  const groupKey = groupOwnedBy(1);
  const session = shard.registry.create('member', Number.POSITIVE_INFINITY, 4, 64);
  shard.registry.keep(session);
  session.attach(makeOutlet({ isStalled: true }));
  shard.registry.subscribe(session, [[groupKey, 2]], () => {});
  dead.putSession(GROUP, `\0${GROUP}`, { home: 1, groupKey: null });
  const run = message('held');
  const { length } = run.bytes;
  dead.queue(GROUP, 0, run, length, 0x34, 1, [0], groupKey);
  await settled();
  const peer = makePeer(whole);
  const { id } = session.memberships!.get(groupKey) as LocalMember;
  const row = { number: GROUP, position: 0 };
  sendToMember(peer, 0, id, toGroupRun(run, TOPIC, 0, length, 0x34, 1), row);
  peer.flush();
  const { held } = session.memberships!.get(groupKey) as LocalMember;
  const isHeld = () => {
    shard.schedule();
    return held.length === 1;
  };
  await eventually(isHeld, 'the run to be held');
  dropPeer(shard, 1);
  await new Promise<void>((forgotten) => shard.deadPeers.whenForgotten(1, forgotten));
  welcome(whole);
  session.detach();
  shard.members.onGone(session);
  onPeerLoaded(shard, 1);
  await durable();
  shard.turn.flush();
  const kinds: number[] = [];
  makePeer(whole).drain({ onRecord: (_, kind) => kinds.push(kind) }, RING_BYTES);
  assert.equal(kinds.filter((kind) => kind === RecordKind.groupReturn).length, 1);
});
