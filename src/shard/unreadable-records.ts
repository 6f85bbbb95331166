/** Records of other shards that could not be read: counted, and told now and then. */
import { Counter, type Counters } from '../base/counters.js';
import { UNREADABLE_RECORDS_LOG_INTERVAL_MS } from '../base/limits.js';
import type { PrimaryLine } from './primary-line.js';

/** One a shard. */
export class UnreadableRecords {
  readonly #counters: Counters;
  readonly #line: PrimaryLine;
  readonly #clock: { readonly now: number };
  /** How many were left out when that was last said, and when it was. */
  #said = 0;
  #saidAt = Number.NEGATIVE_INFINITY;

  /** @param clock coarse time in milliseconds. */
  constructor(counters: Counters, line: PrimaryLine, clock: { readonly now: number }) {
    this.#counters = counters;
    this.#line = line;
    this.#clock = clock;
  }

  /**
   * A record was left out: says so of the first at once, of those behind it now and then.
   * @param from the shard that has sent it. @param kind of RecordKind, or none of them.
   */
  note(from: number, kind: number, error: Error): void {
    this.#counters.add(Counter.unreadableRecords, 1);
    const { now } = this.#clock;
    if (now - this.#saidAt < UNREADABLE_RECORDS_LOG_INTERVAL_MS) return;
    const total = this.#counters.get(Counter.unreadableRecords);
    this.#line.log(
      'error',
      { fromShard: from, kind, records: total - this.#said, detail: error.message },
      'records of another shard could not be read and were left out: please report this',
    );
    this.#said = total;
    this.#saidAt = now;
  }
}
