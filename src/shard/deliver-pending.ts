/**
 * Runs that were on their way to a shard when it died, or the broker: those who would have had them
 * there have them now, once and in their place (store/pending-runs.ts).
 *
 * Of a session that was on its way from a shard H to a shard T there are a queue, of H, and a tail,
 * of T (KeptSessions.beginTail). A run that T has not handled is newer than all that is in the
 * tail; one that H alone has not is older, as T began with a source when H had ended with it.
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
import type { StoredSession } from '../store/stored-session.js';
import { KEEPS_RETAIN } from '../topics/grant.js';
import { matchesKey } from '../topics/topic.js';
import type { ShardStore } from './make-store.js';
import type { Missed } from './session-registry.js';
import type { SessionRow } from './session-rows.js';
import type { Shard } from './shard.js';

const QOS_BITS = 3;
const QOS_SHIFT = 1;

/** Where a session was. */
export interface Home {
  /** A bit for its shard. */
  readonly shards: number;
  /** What it was given by the shard that it was on its way to; null: it was not. */
  readonly tail: StoredSession | null;
  /** A bit for that shard. */
  readonly tailShards: number;
  /** Numbers of its queue and its tail. */
  readonly queues: readonly number[];
  /** The row that says so. */
  readonly row: SessionRow;
}

/**
 * Delivers what was on its way, and brings together what sessions had in two places.
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
  const rows = store.reader.pending();
  const given = new Set<string>();
  const sessions = new Set<Session>();
  for (const pending of rows) {
    retain(shard, pending, shardCount);
    const isMissing = (groupKey: string) => store.groups.lookedTo(groupKey) <= pending.row;
    for (const groupKey of giveToGroups(shard, pending, groupKeys.filter(isMissing))) {
      given.add(groupKey);
    }
    deliver(shard, pending, (session) => {
      const home = homes.get(session);
      if (home === undefined || (pending.shards & home.tailShards) !== 0) return false;
      if ((pending.shards & home.shards) === 0) return false;
      // That it has come to a shard says so behind what that had handled before: it has none of
      // what that has not. Another message may have the same bytes.
      if (home.tail !== null && haveRun(store, home.queues, pending.run)) return false;
      sessions.add(session);
      return true;
    });
    if ((pending.shards & shards) !== 0) store.arrived.set(pending.row, shards);
  }
  const moving = new Map([...homes].filter(([, { tail }]) => tail !== null));
  for (const [session, { tail }] of moving) takeTail(session, tail!, store);
  for (const pending of moving.size === 0 ? [] : rows) {
    deliver(shard, pending, (session) => {
      const home = moving.get(session);
      if (home === undefined || (pending.shards & home.tailShards) === 0) return false;
      return !haveRun(store, home.queues, pending.run);
    });
  }
  const end = (rows.at(-1)?.row ?? -1) + 1;
  store.groups.noteLooked(given, end);
  for (const [session, { row, tail }] of homes) {
    noteLooked(session, end);
    // Not before: what was on its way to where it was would be for nobody, if this shard died too.
    // With what was looked at: what is on its way to here is not for it, unless it has it by now.
    const isElsewhere = tail !== null || row.home !== shard.shardIndex;
    if (isElsewhere || sessions.has(session)) store.rows.moveHere(session, row);
  }
}

/** What was for a session of the rows before `end`, it has: they may stay there, for others. */
function noteLooked({ kept }: Session, end: number): void {
  if (kept !== null) kept.lookedTo = Math.max(kept.lookedTo, end);
}

/** What a session was given while it was on its way goes behind what it has. */
function takeTail(
  session: Session,
  { number, clientId }: StoredSession,
  { reader, journal }: ShardStore,
): void {
  for (const { run, deliveryHeader, identifiers } of reader.entriesFrom(number, 0)) {
    const qos = ((deliveryHeader >> 1) & 3) as 1 | 2;
    const isRetained = (deliveryHeader & 1) !== 0;
    session.enqueue({ ...run, place: NO_PLACE }, qos, isRetained, false, identifiers);
  }
  journal.dropSession(number, clientId);
}

/**
 * All shards have looked at what was on its way: it is pending no more. Not before, as another one
 * may have the session that it was for; and if the broker ends before, who has it is not given it
 * again, since no client has been here to take it.
 */
export function noteArrived(shard: Shard, { arrived, journal }: ShardStore): void {
  if (arrived.size === 0) return;
  for (const [row, shards] of arrived) {
    if (shards !== 0) journal.arrived(row, shards);
    arrived.set(row, 0);
  }
  // Until then whoever looks finds it, and must know.
  shard.whenDurable(() => arrived.clear());
}

/** A shard that has died has a successor, which has sent nothing yet. */
export function noteSuccessor({ reader, pendingEnds }: ShardStore, index: number): void {
  reader.renew();
  pendingEnds.set(index, reader.pendingEnd());
}

/**
 * Delivers what a shard that has died had sent to sessions here, and had not shown: but for what
 * this shard has found when it began itself, and for sessions that it was looked at for since, by
 * the successor too.
 */
export function deliverPendingOf(shard: Shard, store: ShardStore, source: number): void {
  const { shardIndex } = shard;
  const { arrived, pendingEnds } = store;
  const end = pendingEnds.get(source) ?? 0;
  for (const pending of store.reader.pending()) {
    const { row, shards } = pending;
    // Its successor may be at work by now.
    if (row >= end) break;
    if (pending.source !== source || ((shards >>> shardIndex) & 1) === 0) continue;
    if (arrived.has(row)) continue;
    const isMissing = (session: Session) =>
      session.kept !== null && !shard.takeover.isComing(session, source);
    deliver(shard, pending, isMissing);
    giveToGroups(shard, pending, shard.members.keptGroups);
    store.journal.arrived(row, 1 << shardIndex);
  }
}

/** What a session has missed that was on a shard which has died, for SessionRegistry.recover. */
export function missedOn(shard: Shard, index: number): Missed {
  const { shardIndex } = shard;
  const store = shard.store!;
  const give = (session: Session, isFor: (pending: PendingRun) => boolean) => {
    const { number } = session.kept!.queue;
    for (const pending of store.reader.pending()) {
      if (!isFor(pending) || hasRun(store, number, pending.run)) continue;
      deliver(shard, pending, (other) => other === session);
    }
  };
  return {
    beforeTail(session, tail) {
      const isMissing = ({ shards, run }: PendingRun) =>
        ((shards >>> index) & 1) === 1 && tail?.messages.hasRun(run) !== true;
      give(session, isMissing);
    },
    behindTail(session) {
      const isMissing = ({ source, shards }: PendingRun) =>
        source === index && ((shards >>> shardIndex) & 1) === 1;
      give(session, isMissing);
      noteLooked(session, store.reader.pendingEnd());
    },
  };
}

/** To those that it was not looked at for before, and that miss it. */
function deliver(
  shard: Shard,
  { row, run }: PendingRun,
  isMissing: (session: Session) => boolean,
): void {
  checkFrames(run.bytes, 0, run.bytes.length, run.count);
  if (hasExpired(run.expiresAt)) return;
  const queued = { ...run, header: run.header & ~RETAIN, place: NO_PLACE };
  const isRetained = (run.header & RETAIN) !== 0;
  const { subscribers, grants, identifiers } = shard.routes.findKey(topicKeyOf(run));
  for (let index = 0; index < subscribers.length; index++) {
    const session = subscribers[index]!;
    const grant = grants[index]!;
    const qos = Math.min((run.header >> QOS_SHIFT) & QOS_BITS, grant & QOS_BITS);
    if (qos === 0 || (session.kept !== null && session.kept.lookedTo > row)) continue;
    if (!isMissing(session)) continue;
    const keepsRetain = isRetained && (grant & KEEPS_RETAIN) !== 0;
    session.enqueue(queued, qos as 1 | 2, keepsRetain, false, identifiers?.[index]);
  }
}

function haveRun(store: ShardStore, queues: readonly number[], run: Run): boolean {
  return queues.some((queue) => hasRun(store, queue, run));
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

/** To those whose owner then is one that it was on its way to. @returns them. */
function giveToGroups(
  shard: Shard,
  { run, shards, shardCount: then }: PendingRun,
  groupKeys: readonly string[],
): string[] {
  const topicKey = topicKeyOf(run);
  const given = groupKeys.filter((groupKey) => {
    const wasItsOwner = ((shards >>> ownerOfGroup(groupKey, then)) & 1) === 1;
    return wasItsOwner && matchesKey(parseShareFilter(groupKey)!.filter, topicKey);
  });
  for (const groupKey of given) shard.members.putFound(groupKey, run);
  return given;
}

/** What its topic retains from then on may have been on its way to whoever keeps it, too. */
function retain(shard: Shard, { run, shards, shardCount: then }: PendingRun, now: number): void {
  if ((run.header & RETAIN) === 0) return;
  const topicKey = topicKeyOf(run);
  const wasOwnedThere = ((shards >>> retainedOwnerOf(topicKey, then)) & 1) === 1;
  if (!wasOwnedThere || retainedOwnerOf(topicKey, now) !== shard.shardIndex) return;
  const { bytes, header, propertyBytes, expiresAt } = run;
  const traits = { propertyBytes, expiresAt, own: null, aliased: null };
  shard.retained.store(topicKey, bytes, 0, bytes.length, header, traits);
}
