/**
 * Connections by each listener, over all shards: words in memory that the primary shares with the
 * shards, one for each listener and shard. The primary counts up what it gives to a shard, the
 * shard counts down what has closed; what a dead shard had is given back whole.
 */
import { LISTENERS_MAX } from '../base/limits.js';

/** One a thread, over the same words. */
export class ListenerCounts {
  readonly #words: Int32Array;
  readonly #shardCount: number;

  /** @param memory from `createMemory` for as many shards. */
  constructor(memory: SharedArrayBuffer, shardCount: number) {
    this.#words = new Int32Array(memory);
    this.#shardCount = shardCount;
  }

  /** Words for LISTENERS_MAX listeners. */
  static createMemory(shardCount: number): SharedArrayBuffer {
    return new SharedArrayBuffer(LISTENERS_MAX * shardCount * Int32Array.BYTES_PER_ELEMENT);
  }

  /** A connection by the listener at `slot` is given to a shard. */
  enter(slot: number, shardIndex: number): void {
    Atomics.add(this.#words, this.#at(slot, shardIndex), 1);
  }

  /** It is closed, or was not taken by the shard. */
  leave(slot: number, shardIndex: number): void {
    Atomics.sub(this.#words, this.#at(slot, shardIndex), 1);
  }

  /** Connections by a listener, those on their way to a shard among them. */
  connections(slot: number): number {
    let total = 0;
    for (let shardIndex = 0; shardIndex < this.#shardCount; shardIndex++) {
      total += Atomics.load(this.#words, this.#at(slot, shardIndex));
    }
    return total;
  }

  /** The lowest slot of no listener, whose last connections are gone, too; -1: there is none. */
  freeSlot(taken: ReadonlySet<number>): number {
    for (let slot = 0; slot < LISTENERS_MAX; slot++) {
      if (!taken.has(slot) && this.connections(slot) === 0) return slot;
    }
    return -1;
  }

  /** The thread of a shard is gone, and its connections with it. */
  forgetShard(shardIndex: number): void {
    for (let slot = 0; slot < LISTENERS_MAX; slot++) {
      Atomics.store(this.#words, this.#at(slot, shardIndex), 0);
    }
  }

  #at(slot: number, shardIndex: number): number {
    return slot * this.#shardCount + shardIndex;
  }
}
