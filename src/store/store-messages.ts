/** What a journal and the store thread say to each other; types and no logic. */
import type { MessagePort } from 'node:worker_threads';
import type { Durability } from '../base/durability.js';

/** A journal's changes since the segment before; in segment-format.ts is what they look like. */
export interface Segment {
  /** Its place among the segments of all shards: the lower one comes first. It wraps. */
  readonly ticket: number;
  /** Position behind its last change. */
  readonly position: number;
  /** Moved, not copied. */
  readonly bytes: ArrayBuffer;
  /** How many of them there are. */
  readonly length: number;
}

/** The store thread to a journal. */
export type ToJournal =
  /** All changes before this position are durable. */
  | { readonly kind: 'durable'; readonly position: number }
  /** The disk does not take what is there, and is asked again and again. Said once. */
  | { readonly kind: 'failing'; readonly why: string }
  /** It has taken it. */
  | { readonly kind: 'well' };

/** What a shard is started with. */
export interface ShardStoreStart {
  /** To the store thread. */
  readonly port: MessagePort;
  /** store-words.ts. */
  readonly words: SharedArrayBuffer;
  /** The data folder. */
  readonly folder: string;
  readonly durability: Durability;
  /** Above every number of a session that there is: those the shard gives begin with it. */
  readonly base: number;
}

/** What the store thread is started with. */
export interface StoreStart {
  readonly words: SharedArrayBuffer;
  readonly folder: string;
  readonly durability: Durability;
  /** Bytes that the store may hold; 0: as many as the disk has room for. */
  readonly bytesMax: number;
}

/** The primary to the store thread. */
export type ToStore =
  /**
   * A shard is to be started, with the other end of this port. What its predecessor has posted is
   * durable before `attached` answers; no thread may post for it any more.
   */
  | { readonly kind: 'attach'; readonly shardIndex: number; readonly port: MessagePort }
  /** No shard runs any more: what they have posted is to be durable, then the thread ends. */
  | { readonly kind: 'close' };

/** The store thread to the primary. */
export type FromStore =
  | { readonly kind: 'ready' }
  /** It cannot open the store, in the operator's words; the thread ends. */
  | { readonly kind: 'refused'; readonly faults: readonly string[] }
  /** `base` is that of ShardStoreStart. */
  | { readonly kind: 'attached'; readonly shardIndex: number; readonly base: number }
  /** Said for each try. */
  | { readonly kind: 'failing'; readonly why: string }
  | { readonly kind: 'well' }
  /** As many bytes as it may are used, or no longer. */
  | { readonly kind: 'full'; readonly isFull: boolean; readonly bytes: number }
  /** All is durable, and the store closed. */
  | { readonly kind: 'closed' };
