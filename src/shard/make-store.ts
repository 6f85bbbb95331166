/** The store of a shard, tied to its other parts. */
import { GroupRows } from '../router/group-rows.js';
import { retainedOwnerOf } from '../router/route.js';
import { KeptSessions } from '../sessions/kept-sessions.js';
import { Journal } from '../store/journal.js';
import { KeptRetained } from '../store/kept-retained.js';
import type { ShardStoreStart } from '../store/store-messages.js';
import type { StoreReader } from '../store/store-reader.js';
import { DurableAcks } from './durable-acks.js';
import { StoredReplays } from './replay-rows.js';
import { SessionRows } from './session-rows.js';
import type { Shard } from './shard.js';

/** What a shard keeps its sessions and retained messages in. */
export interface ShardStore {
  readonly start: ShardStoreStart;
  readonly journal: Journal;
  readonly reader: StoreReader;
  readonly kept: KeptSessions;
  readonly rows: SessionRows;
  readonly replays: StoredReplays;
  /**
   * By row: what was given here, and is to be pending no more for these shards; 0: that is
   * journaled, and not durable yet. See deliver-pending.ts.
   */
  readonly arrived: Map<number, number>;
  /**
   * By shard that has died and has a successor: behind the last row of what was on its way then.
   * What comes behind it from there is the successor's, and on its ring.
   */
  readonly pendingEnds: Map<number, number>;
  /** Shards that have to be live before. */
  readonly awaitedLoads: Set<number>;
  readonly groups: GroupRows;
  readonly retained: KeptRetained;
}

/** Makes it; null where nothing is kept. @throws ConfigError when the store cannot be opened. */
export function makeStore(
  shard: Shard,
  start: ShardStoreStart | null,
  shardCount: number,
): ShardStore | null {
  if (start === null) return null;
  const { shardIndex, wills, deadlines } = shard;
  const journal = new Journal({
    port: start.port,
    words: start.words,
    onDurable: () => {
      retained.onDurable();
      shard.durable?.onDurable();
    },
    // The primary says it to people.
    onState: () => shard.schedule(),
  });
  const reader = shard.providers.reader!;
  const isOwn = (topicKey: string) => retainedOwnerOf(topicKey, shardCount) === shardIndex;
  const retained = new KeptRetained({ journal, reader, shardIndex, shardCount, isOwn });
  const waits = start.durability !== 'none';
  const { storeFull } = shard.config;
  const parts = { journal, reader, shardIndex };
  const kept = new KeptSessions({ ...parts, base: start.base, waits, storeFull });
  const rows = new SessionRows({ shardIndex, kept, wills, deadlines });
  const replays = new StoredReplays({ journal, reader });
  const nextNumber = () => kept.takeNumber();
  const groups = new GroupRows({ ...parts, shardCount, nextNumber, fullness: kept });
  const arrived: ShardStore['arrived'] = new Map();
  const pendingEnds: ShardStore['pendingEnds'] = new Map();
  const awaitedLoads = new Set(Array.from({ length: shardCount }, (_, index) => index));
  const tables = { kept, rows, replays, groups, retained };
  return { start, journal, reader, ...tables, arrived, pendingEnds, awaitedLoads };
}

/** Some shard is still to find what it has in the store, as far as this one has to wait for it. */
export function isLoading({ store }: Pick<Shard, 'store'>): boolean {
  return store !== null && store.awaitedLoads.size > 0;
}

/**
 * Makes what answers wait in, and has what is made here wait for those that are still to find who
 * it is for; null where nothing is kept.
 */
export function makeDurableAcks(shard: Shard, shardCount: number): DurableAcks | null {
  const { store, shardIndex, link, share, arena, takeover, router } = shard;
  if (store === null) return null;
  const { journal, kept, retained, start } = store;
  const waits = start.durability !== 'none';
  const rejects = shard.config.storeFull === 'reject';
  const own = { shardIndex, shardCount, waits, rejects, words: start.words };
  const schedule = () => shard.schedule();
  const delivery = { onReleased: () => shard.router.delivery.onReleased() };
  const parts = { journal, kept, retained, link, share, arena, takeover, delivery, schedule };
  const durable = new DurableAcks({ ...own, ...parts });
  router.durable = durable;
  router.made.isTooEarly = (route, header) => isLoading(shard) || durable.isOrphaned(route, header);
  return durable;
}
