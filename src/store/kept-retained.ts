/**
 * The retained messages of one shard that are kept on disk: what has changed and is not durable is
 * in memory, and stands before what is committed. Nothing of the latter is in memory, and no search
 * holds on to it: it goes on from the key that it has come to, with what is committed then.
 */
import { RETAINED_SLICE_MESSAGES, RETAINED_TOTALS_ROWS } from '../base/limits.js';
import { behindTopic, FIRST_TOPIC, FilterRange } from '../topics/filter-range.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { hasWildcard } from '../topics/topic.js';
import type { Journal } from './journal.js';
import { RETAINED_PARTS, retainedPartOf } from './keys.js';
import { type RetainedChange, RetainedChanges } from './retained-changes.js';
import { nameOf, type RetainedTable, type RetainedTotals } from './retained-table.js';
import type { StoreReader } from './store-reader.js';

/** What they work with, all of one shard. */
export interface KeptRetainedParts {
  readonly journal: Pick<Journal, 'appended' | 'durable' | 'retain' | 'retainedTotals'>;
  readonly reader: Pick<StoreReader, 'renew' | 'retainedTotals' | 'retainedTable'>;
  readonly shardIndex: number;
  readonly shardCount: number;
  /** Whether a topic is this shard's. */
  readonly isOwn: (topicKey: string) => boolean;
}

/** One a shard. Messages are as router/retained-message.ts has them. */
export class KeptRetained {
  readonly #parts: KeptRetainedParts;
  readonly #table: RetainedTable;
  /** By part of the table. */
  readonly #changes = Array.from({ length: RETAINED_PARTS }, () => new RetainedChanges());

  constructor(parts: KeptRetainedParts) {
    this.#parts = parts;
    const { reader, shardIndex, shardCount, isOwn } = parts;
    this.#table = reader.retainedTable(shardIndex, shardCount, isOwn);
  }

  /** How long a topic's message is; 0: there is none. */
  lengthOf(topicKey: string): number {
    return this.#lengthOf(retainedPartOf(topicKey), nameOf(topicKey));
  }

  get(topicKey: string): string | undefined {
    const part = retainedPartOf(topicKey);
    const name = nameOf(topicKey);
    const change = this.#changes[part].get(name);
    return change === undefined ? this.#table.get(part, name) : (change.message ?? undefined);
  }

  /** @returns how long the message is that it replaces, 0: there was none. */
  set(topicKey: string, message: string): number {
    return this.#change(topicKey, message);
  }

  /** @returns how long the message was, 0: there was none. */
  delete(topicKey: string): number {
    return this.#change(topicKey, null);
  }

  /** As RetainedTree.match; what is read from disk costs more steps. */
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
    let isOnDisk = false;
    for (const changes of this.#changes) {
      if (changes.onDurable(journal.durable)) isOnDisk = true;
    }
    if (isOnDisk) reader.renew();
  }

  /** How many messages there are, and their bytes; said whenever that changes. */
  noteTotals(messages: number, bytes: number): void {
    const { journal, shardIndex, shardCount } = this.#parts;
    journal.retainedTotals(shardIndex, shardCount, messages, bytes);
  }

  /**
   * How many there are at the start; where that is not known, counts them.
   * @returns parts of it, until all are counted.
   */
  *totals(): Generator<RetainedTotals> {
    const { reader, shardIndex, shardCount } = this.#parts;
    const known = reader.retainedTotals(shardIndex, shardCount);
    if (known === null) yield* this.#table.totals(RETAINED_TOTALS_ROWS);
    else yield known;
  }

  #lengthOf(part: number, name: string): number {
    const change = this.#changes[part].get(name);
    return change === undefined ? this.#table.lengthOf(part, name) : (change.message?.length ?? 0);
  }

  /** @returns how long the message was. */
  #change(topicKey: string, message: string | null): number {
    const { journal } = this.#parts;
    const part = retainedPartOf(topicKey);
    const name = nameOf(topicKey);
    const older = this.#lengthOf(part, name);
    if (older === 0 && message === null) return 0;
    const position = journal.appended;
    journal.retain(topicKey, message);
    this.#changes[part].put({ name, topicKey, message, position });
    return older;
  }
}

/** A search for a filter. Between two steps it holds what one look at the disk has found. */
class Search implements Iterator<RetainedMatch<string> | null, void, undefined> {
  readonly #table: RetainedTable;
  /** By part. */
  readonly #allChanges: readonly RetainedChanges[];
  readonly #range: FilterRange;
  readonly #stepsMax: number;
  /** Levels' worth of what was looked at, and not told by null yet. */
  #steps = 0;
  /** Of those that the table has. */
  #partAt = 0;
  /** Where what is not found begins in this part; null: there is nothing. */
  #from: string | null = FIRST_TOPIC;
  /** In the order of their names, all of one part. */
  #found: RetainedMatch<string>[] = [];
  #at = 0;
  /** Those of the part. */
  #changes: RetainedChanges;
  /** Of them, when this was found. */
  #epoch = -1;

  constructor(
    table: RetainedTable,
    allChanges: readonly RetainedChanges[],
    filterKey: string,
    stepsMax: number,
  ) {
    this.#table = table;
    this.#allChanges = allChanges;
    this.#changes = allChanges[table.parts[0]];
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
      } else if (this.#from !== null) {
        this.#look();
      } else if (this.#partAt + 1 === this.#table.parts.length) {
        return { done: true, value: undefined };
      } else {
        this.#partAt++;
        this.#from = FIRST_TOPIC;
      }
    }
  }

  /** What a topic that was found has now. */
  #newest(match: RetainedMatch<string>): RetainedMatch<string> | null {
    if (this.#changes.size === 0) return match;
    const change = this.#changes.get(nameOf(match[0]));
    if (change === undefined) return match;
    return change.message === null ? null : [match[0], change.message];
  }

  /** What was found may have been replaced by what is on disk now: it is looked for again. */
  #leaveStale(): void {
    if (this.#at === this.#found.length) return;
    this.#from = nameOf(this.#found[this.#at][0]);
    this.#found = [];
    this.#at = 0;
  }

  #look(): void {
    const part = this.#table.parts[this.#partAt];
    const changes = this.#allChanges[part];
    const from = this.#from!;
    const changed: RetainedChange[] = [];
    const to = changes.find(this.#range, from, RETAINED_SLICE_MESSAGES, changed);
    const found: RetainedMatch<string>[] = [];
    const hidden = changes.size === 0 ? null : changes;
    const slice = { part, range: this.#range, to, hidden, found, steps: changed.length };
    const next = this.#table.read(from, slice);
    this.#steps += slice.steps;
    this.#changes = changes;
    this.#epoch = changes.epoch;
    this.#at = 0;
    this.#found = found;
    if (next !== null) this.#from = next;
    else this.#from = to === null ? null : behindTopic(to);
    if (changed.length === 0) return;
    for (const { name, topicKey, message } of changed) {
      if (next === null || name < next) found.push([topicKey, message!]);
    }
    found.sort(byName);
  }
}

function byName(a: RetainedMatch<string>, b: RetainedMatch<string>): number {
  return nameOf(a[0]) < nameOf(b[0]) ? -1 : 1;
}
