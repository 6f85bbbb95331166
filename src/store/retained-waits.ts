/**
 * Changes of what is retained that nobody is answered for, those of QoS 0: where many topics change
 * they are journaled some time later, and of one that has changed again meanwhile the last alone.
 * So a flood costs the disk no more than its topics do, and while the disk takes nothing no more
 * gathers in memory than may be retained.
 */
import {
  RETAINED_WAIT_TICKS,
  RETAINED_WAITING_MAX,
  RETAINED_WAITING_SLICE,
  RETAINED_WAITING_SLICE_BYTES,
} from '../base/limits.js';
import type { Journal } from './journal.js';
import { type RetainedChange, type RetainedChanges, WAITS } from './retained-changes.js';

/** The journal, as far as it is used here. */
export type JournalOfWaits = Pick<
  Journal,
  'appended' | 'durable' | 'isFailing' | 'isFull' | 'isStoreFull' | 'retain' | 'submit'
>;

/** One a shard. */
export class RetainedWaits {
  /** What the journal is to be told of: messages that it does not know of, and their bytes. */
  messages = 0;
  bytes = 0;
  readonly #journal: JournalOfWaits;
  readonly #changes: RetainedChanges;
  /** In the order in which they came, also those that were journaled since. */
  #waiting: RetainedChange[] = [];
  /** Those whose time has come. */
  #due: RetainedChange[] = [];
  #nextDue = 0;
  #ticks = 0;
  /** Behind the last that was journaled here. */
  #position = 0;

  constructor(journal: JournalOfWaits, changes: RetainedChanges) {
    this.#journal = journal;
    this.#changes = changes;
  }

  /** Whether the newest change of a topic waits. */
  has(last: RetainedChange | undefined): boolean {
    return last?.position === WAITS;
  }

  /** @param last the newest change of the topic. @param older how long its message is. */
  put(
    rowKey: string,
    topicKey: string,
    message: string | null,
    last: RetainedChange | undefined,
    older: number,
  ): void {
    if (last?.position === WAITS) {
      this.#count(last, -1);
      last.message = message;
      this.#count(last, 1);
      return;
    }
    const change = { rowKey, topicKey, message, position: WAITS, before: older };
    this.#changes.put(change, last === undefined);
    this.#waiting.push(change);
    this.#count(change, 1);
  }

  /** Another one replaces it, that is journaled. */
  leave(change: RetainedChange): void {
    if (change.position === WAITS) this.#count(change, -1);
  }

  /** A tick of the shard's clock. @returns whether something is to be journaled. */
  onTick(): boolean {
    if (this.#waiting.length === 0) this.#ticks = 0;
    else if (++this.#ticks >= RETAINED_WAIT_TICKS) this.#makeDue();
    return this.#due.length > 0;
  }

  /**
   * Journals some of those whose time has come, once those before them are durable: who publishes
   * at QoS 1 waits for a write with a few of them, and no longer.
   */
  journalSome(): void {
    if (this.#waiting.length > RETAINED_WAITING_MAX) this.#makeDue();
    // What room there is on the disk is for those who are answered.
    if (this.#due.length === 0 || this.#journal.isFailing) return;
    if (this.#journal.durable < this.#position) return;
    this.#journalDue(RETAINED_WAITING_SLICE, RETAINED_WAITING_SLICE_BYTES);
  }

  /** Journals all, in segments that are none too long for one write. */
  journalAll(): void {
    for (;;) {
      if (this.#due.length === 0) this.#makeDue();
      if (this.#due.length === 0) return;
      this.#journalDue(RETAINED_WAITING_SLICE, RETAINED_WAITING_SLICE_BYTES);
      this.#journal.submit();
    }
  }

  /** Those that wait are due, when those before them have been journaled. */
  #makeDue(): void {
    if (this.#due.length > 0) return;
    this.#due = this.#waiting;
    this.#waiting = [];
    this.#ticks = 0;
  }

  #journalDue(countMax: number, bytesMax: number): void {
    const due = this.#due;
    let bytesLeft = bytesMax;
    const end = Math.min(due.length, this.#nextDue + countMax);
    while (this.#nextDue < end && bytesLeft > 0) {
      const change = due[this.#nextDue++]!;
      bytesLeft -= this.#journalOne(change);
    }
    this.#position = this.#journal.appended;
    if (this.#nextDue < due.length) return;
    this.#due = [];
    this.#nextDue = 0;
  }

  /** @returns its bytes. */
  #journalOne(change: RetainedChange): number {
    const { rowKey, topicKey, message } = change;
    if (change.position !== WAITS || this.#changes.get(rowKey) !== change) return 0;
    this.#count(change, -1);
    const position = this.#journal.appended;
    this.#journal.retain(topicKey, message);
    this.#changes.onJournaled(change, position);
    return topicKey.length + (message?.length ?? 0);
  }

  #count({ message, before }: RetainedChange, sign: 1 | -1): void {
    this.messages += sign * ((message === null ? 0 : 1) - (before > 0 ? 1 : 0));
    this.bytes += sign * ((message?.length ?? 0) - before);
  }
}
