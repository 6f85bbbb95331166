/**
 * Runs that were on their way to a shard when the broker ended: those who would have had them there
 * have them now, once (store/pending-runs.ts).
 */
import { PENDING_LOOK_BACK } from '../base/limits.js';
import { RETAIN } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import { checkFrames } from '../protocol/run-check.js';
import { parseShareFilter } from '../protocol/v5/index.js';
import { ownerOfGroup } from '../router/group-link.js';
import { retainedOwnerOf } from '../router/route.js';
import { hasExpired, topicKeyOf } from '../sessions/delivery-form.js';
import { NO_PLACE } from '../sessions/held-runs.js';
import type { Session } from '../sessions/session.js';
import type { PendingRun } from '../store/store-reader.js';
import { KEEPS_RETAIN } from '../topics/grant.js';
import { matchesKey } from '../topics/topic.js';
import type { ShardStore } from './make-store.js';
import type { Shard } from './shard.js';

const QOS_BITS = 3;
const QOS_SHIFT = 1;

/** Where a session was. */
export interface Home {
  /** A bit for its shard, and one for that which it was on its way to, if it was. */
  readonly shards: number;
  /** Numbers of its queue, and of its tail (KeptSessions.beginTail), if it was on its way. */
  readonly queues: readonly number[];
}

/**
 * Delivers what was on its way.
 * @param homes by session: where it was. @param shards that are this one's to do.
 * @param groupKeys of the groups here that are kept.
 */
export function deliverPending(
  shard: Shard,
  store: ShardStore,
  homes: ReadonlyMap<Session, Home>,
  shards: number,
  shardCount: number,
  groupKeys: readonly string[],
): void {
  for (const pending of store.reader.pending()) {
    retain(shard, pending, shardCount);
    giveToGroups(shard, pending, groupKeys);
    deliver(shard, store, pending, homes);
    if ((pending.shards & shards) !== 0) store.arrived.push({ row: pending.row, shards });
  }
}

/**
 * All shards have looked at what was on its way: it is pending no more. Not before, as another one
 * may have the session that it was for; and if the broker ends before, who has it is not given it
 * again, since no client has been here to take it.
 */
export function noteArrived({ arrived, journal }: ShardStore): void {
  for (const { row, shards } of arrived.splice(0)) journal.arrived(row, shards);
}

/** Delivers what a shard that has died had sent to sessions here, and had not shown. */
export function deliverPendingOf(shard: Shard, store: ShardStore, source: number): void {
  const { shardIndex, providers } = shard;
  const here: Home = { shards: 1 << shardIndex, queues: [] };
  const homes = new Map<Session, Home>();
  for (const [, session] of providers.store.entries()) {
    if (session.kept !== null) homes.set(session, here);
  }
  for (const pending of store.reader.pending()) {
    if (pending.source !== source || ((pending.shards >>> shardIndex) & 1) === 0) continue;
    deliver(shard, store, pending, homes);
    giveToGroups(shard, pending, shard.members.keptGroups);
    store.journal.arrived(pending.row, 1 << shardIndex);
  }
}

/**
 * Delivers what was on its way to a shard that has died, where the session was that has been found
 * in the store since: what it has from there, or was given here meanwhile, it is not given again.
 */
export function deliverPendingTo(shard: Shard, session: Session, index: number): void {
  const { store } = shard;
  const { kept } = session;
  if (store === null || kept === null) return;
  const homes = new Map([[session, { shards: 1 << index, queues: [kept.queue.number] }]]);
  for (const pending of store.reader.pending()) {
    if (session.window?.messages.hasRun(pending.run) !== true) {
      deliver(shard, store, pending, homes);
    }
  }
}

function deliver(
  shard: Shard,
  store: ShardStore,
  { run, shards }: PendingRun,
  homes: ReadonlyMap<Session, Home>,
): void {
  checkFrames(run.bytes, 0, run.bytes.length, run.count);
  if (hasExpired(run.expiresAt)) return;
  const queued = { ...run, header: run.header & ~RETAIN, place: NO_PLACE };
  const isRetained = (run.header & RETAIN) !== 0;
  const { subscribers, grants, identifiers } = shard.routes.findKey(topicKeyOf(run));
  for (let index = 0; index < subscribers.length; index++) {
    const session = subscribers[index]!;
    const home = homes.get(session);
    if (home === undefined || (shards & home.shards) === 0) continue;
    if (home.queues.some((queue) => hasRun(store, queue, run))) continue;
    const grant = grants[index]!;
    const qos = Math.min((run.header >> QOS_SHIFT) & QOS_BITS, grant & QOS_BITS);
    if (qos === 0) continue;
    const keepsRetain = isRetained && (grant & KEEPS_RETAIN) !== 0;
    session.enqueue(queued, qos as 1 | 2, keepsRetain, false, identifiers?.[index]);
  }
}

/**
 * Whether a queue has a run among its newest. Of a session on its way one of two shards had to take
 * it, and which one is not known; but neither can have sent it to the client: it is where it was
 * put.
 */
function hasRun({ reader }: ShardStore, queue: number, run: Run): boolean {
  const ends = reader.ends(queue);
  if (ends === null) return false;
  const from = Math.max(ends.first, ends.next - PENDING_LOOK_BACK);
  for (const entry of reader.entriesFrom(queue, from)) {
    if (entry.run.bytes.equals(run.bytes)) return true;
  }
  return false;
}

/** To those whose owner then is one that it was on its way to. */
function giveToGroups(
  shard: Shard,
  { run, shards, shardCount: then }: PendingRun,
  groupKeys: readonly string[],
): void {
  const topicKey = topicKeyOf(run);
  for (const groupKey of groupKeys) {
    if (((shards >>> ownerOfGroup(groupKey, then)) & 1) === 0) continue;
    const { filter } = parseShareFilter(groupKey)!;
    if (matchesKey(filter, topicKey)) shard.members.putFound(groupKey, run);
  }
}

/** What its topic retains from then on may have been on its way to whoever keeps it, too. */
function retain(shard: Shard, { run, shards, shardCount: then }: PendingRun, now: number): void {
  if ((run.header & RETAIN) === 0) return;
  const topicKey = topicKeyOf(run);
  const wasOwnedThere = ((shards >>> retainedOwnerOf(topicKey, then)) & 1) === 1;
  if (!wasOwnedThere || retainedOwnerOf(topicKey, now) !== shard.shardIndex) return;
  const { bytes, header, propertyBytes, expiresAt } = run;
  const traits = { propertyBytes, expiresAt, own: null };
  shard.retained.store(topicKey, bytes, 0, bytes.length, header, traits);
}
