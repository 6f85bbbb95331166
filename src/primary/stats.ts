/** What a server says of itself: counters by name, plain data. */
import { type CounterTotals, sumCounters } from '../base/counters.js';
import type { BoundAddress } from './acceptor.js';
import type { Ledger } from './memory-watch.js';
import { noRefusals, type RefusalReason } from './refusals.js';

/** Counters of one shard since it started last. */
export interface ShardStats extends CounterTotals {
  readonly shardIndex: number;
  /** False while it is being replaced. */
  readonly isLive: boolean;
}

/**
 * A picture of a server: the counters of all shards together, and what the primary knows besides.
 * Counters that only grow do so for as long as the server is open, whatever becomes of its shards.
 */
export interface ServerStats extends CounterTotals {
  /** Seconds since the shards were started, 0 before. */
  readonly uptimeSeconds: number;
  /** Where connections are accepted. */
  readonly listeners: readonly BoundAddress[];
  /** Client ids with a session, connected or not. */
  readonly clientIds: number;
  /** Connections closed at once for whatever reason. */
  readonly refusedConnections: number;
  /** The same by reason. */
  readonly refusals: Readonly<Record<RefusalReason, number>>;
  /** Connections that have no limits by address, since more addresses came than can be counted. */
  readonly uncountedAddresses: number;
  /** How short of memory the process is, 0 to 3: see base/memory-level.ts. */
  readonly memoryLevel: number;
  /** What it has in memory, and what it may have (`memoryLimit`), in bytes. */
  readonly memoryUsedBytes: number;
  readonly memoryLimitBytes: number;
  /** Shards that died and were replaced. */
  readonly shardDeaths: number;
  readonly shards: readonly ShardStats[];
}

/** The stats of a server without shards. */
export function emptyStats(): ServerStats {
  return {
    uptimeSeconds: 0,
    listeners: [],
    clientIds: 0,
    refusedConnections: 0,
    refusals: noRefusals(),
    uncountedAddresses: 0,
    shardDeaths: 0,
    memoryLevel: 0,
    memoryUsedBytes: 0,
    memoryLimitBytes: 0,
    shards: [],
    ...sumCounters([]),
  };
}

/** Counters of one shard under their names. */
export function shardStats(
  shardIndex: number,
  isLive: boolean,
  counters: SharedArrayBuffer,
): ShardStats {
  return { shardIndex, isLive, ...sumCounters([counters]) };
}

/** What is known of the use of memory, in bytes, for the log. */
export function ledgerOf(totals: CounterTotals): Ledger {
  const { queuedBytes, outboxBytes, retainedBytes, unfinishedBytes } = totals;
  return { queuedBytes, outboxBytes, retainedBytes, unfinishedBytes };
}
