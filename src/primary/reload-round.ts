/** One configuration on its way to the shards: who has yet to say that it goes by it. */

/** Resolves `done` once nobody is awaited any more. */
export class ReloadRound {
  /** Resolves with what went wrong, a line each; empty when every shard has the configuration. */
  readonly done: Promise<readonly string[]>;
  readonly #due: Set<number>;
  readonly #faults: string[] = [];
  readonly #timer: NodeJS.Timeout;
  #settle: (faults: readonly string[]) => void = () => {};

  /** @param shardIndexes the shards that were sent it. */
  constructor(shardIndexes: Iterable<number>, timeoutMs: number) {
    this.#due = new Set(shardIndexes);
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#timer = setTimeout(() => {
      for (const index of this.#due) {
        const when = `within ${timeoutMs / 1000} s; it takes the configuration when it can`;
        this.#faults.push(`shard ${index} has not answered ${when}`);
      }
      this.#due.clear();
      this.#settleIfDone();
    }, timeoutMs);
    this.#settleIfDone();
  }

  /** @param fault why the shard does not go by it; null: it does. */
  answered(shardIndex: number, fault: string | null): void {
    if (!this.#due.delete(shardIndex)) return;
    if (fault !== null) this.#faults.push(`shard ${shardIndex} cannot take it: ${fault}`);
    this.#settleIfDone();
  }

  /** The shard has ended: its successor starts with the newest configuration. */
  ended(shardIndex: number): void {
    this.answered(shardIndex, null);
  }

  #settleIfDone(): void {
    if (this.#due.size > 0) return;
    clearTimeout(this.#timer);
    this.#settle(this.#faults);
  }
}
