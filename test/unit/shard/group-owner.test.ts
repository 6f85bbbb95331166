/** Groups of Shared Subscriptions on the shard that owns them, whose members are on a peer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Counter } from '../../../src/base/counters.js';
import { GROUP_FOUND_MS } from '../../../src/base/limits.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import { MemberState, ownerOfGroup, sendBack } from '../../../src/router/group-link.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { packRecord } from '../../../src/router/record-body.js';
import { RecordKind } from '../../../src/router/records.js';
import { Slowdown } from '../../../src/router/slowdown.js';
import { eventually } from '../../support/waiting.js';
import { makeStoredShard } from './stored-shard.js';
import { makePeer, makeShard, RING_BYTES, type WholeShard } from './whole-shard.js';

const PUBLISHER = 7;
const QOS_1 = 0x32;

/** A key of a group that shard 0 of two owns, whose filter is `t`. */
function ownGroupKey(): string {
  for (let n = 0; ; n++) if (ownerOfGroup(`$share/g${n}/t`, 2) === 0) return `$share/g${n}/t`;
}

/** Has the peer's member 1 join. */
function join(peer: PeerLink, state: MemberState, isKept = false): void {
  const body = packRecord({
    groupKey: ownGroupKey(),
    clientId: 'm',
    username: null,
    rules: null,
    isKept,
  });
  peer.send(RecordKind.groupJoin, 1, 1, state, 0, 0, body, 0, body.length);
  peer.flush();
}

function publish(peer: PeerLink, payloadBytes: number): void {
  const frame = encodePublish('t', Buffer.alloc(payloadBytes), QOS_1, 1);
  peer.send(RecordKind.run, 1, PUBLISHER, QOS_1, 1, 1, frame, 0, frame.length);
  peer.flush();
}

/** Drains all that the shard sends to the peer. @returns kinds and first two words of it. */
function drainAll(peer: PeerLink): (readonly [kind: number, word0: number, word1: number])[] {
  const seen: [number, number, number][] = [];
  const onRecord = (_: number, kind: number, word0: number, word1: number) => {
    seen.push([kind, word0, word1]);
  };
  while (peer.drain({ onRecord }, RING_BYTES) > 0) peer.flush();
  return seen;
}

async function whenTurned(whole: WholeShard, isDone: () => boolean, what: string): Promise<void> {
  await eventually(() => {
    whole.shard.turn.schedule();
    return isDone();
  }, what);
}

function turned({ turn }: WholeShard['shard']): Promise<void> {
  turn.schedule();
  return new Promise((resolve) => setImmediate(resolve));
}

describe('the owner of a group', () => {
  // What a shard passes on is not its publishers' only: who publishes elsewhere waits as well.
  test('has publishers on other shards wait while its ring has no room', async (context) => {
    const whole = await makeShard();
    context.after(() => whole.close());
    const { shard } = whole;
    const peer = makePeer(whole);
    join(peer, MemberState.here);
    let sent = 0;
    await eventually(() => {
      publish(peer, 4_000);
      sent++;
      shard.turn.schedule();
      return shard.link.backlogBytes > 0;
    }, 'the ring to be full');
    const seen: (readonly [number, number, number])[] = [];
    const runs = () => seen.filter(([kind]) => kind === RecordKind.groupRun).length;
    await whenTurned(whole, () => seen.push(...drainAll(peer)) > 0 && runs() === sent, 'all runs');
    const asked = seen.filter(([kind]) => kind === RecordKind.slowDown);
    assert.deepEqual(asked, [[RecordKind.slowDown, PUBLISHER, Slowdown.stopReading]]);
    await whenTurned(
      whole,
      () => {
        seen.push(...drainAll(peer));
        return seen.some(([kind]) => kind === RecordKind.goOn);
      },
      'the publisher to be let go on',
    );
    const released = seen.filter(([kind]) => kind === RecordKind.goOn);
    assert.deepEqual(released, [[RecordKind.goOn, PUBLISHER, Slowdown.stopReading]]);
  });

  // Each message that is dropped counts once, by its reason.
  test('counts what there is no room to keep by the bound that it met', async (context) => {
    const whole = await makeShard('silent', { maxQueuedTotalBytes: '64KiB' });
    context.after(() => whole.close());
    const { shard } = whole;
    const peer = makePeer(whole);
    join(peer, MemberState.absent);
    const dropped = () => shard.counters.get(Counter.droppedTotalBytes);
    await eventually(() => {
      publish(peer, 4_000);
      shard.turn.schedule();
      drainAll(peer);
      return dropped() > 0;
    }, 'the total to be reached');
    assert.equal(shard.counters.get(Counter.droppedQueueFull), 0);
  });

  // It is written where it goes, and again when it comes back: a member that comes and goes would
  // have the journal grow for as long as the disk takes nothing.
  test('gives out nothing that waits while as much waits for the disk as may', async (context) => {
    const { whole, shard } = await makeStoredShard(context);
    const peer = makePeer(whole);
    join(peer, MemberState.absent, true);
    publish(peer, 10);
    const handled = async () => {
      while (peer.backlogBytes > 0 || shard.link.hasUnread(1)) await turned(shard);
    };
    await handled();
    let isFull = true;
    Object.defineProperty(shard.store!.journal, 'isFull', { get: () => isFull });
    peer.send(RecordKind.groupLeave, 1, 1, 1, 0, 0, Buffer.alloc(0), 0, 0);
    join(peer, MemberState.here, true);
    await handled();
    const runs = () => drainAll(peer).filter(([kind]) => kind === RecordKind.groupRun).length;
    for (let turns = 0; turns < 10; turns++) {
      await turned(shard);
      assert.equal(runs(), 0);
    }
    isFull = false;
    await whenTurned(whole, () => runs() === 1, 'it to be given out');
  });

  // What comes back goes first; what came before it is not forgotten behind that (5.0, 4.8.2).
  test('gives all that waits, whatever comes back meanwhile', async (context) => {
    const { whole, shard } = await makeStoredShard(context);
    const peer = makePeer(whole);
    join(peer, MemberState.absent, true);
    publish(peer, 1);
    while (shard.link.hasUnread(1)) await turned(shard);
    // All within one turn: its member is here, a message comes, and one that it has had before.
    peer.send(RecordKind.groupState, 1, 1, MemberState.here, 0, 0, Buffer.alloc(0), 0, 0);
    publish(peer, 1);
    const buffer = encodePublish('t', Buffer.alloc(1), QOS_1, 1);
    const traits = { propertyBytes: 0, expiresAt: 0, source: 0, publisherId: 0 };
    const frame = { buffer, start: 0, end: buffer.length, header: QOS_1, topicKey: 't', count: 1 };
    sendBack(peer, 0, ownGroupKey(), { ...frame, ...traits }, null);
    peer.flush();
    let runs = 0;
    await whenTurned(
      whole,
      () => {
        runs += drainAll(peer).filter(([kind]) => kind === RecordKind.groupRun).length;
        return runs === 3;
      },
      'all three',
    );
  });

  // What waits is kept for the members of a session that moves, however often it does.
  test('waits for members anew each time that they are all on their way', async (context) => {
    const { whole, shard } = await makeStoredShard(context);
    const peer = makePeer(whole);
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const comeAndGo = async () => {
      join(peer, MemberState.here, true);
      peer.send(RecordKind.groupLeave, 1, 1, 1, 0, 0, Buffer.alloc(0), 0, 0);
      peer.flush();
      while (peer.backlogBytes > 0 || shard.link.hasUnread(1)) await turned(shard);
    };
    await comeAndGo();
    context.mock.timers.tick(GROUP_FOUND_MS - 1);
    await comeAndGo();
    context.mock.timers.tick(GROUP_FOUND_MS - 1);
    assert.deepEqual(shard.members.keptGroups, [ownGroupKey()]);
    context.mock.timers.tick(1);
    assert.deepEqual(shard.members.keptGroups, []);
  });
});
