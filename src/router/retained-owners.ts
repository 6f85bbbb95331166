/** Which shards have what a filter matches of what is retained. */
import { hasWildcard } from '../topics/topic.js';
import { retainedOwnerOf } from './route.js';

/** What is known of the shards. */
export interface OwnersParts {
  readonly shardIndex: number;
  readonly shardCount: number;
  /** Live peers, as a mask. */
  readonly peers: () => number;
  /** Null: nothing is kept, and what a shard retains goes with it; else its successor has it. */
  readonly rows: object | null;
}

/** One a shard; shards are masks. */
export class RetainedOwners {
  readonly #parts: OwnersParts;

  constructor(parts: OwnersParts) {
    this.#parts = parts;
  }

  /** Shards that can be asked now, this one too. */
  get live(): number {
    return this.#parts.peers() | (1 << this.#parts.shardIndex);
  }

  /** Those of a filter, with those that will have a successor. */
  of(filterKey: string): number {
    const all = this.isKept ? this.#all : this.live;
    return hasWildcard(filterKey)
      ? all
      : all & (1 << retainedOwnerOf(filterKey, this.#parts.shardCount));
  }

  /** Whether a shard's successor has what it retained. */
  get isKept(): boolean {
    return this.#parts.rows !== null;
  }

  /** Whether a shard has died that will have a successor, who is to be asked. */
  get isAnyAwaited(): boolean {
    return this.isKept && (this.#all & ~this.live) !== 0;
  }

  get #all(): number {
    return -1 >>> (32 - this.#parts.shardCount);
  }
}
