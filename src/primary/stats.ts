/** What a server says of itself: counters by name, plain data. */
import { type CounterTotals, sumCounters } from '../base/counters.js';
import type { BoundAddress } from './acceptor.js';

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
  /** Connections closed at once because no shard, descriptor or place was left for them. */
  readonly refusedConnections: number;
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
    shardDeaths: 0,
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
