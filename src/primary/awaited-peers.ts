/** Peers of a dead shard that have not said yet that what they had of it is on disk. */

/** One a shard. */
export class AwaitedPeers {
  readonly #due = new Set<number>();
  #onNone: (() => void) | null = null;

  add(shardIndex: number): void {
    this.#due.add(shardIndex);
  }

  /** It has said it, or is dead itself. */
  delete(shardIndex: number): void {
    if (this.#due.delete(shardIndex) && this.#due.size === 0) this.#onNone?.();
  }

  /** Resolves when none is awaited. */
  none(): Promise<void> {
    if (this.#due.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNone = resolve;
    });
  }
}
