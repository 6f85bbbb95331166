/**
 * What a shard finds in the store when it starts: its sessions with what they have subscribed to,
 * and how many messages it retains. These and queues stay where they are until somebody needs them.
 */
import { ANONYMOUS } from '../access/admission.js';
import { GROUP_FOUND_MS, LOADED_PER_SHARE, SHARDS_MAX } from '../base/limits.js';
import { isOfGroups } from '../router/group-rows.js';
import type { Filters } from '../router/replay-filters.js';
import { type TailRow, tailOf } from '../sessions/kept-sessions.js';
import type { Session } from '../sessions/session.js';
import type { OwedFilter } from '../store/stored-replay.js';
import type { StoredSession } from '../store/stored-session.js';
import type { Grant } from '../topics/grant.js';
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
  const owed = store.reader.allOwedRetained();
  for (const clientId of clientIds) {
    const stored = store.reader.session(clientId);
    if (stored === null) continue;
    const row = stored.head as SessionRow;
    const session = createSession(shard, store, stored, row);
    if (session === null) continue;
    const filters = filtersOf(store.reader, stored.number);
    restoreSession(shard, store, { session, stored, row }, filters, owed.get(stored.number));
    const tail = store.reader.session(tailOf(clientId));
    homes.set(session, homeOf(row, stored, tail));
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

/**
 * First all sessions, then what they have subscribed to, in the order in which that stands on disk:
 * to look for the filters of each took as long as all the rest.
 * @returns by session: the shard that it was on.
 */
async function loadSessions(
  shard: Shard,
  store: ShardStore,
  shardCount: number,
): Promise<Map<Session, Home>> {
  const { reader } = store;
  const loading = new SessionLoading(shard, store);
  const found = new Map<number, FoundSession>();
  for (const stored of reader.sessions(() => true)) {
    if (loading.isLong()) await loading.say();
    if (isOfGroups(stored)) continue;
    if (isTail(shard, store, stored)) {
      loading.tails.set(stored.clientId, stored);
      continue;
    }
    const row = stored.head as SessionRow;
    if (row.home % shardCount !== shard.shardIndex) continue;
    const session = createSession(shard, store, stored, row);
    if (session !== null) found.set(stored.number, { session, stored, row });
  }
  let last: FoundSession | undefined;
  let lastNumber = -1;
  let filters: (readonly [filterKey: string, grant: Grant])[] = [];
  for (const { session: number, filterKey, grant } of reader.allSubscriptions()) {
    if (loading.isLong()) await loading.say();
    if (number !== lastNumber) {
      if (last !== undefined) loading.take(last, filters);
      lastNumber = number;
      last = found.get(number);
      found.delete(number);
      filters = [];
    }
    if (last !== undefined) filters.push([filterKey, grant]);
  }
  if (last !== undefined) loading.take(last, filters);
  // Those without any.
  for (const each of found.values()) {
    if (loading.isLong()) await loading.say();
    loading.take(each, []);
  }
  await loading.say();
  return loading.homes;
}

/** A session that is here, and is not what it was. */
interface FoundSession {
  readonly session: Session;
  readonly stored: StoredSession;
  readonly row: SessionRow;
}

/** Sessions that become what they were, one after the other. */
class SessionLoading {
  readonly homes = new Map<Session, Home>();
  /** What is kept of sessions that were on their way to another shard, by its name. */
  readonly tails = new Map<string, StoredSession>();
  readonly #shard: Shard;
  readonly #store: ShardStore;
  readonly #owedRetained: ReadonlyMap<number, readonly OwedFilter[]>;
  #batch: LoadedSession[] = [];
  #looks = 0;

  constructor(shard: Shard, store: ShardStore) {
    this.#owedRetained = store.reader.allOwedRetained();
    this.#shard = shard;
    this.#store = store;
  }

  /** Another row was looked at: whether others are to have their turn. */
  isLong(): boolean {
    return ++this.#looks > LOADED_PER_SHARE;
  }

  take(found: FoundSession, filters: Filters): void {
    const { session, stored, row } = found;
    const owed = this.#owedRetained.get(stored.number);
    restoreSession(this.#shard, this.#store, found, filters, owed);
    const { clientId, claim } = session;
    const tail = this.tails.get(tailOf(clientId)) ?? null;
    this.homes.set(session, homeOf(row, stored, tail));
    this.#batch.push({ clientId, claim });
  }

  /** Tells the primary of those that were taken, and that it goes on. */
  say(): Promise<void> {
    this.#shard.line.say({ kind: 'loaded', sessions: this.#batch });
    this.#batch = [];
    this.#looks = 0;
    return nextTurn();
  }
}

/**
 * @returns null for one that has expired meanwhile; but not where its will is still to be published
 *   [MQTT-3.1.2-8]: that has an end like any other, as soon as all shards are there to hear of it.
 */
function createSession(
  { registry, access, takeover }: Shard,
  { journal }: ShardStore,
  { number, clientId }: StoredSession,
  row: SessionRow,
): Session | null {
  const { expiryMs, protocolVersion, username, rules } = row;
  if (hasExpired(row) && row.will === null) {
    journal.dropSession(number, clientId);
    return null;
  }
  const session = registry.create(clientId, expiryMs, protocolVersion, takeover.nextClaim());
  access.admit(session, { ...ANONYMOUS, username, rules });
  return session;
}

/** Its client has been away for too long. */
function hasExpired(row: SessionRow): boolean {
  return row.expiryMs <= awayMsOf(row);
}

/** It is away since the broker is, where it was not before. A clock that was set back adds none. */
function awayMsOf({ leftAt }: SessionRow): number {
  return leftAt === 0 ? 0 : Math.max(0, Date.now() - leftAt);
}

function restoreSession(
  { registry, replays, sessionWatch, shardIndex }: Shard,
  { kept, rows }: ShardStore,
  { session, stored: { number }, row }: FoundSession,
  filters: Filters,
  owed: readonly OwedFilter[] = [],
): void {
  // Before it is one that is kept: they are on disk already. One that ends gets nothing more.
  if (!hasExpired(row)) registry.subscribe(session, filters, NOTHING);
  kept.take(session, number, row);
  replays.recall(session, owed);
  rows.recallWill(session, row);
  sessionWatch.onAbsent(session, awayMsOf(row));
  if (row.leftAt === 0 && row.home === shardIndex) rows.save(session);
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
function homeOf(row: SessionRow, { number }: StoredSession, tail: StoredSession | null): Home {
  return {
    shards: 1 << row.home,
    tail,
    tailShards: tail === null ? 0 : 1 << (tail.head as TailRow).home,
    queues: tail === null ? [number] : [number, tail.number],
    row,
  };
}

/** Lets rings, the primary and other threads have their turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
