/**
 * A shard takes another configuration while it runs. What is read from `shard.config` when it is
 * needed follows by itself; what was worked out from it is worked out again here.
 */
import { areUsersCounted, largestPacketBytes } from '../base/client-settings.js';
import type { Config } from '../base/config.js';
import { MEMORY_PARTS } from '../base/limits.js';
import type { Materials } from '../base/materials.js';
import { memoryLimit } from '../base/memory-level.js';
import { outboxShare } from '../connection/outbox-total.js';
import { unfinishedShare } from '../connection/unfinished-packets.js';
import { retainedShare } from '../router/retained-store.js';
import { queuedShare } from '../sessions/queued-total.js';
import { Coalescing } from './coalescing.js';
import { accessTableOf } from './make-access.js';
import { reloadAuthenticators } from './reload-clients.js';
import type { Shard } from './shard.js';

/**
 * Replaces the configuration. All of it was checked by the primary: nothing here may fail. Settings
 * that need a restart are what they were.
 */
export function reloadShard(shard: Shard, config: Config, materials: Materials): void {
  shard.config = config;
  shard.materials = materials;
  takeSettings(shard);
  shard.rateDebts.clear();
  shard.profiles.replace(config);
  reloadAuthenticators(shard);
  shard.access.replace(accessTableOf(config, materials));
  shard.adoption.renewTls();
}

/** Has the parts of a shard go by what its configuration says now; at its start, too. */
export function takeSettings(shard: Shard): void {
  const { config, line, queuedTotal, unfinished, retained, programAuthenticator } = shard;
  const shardCount = config.workers;
  shard.coalescing = config.coalesceReads ? (shard.coalescing ?? new Coalescing()) : null;
  line.setLogLevel(config.logLevel);
  const bounded = withinMemory(config);
  queuedTotal.limit = queuedShare(bounded.maxQueuedTotalBytes, shardCount);
  unfinished.limit = Math.min(
    unfinishedShare(config, shardCount),
    Math.max(largestPacketBytes(config), bounded.unfinishedBytes / shardCount),
  );
  shard.outboxTotal.limit = outboxShare(bounded.maxOutboxTotalBytes, shardCount);
  shard.addresses.values = config;
  retained.share = retainedShare({ ...config, ...bounded }, shardCount);
  line.countsUsers = areUsersCounted(config);
  programAuthenticator.timeoutMs = config.authTimeoutMs;
}

/** Totals for all shards that leave the rest of what memory there is to everything else. */
function withinMemory(config: Config) {
  const limit = memoryLimit(config.memoryLimitBytes);
  const { queued, outboxes, retained, unfinished } = MEMORY_PARTS;
  return {
    maxQueuedTotalBytes: Math.min(config.maxQueuedTotalBytes, limit * queued),
    maxOutboxTotalBytes: Math.min(config.maxOutboxTotalBytes, limit * outboxes),
    maxRetainedBytes: Math.min(config.maxRetainedBytes, limit * retained),
    unfinishedBytes: limit * unfinished,
  };
}
