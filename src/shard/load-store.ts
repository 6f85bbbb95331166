/**
 * What a shard finds in the store when it starts: its sessions with what they have subscribed to,
 * and how many messages it retains. These and queues stay where they are until somebody needs them.
 */
import { ANONYMOUS } from '../access/admission.js';
import { GROUP_FOUND_MS, LOADED_PER_SHARE, SHARDS_MAX } from '../base/limits.js';
import { isOfGroups } from '../router/group-rows.js';
import { type TailRow, tailOf } from '../sessions/kept-sessions.js';
import type { Session } from '../sessions/session.js';
import type { StoredSession } from '../store/stored-session.js';
import type { LoadedSession, ShardStart } from './control.js';
import { deliverPending, type Home } from './deliver-pending.js';
import type { ShardStore } from './make-store.js';
import { filtersOf, type SessionRow } from './session-rows.js';
import type { Shard } from './shard.js';

const NOTHING = () => {};

/** Takes what is the shard's; resolves when all shards route to it. Nothing where there is none. */
export async function loadStore(
  shard: Shard,
  { shardCount, orphans }: Pick<ShardStart, 'shardCount' | 'orphans'>,
): Promise<void> {
  const { store } = shard;
  if (store === null) return;
  store.reader.renew();
  // Before members of groups can join: those on other shards may do so at any time from here on.
  store.groups.load(store.reader.sessionsOfNoClient(), orphans !== null);
  const groupKeys = store.groups.found;
  await countRetained(shard, store);
  if (orphans !== null) {
    // The others have been live before, and look at it before this one is.
    for (const index of [...store.awaitedLoads]) {
      if (index !== shard.shardIndex) store.awaitedLoads.delete(index);
    }
    const homes = await loadOrphans(shard, store, orphans);
    deliverPending(shard, store, homes, 1 << shard.shardIndex, shardCount, groupKeys);
  } else {
    await loadAll(shard, store, shardCount, groupKeys);
  }
  setTimeout(() => store.groups.forgetFound(), GROUP_FOUND_MS).unref();
  shard.schedule();
  await new Promise<void>((resolve) => shard.interest.whenAllConfirmed(resolve));
}

/** Those that were on shards whose index is this one's now, with what was on its way to them. */
async function loadAll(
  shard: Shard,
  store: ShardStore,
  shardCount: number,
  groupKeys: readonly string[],
): Promise<void> {
  const homes = await loadSessions(shard, store, shardCount);
  let shards = 0;
  for (let home = shard.shardIndex; home < SHARDS_MAX; home += shardCount) shards |= 1 << home;
  deliverPending(shard, store, homes, shards, shardCount, groupKeys);
}

/** Those that a shard had that has died. */
async function loadOrphans(
  shard: Shard,
  store: ShardStore,
  clientIds: readonly string[],
): Promise<Map<Session, Home>> {
  const homes = new Map<Session, Home>();
  const loaded: LoadedSession[] = [];
  for (const clientId of clientIds) {
    const stored = store.reader.session(clientId);
    if (stored === null) continue;
    const row = stored.head as SessionRow;
    const session = loadSession(shard, store, stored, row);
    if (session === null) continue;
    homes.set(session, homeOf(shard, session, row, stored, store));
    if (loaded.push({ clientId, claim: session.claim }) % LOADED_PER_SHARE === 0) await nextTurn();
  }
  shard.line.say({ kind: 'loaded', sessions: loaded });
  return homes;
}

/** How many messages it retains: they stay where they are. */
async function countRetained(shard: Shard, { retained }: ShardStore): Promise<void> {
  for (const { messages, bytes } of retained.totals()) {
    shard.retained.restore(messages, bytes);
    // The primary waits for as long as there is more.
    shard.line.say({ kind: 'loaded', sessions: [] });
    await nextTurn();
  }
}

/** @returns by session: the shard that it was on. */
async function loadSessions(
  shard: Shard,
  store: ShardStore,
  shardCount: number,
): Promise<Map<Session, Home>> {
  const homes = new Map<Session, Home>();
  let batch: LoadedSession[] = [];
  const say = () => {
    if (batch.length > 0) shard.line.say({ kind: 'loaded', sessions: batch });
    batch = [];
  };
  for (const stored of store.reader.sessions(() => true)) {
    if (isOfGroups(stored) || isTail(shard, store, stored)) continue;
    const row = stored.head as SessionRow;
    if (row.home % shardCount !== shard.shardIndex) continue;
    const session = loadSession(shard, store, stored, row);
    if (session === null) continue;
    homes.set(session, homeOf(shard, session, row, stored, store));
    const { clientId, claim } = session;
    if (batch.push({ clientId, claim }) < LOADED_PER_SHARE) continue;
    say();
    await nextTurn();
  }
  say();
  return homes;
}

/** @returns null for one that has expired meanwhile. */
function loadSession(
  shard: Shard,
  { reader, kept, rows, journal }: ShardStore,
  { number, clientId }: StoredSession,
  row: SessionRow,
): Session | null {
  const { registry, access, takeover, wills, deadlines, sessionWatch, shardIndex } = shard;
  const now = Date.now();
  // It is away since the broker is, where it was not before. A clock that was set back adds none.
  const awayMs = row.leftAt === 0 ? 0 : Math.max(0, now - row.leftAt);
  if (row.expiryMs <= awayMs) {
    journal.dropSession(number, clientId);
    return null;
  }
  const { expiryMs, protocolVersion, username, rules } = row;
  const session = registry.create(clientId, expiryMs, protocolVersion, takeover.nextClaim());
  access.admit(session, { ...ANONYMOUS, username, rules });
  const filters = filtersOf(reader, number);
  // Before it is one that is kept: they are on disk already.
  registry.subscribe(session, filters, NOTHING);
  kept.take(session, number, row.mayBeSent, row.next, row.lookedTo);
  if (row.will !== null) {
    const leftMs = Math.min(row.will.leftMs, Math.max(0, row.willAt - now));
    wills.arrive(session, { ...row.will, leftMs }, deadlines.now);
  }
  sessionWatch.onAbsent(session, awayMs);
  if (row.leftAt === 0 && row.home === shardIndex) rows.save(session);
  return session;
}

/** Whether it is a tail (KeptSessions.beginTail). One whose session has ended goes. */
function isTail(
  { shardIndex }: Shard,
  { reader, journal }: ShardStore,
  { number, clientId, head }: StoredSession,
): boolean {
  if ((head as { readonly isTail?: boolean }).isTail !== true) return false;
  if (shardIndex === 0 && reader.session(clientId.slice(0, -1)) === null) {
    journal.dropSession(number, clientId);
  }
  return true;
}

/** Where a session was. */
function homeOf(
  { shardIndex }: Shard,
  { clientId }: Session,
  row: SessionRow,
  { number }: StoredSession,
  { reader }: ShardStore,
): Home {
  const tail = reader.session(tailOf(clientId));
  return {
    shards: 1 << row.home,
    tail,
    tailShards: tail === null ? 0 : 1 << (tail.head as TailRow).home,
    queues: tail === null ? [number] : [number, tail.number],
    outdated: row.home === shardIndex ? null : row,
  };
}

/** Lets rings, the primary and other threads have their turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
