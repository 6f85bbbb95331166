/**
 * The retained messages of one shard that are kept on disk: what has changed and is not durable is
 * in memory, and stands before what is committed. Nothing of the latter is in memory, and no search
 * holds on to it: it goes on from the key that it has come to, with what is committed then.
 */
import {
  RETAINED_AT_ONCE_MAX,
  RETAINED_SLICE_MESSAGES,
  RETAINED_TOTALS_ROWS,
} from '../base/limits.js';
import { behindTopic, FIRST_TOPIC, FilterRange } from '../topics/filter-range.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { hasWildcard } from '../topics/topic.js';
import type { Journal } from './journal.js';
import { retainedKey } from './keys.js';
import { KnownLengths } from './known-lengths.js';
import { type RetainedChange, RetainedChanges } from './retained-changes.js';
import type { RetainedTable, RetainedTotals } from './retained-table.js';
import { type JournalOfWaits, RetainedWaits } from './retained-waits.js';
import type { StoreReader } from './store-reader.js';

/** What they work with, all of one shard. */
export interface KeptRetainedParts {
  readonly journal: JournalOfWaits & Pick<Journal, 'retainedTotals'>;
  readonly reader: Pick<StoreReader, 'renew' | 'retainedTotals' | 'retainedTable'>;
  readonly shardIndex: number;
  readonly shardCount: number;
  /** Whether a topic is this shard's. */
  readonly isOwn: (topicKey: string) => boolean;
  /** Default: RETAINED_AT_ONCE_MAX. */
  readonly atOnceMax?: number;
}

/** One a shard. Messages are as router/retained-message.ts has them. */
export class KeptRetained {
  readonly #parts: KeptRetainedParts;
  readonly #table: RetainedTable;
  /** Of what is on disk, and has changed of late. */
  readonly #known = new KnownLengths();
  readonly #changes = new RetainedChanges(({ rowKey, message }) =>
    this.#known.set(rowKey, message?.length ?? 0),
  );
  readonly #waits: RetainedWaits;
  readonly #atOnceMax: number;
  /** How many there are, and their bytes. */
  #messages = 0;
  #bytes = 0;
  /** The same as the journal has it. */
  #saidMessages = 0;
  #saidBytes = 0;

  constructor(parts: KeptRetainedParts) {
    this.#parts = parts;
    const { journal, reader, shardCount, isOwn } = parts;
    this.#waits = new RetainedWaits(journal, this.#changes);
    this.#atOnceMax = parts.atOnceMax ?? RETAINED_AT_ONCE_MAX;
    this.#table = reader.retainedTable(shardCount === 1 ? null : isOwn);
  }

  /** The store has as many bytes as it may. */
  get isFull(): boolean {
    return this.#parts.journal.isStoreFull;
  }

  /** How long a topic's message is, of another shard's topic as it is on disk; 0: there is none. */
  lengthOf(topicKey: string): number {
    if (!this.#parts.isOwn(topicKey)) this.#parts.reader.renew();
    return this.#lengthOf(retainedKey(topicKey));
  }

  get(topicKey: string): string | undefined {
    const rowKey = retainedKey(topicKey);
    const change = this.#changes.get(rowKey);
    return change === undefined ? this.#table.get(rowKey) : (change.message ?? undefined);
  }

  /**
   * @param isAwaited somebody is answered when it is durable: it is journaled at once, as all are
   *   where few change.
   * @returns how long the message is that it replaces, 0: there was none.
   */
  set(topicKey: string, message: string, isAwaited: boolean): number {
    return this.#change(topicKey, message, isAwaited);
  }

  /** @param isAwaited as in `set`. @returns how long the message was, 0: there was none. */
  delete(topicKey: string, isAwaited: boolean): number {
    return this.#change(topicKey, null, isAwaited);
  }

  /** As RetainedTree.match, in the order of the rows; what is read from disk costs more steps. */
  match(
    filterKey: string,
    stepsMax: number,
  ): Iterator<RetainedMatch<string> | null, void, undefined> {
    if (hasWildcard(filterKey)) return new Search(this.#table, this.#changes, filterKey, stepsMax);
    const message = this.get(filterKey);
    const found: RetainedMatch<string>[] = message === undefined ? [] : [[filterKey, message]];
    return found[Symbol.iterator]() as Iterator<RetainedMatch<string>, void, undefined>;
  }

  /** More is durable than before: what of it is on disk now is not needed any more. */
  onDurable(): void {
    const { journal, reader } = this.#parts;
    if (this.#changes.onDurable(journal.durable)) reader.renew();
  }

  /** How many messages there are, and their bytes; said whenever that changes. */
  noteTotals(messages: number, bytes: number): void {
    this.#messages = messages;
    this.#bytes = bytes;
  }

  /** Time passes: see RetainedWaits. @returns whether there is something to be journaled. */
  onTick(): boolean {
    return this.#waits.onTick();
  }

  /** Before the journal is submitted. */
  beforeSubmit(): void {
    this.#waits.journalSome();
    this.#sayTotals();
  }

  /** Before the journal is submitted for the last time: nothing waits any longer. */
  beforeClose(): void {
    this.#waits.journalAll();
    this.#sayTotals();
  }

  /**
   * How many there are at the start; where that is not known, counts them.
   * @returns parts of it, until all are counted.
   */
  *totals(): Generator<RetainedTotals> {
    const { reader, shardIndex, shardCount } = this.#parts;
    const known = reader.retainedTotals(shardIndex, shardCount);
    if (known === null) {
      yield* this.#table.totals(RETAINED_TOTALS_ROWS);
      return;
    }
    this.#messages = known.messages;
    this.#bytes = known.bytes;
    this.#saidMessages = known.messages;
    this.#saidBytes = known.bytes;
    yield known;
  }

  /** As many as the rows are that the journal makes: without those that wait. */
  #sayTotals(): void {
    const messages = this.#messages - this.#waits.messages;
    const bytes = this.#bytes - this.#waits.bytes;
    if (messages === this.#saidMessages && bytes === this.#saidBytes) return;
    this.#saidMessages = messages;
    this.#saidBytes = bytes;
    const { journal, shardIndex, shardCount } = this.#parts;
    journal.retainedTotals(shardIndex, shardCount, messages, bytes);
  }

  #lengthOf(rowKey: string): number {
    const change = this.#changes.get(rowKey);
    return change === undefined ? this.#lengthOnDisk(rowKey) : (change.message?.length ?? 0);
  }

  #lengthOnDisk(rowKey: string): number {
    return this.#known.get(rowKey) ?? this.#table.lengthOf(rowKey);
  }

  /** @returns how long the message was. */
  #change(topicKey: string, message: string | null, isAwaited: boolean): number {
    const rowKey = retainedKey(topicKey);
    const last = this.#changes.get(rowKey);
    const older = last === undefined ? this.#lengthOnDisk(rowKey) : (last.message?.length ?? 0);
    if (older === 0 && message === null) return 0;
    const { journal } = this.#parts;
    // Where few change nothing has to wait, but for a disk that takes nothing more.
    const isFlood = this.#changes.size >= this.#atOnceMax || this.#waits.has(last);
    if (!isAwaited && (isFlood || journal.isFull || journal.isFailing)) {
      this.#waits.put(rowKey, topicKey, message, last, older);
      return older;
    }
    if (last !== undefined) this.#waits.leave(last);
    const position = journal.appended;
    journal.retain(topicKey, message);
    const change = { rowKey, topicKey, message, position, before: older };
    this.#changes.put(change, last === undefined);
    return older;
  }
}

/** A search for a filter. Between two steps it holds what one look at the disk has found. */
class Search implements Iterator<RetainedMatch<string> | null, void, undefined> {
  readonly #table: RetainedTable;
  readonly #changes: RetainedChanges;
  readonly #range: FilterRange;
  readonly #stepsMax: number;
  /** Levels' worth of what was looked at, and not told by null yet. */
  #steps = 0;
  /** Where what is not found begins; null: there is nothing. */
  #from: string | null = FIRST_TOPIC;
  /** In the order of their rows. */
  #found: RetainedMatch<string>[] = [];
  #at = 0;
  /** Of the changes, when this was found. */
  #epoch = -1;

  constructor(table: RetainedTable, changes: RetainedChanges, filterKey: string, stepsMax: number) {
    this.#table = table;
    this.#changes = changes;
    this.#range = new FilterRange(filterKey);
    this.#stepsMax = stepsMax;
  }

  next(): IteratorResult<RetainedMatch<string> | null, void> {
    for (;;) {
      if (this.#steps >= this.#stepsMax) {
        this.#steps -= this.#stepsMax;
        return { done: false, value: null };
      }
      if (this.#epoch !== this.#changes.epoch) this.#leaveStale();
      if (this.#at < this.#found.length) {
        const value = this.#newest(this.#found[this.#at++]);
        if (value !== null) return { done: false, value };
      } else if (this.#from === null) {
        return { done: true, value: undefined };
      } else {
        this.#look();
      }
    }
  }

  /** What a topic that was found has now. */
  #newest(match: RetainedMatch<string>): RetainedMatch<string> | null {
    if (this.#changes.size === 0) return match;
    const change = this.#changes.get(retainedKey(match[0]));
    if (change === undefined) return match;
    return change.message === null ? null : [match[0], change.message];
  }

  /** What was found may have been replaced by what is on disk now: it is looked for again. */
  #leaveStale(): void {
    if (this.#at === this.#found.length) return;
    this.#from = retainedKey(this.#found[this.#at][0]);
    this.#found = [];
    this.#at = 0;
  }

  #look(): void {
    const from = this.#from!;
    const changes = this.#changes;
    const changed: RetainedChange[] = [];
    const to = changes.find(this.#range, from, RETAINED_SLICE_MESSAGES, changed);
    const found: RetainedMatch<string>[] = [];
    const hidden = changes.size === 0 ? null : changes;
    const slice = { range: this.#range, to, hidden, found, steps: changed.length };
    const next = this.#table.read(from, slice);
    this.#steps += slice.steps;
    this.#epoch = changes.epoch;
    this.#at = 0;
    this.#found = found;
    if (next !== null) this.#from = next;
    else this.#from = to === null ? null : behindTopic(to);
    if (changed.length === 0) return;
    for (const { rowKey, topicKey, message } of changed) {
      if (next === null || rowKey < next) found.push([topicKey, message!]);
    }
    found.sort(byRow);
  }
}

function byRow(a: RetainedMatch<string>, b: RetainedMatch<string>): number {
  return retainedKey(a[0]) < retainedKey(b[0]) ? -1 : 1;
}
