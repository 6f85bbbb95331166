/**
 * What the unfinished packets of a shard take, all together. Each is bounded by maxPacketBytes, but
 * many clients may each send all of one but its last byte, and keep quiet from then on.
 */
import { largestPacketBytes } from '../base/client-settings.js';
import type { Config } from '../base/config.js';
import { CloseReason } from '../base/errors.js';
import {
  UNFINISHED_GROWTH,
  UNFINISHED_SMALL_BYTES,
  UNFINISHED_TOTAL_DIVISOR,
} from '../base/limits.js';

/** A connection, as far as its unfinished packet is concerned; both numbers are kept from here. */
export interface UnfinishedHolder {
  /** Bytes of memory that count for it; 0: none. */
  unfinishedBytes: number;
  /** What had come of the packet when it moved to the end of the line. */
  unfinishedMark: number;
  /** Ends the connection, and with it what it holds. */
  closeUnfinished(reason: CloseReason, detail: string): void;
}

/**
 * What one of `shardCount` shards may keep of unfinished packets, in bytes: a part of what may wait
 * in queues, but at least one packet, so that each can be finished.
 */
export function unfinishedShare(config: Config, shardCount: number): number {
  const share = Math.ceil(config.maxQueuedTotalBytes / UNFINISHED_TOTAL_DIVISOR / shardCount);
  return Math.max(share, largestPacketBytes(config));
}

/**
 * The total of one shard. Where it would be passed, the packet goes that has not grown for longest,
 * and its connection with it. To count as growing it has to grow by a part of itself: who drips on
 * falls back, and one that is being sent stays in front of those that wait for their last byte.
 */
export class UnfinishedPackets {
  /** What is taken. */
  bytes = 0;
  /** In bytes, see `unfinishedShare`; a lower one holds from the next packet on. */
  limit: number;
  /** In the order in which they have grown. */
  readonly #holders = new Set<UnfinishedHolder>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /**
   * `length` bytes have come of the unfinished packet of `holder`, which takes `capacity` bytes of
   * memory. May close connections, but this one only where it alone takes too much.
   */
  note(holder: UnfinishedHolder, length: number, capacity: number): void {
    if (capacity <= UNFINISHED_SMALL_BYTES) return;
    if (holder.unfinishedBytes === 0 || length >= holder.unfinishedMark * UNFINISHED_GROWTH) {
      this.#holders.delete(holder);
      this.#holders.add(holder);
      holder.unfinishedMark = length;
    }
    this.bytes += capacity - holder.unfinishedBytes;
    holder.unfinishedBytes = capacity;
    // One alone fits, whatever the limit.
    while (this.bytes > this.limit && this.#holders.size > 1) this.#closeFirst();
  }

  /** It is whole, or of no use any more. */
  letGo(holder: UnfinishedHolder): void {
    if (holder.unfinishedBytes === 0) return;
    this.bytes -= holder.unfinishedBytes;
    holder.unfinishedBytes = 0;
    this.#holders.delete(holder);
  }

  #closeFirst(): void {
    const [first] = this.#holders;
    const detail =
      `${first.unfinishedMark} bytes of an unfinished packet, which came no further, had to make ` +
      'room for those of other clients: raise maxQueuedTotalBytes, or lower maxPacketBytes';
    first.closeUnfinished(CloseReason.unfinishedPacket, detail);
    this.letGo(first);
  }
}
