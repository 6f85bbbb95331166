/** What waits in all outboxes of a shard for their sockets. */

/** One a shard. */
export class OutboxTotal {
  /** In bytes. */
  bytes = 0;
  /** Where it is full, in bytes: from there on whoever is behind loses QoS 0 messages. */
  limit = Number.POSITIVE_INFINITY;

  get isFull(): boolean {
    return this.bytes >= this.limit;
  }
}

/** The least share of a shard: below it a single reader could not be behind. */
const SHARE_BYTES_MIN = 1024 * 1024;

/** What the outboxes of one of `shardCount` shards may hold together. */
export function outboxShare(totalBytes: number, shardCount: number): number {
  return Math.max(SHARE_BYTES_MIN, Math.ceil(totalBytes / shardCount));
}
