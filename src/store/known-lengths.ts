/**
 * How long the messages are that topics retain on disk, of the topics that have changed of late: a
 * topic that is set again and again is not looked for on disk each time.
 */
import { RETAINED_LENGTHS_KEPT } from '../base/limits.js';

/** One a shard. In two generations, so that nothing is to be done for a topic that is found. */
export class KnownLengths {
  #young = new Map<string, number>();
  #old = new Map<string, number>();

  /** Undefined: it is not known. */
  get(rowKey: string): number | undefined {
    return this.#young.get(rowKey) ?? this.#old.get(rowKey);
  }

  /** @param length 0: there is no such row. */
  set(rowKey: string, length: number): void {
    if (this.#young.size >= RETAINED_LENGTHS_KEPT) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(rowKey, length);
  }
}
