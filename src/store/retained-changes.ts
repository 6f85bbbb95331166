/**
 * What topics retain that the disk does not have yet: it stands before what is on disk, and goes
 * when that is durable. Found by its row's key, or by a filter in the order of the keys. Few look
 * for filters and many publish, so that keys are sorted as late as may be: in runs, each with no
 * more of them than the one before. What nobody waits for is not in the journal at once: until it
 * is, what replaces it costs nothing but its place in memory.
 */
import { RETAINED_RUN_CHANGES } from '../base/limits.js';
import type { FilterRange } from '../topics/filter-range.js';
import { matchesKey } from '../topics/topic.js';
import { retainedKeyFrom } from './keys.js';

/** Of a change that is in no journal yet: behind all positions. */
export const WAITS: number = Number.POSITIVE_INFINITY;

/** One topic's newest change. */
export interface RetainedChange {
  readonly rowKey: string;
  readonly topicKey: string;
  /** Null: it retains nothing. */
  message: string | null;
  /** Of the journal, or WAITS. */
  position: number;
  /** How long the message is that the journal or the disk has of the topic; 0: it has none. */
  readonly before: number;
}

/** Where a search has stopped: see `find`. */
interface Search {
  readonly range: FilterRange;
  readonly from: string;
  readonly countMax: number;
  readonly found: RetainedChange[];
  /** Keys up to this one are looked at; null: all. */
  to: string | null;
}

/** One a shard. */
export class RetainedChanges {
  readonly #byKey = new Map<string, RetainedChange>();
  /** In the order of their positions, also those that newer ones have replaced. */
  #underway: RetainedChange[] = [];
  #first = 0;
  readonly #onGone: (change: RetainedChange) => void;
  /** Sorted keys, also of changes that have gone. */
  #runs: string[][] = [];
  /** Keys in them. */
  #runKeys = 0;
  #unsorted: string[] = [];
  #epoch = 0;

  /** @param onGone told of each change that is on disk, and that no newer one has replaced. */
  constructor(onGone: (change: RetainedChange) => void) {
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Another one since some of them have gone: what is on disk is to be read again. */
  get epoch(): number {
    return this.#epoch;
  }

  get(rowKey: string): RetainedChange | undefined {
    return this.#byKey.size === 0 ? undefined : this.#byKey.get(rowKey);
  }

  /**
   * The newest of its topic. @param change it waits, or its position is behind those of all others.
   * @param isFirst there is none of its topic.
   */
  put(change: RetainedChange, isFirst: boolean): void {
    const { rowKey } = change;
    this.#byKey.set(rowKey, change);
    if (change.position !== WAITS) this.#underway.push(change);
    if (isFirst && this.#unsorted.push(rowKey) >= RETAINED_RUN_CHANGES) this.#addRun();
  }

  /** One that has waited is in the journal now, behind all others. */
  onJournaled(change: RetainedChange, position: number): void {
    change.position = position;
    this.#underway.push(change);
  }

  /** All before this position of the journal are durable. @returns whether some have gone. */
  onDurable(position: number): boolean {
    const underway = this.#underway;
    let first = this.#first;
    for (; first < underway.length && underway[first].position < position; first++) {
      const change = underway[first];
      if (this.#byKey.get(change.rowKey) !== change) continue;
      this.#byKey.delete(change.rowKey);
      this.#onGone(change);
    }
    if (first === this.#first) return false;
    if (first === underway.length) {
      this.#underway = [];
      first = 0;
    } else if (first > underway.length / 2) {
      this.#underway = underway.slice(first);
      first = 0;
    }
    this.#first = first;
    this.#forgetKeys();
    this.#epoch++;
    return true;
  }

  /**
   * Adds topics that match, have a message, and stand at a key or behind it, in their order: as
   * many as `countMax`.
   * @returns the key up to which all was looked at; null: all was.
   */
  find(range: FilterRange, from: string, countMax: number, found: RetainedChange[]): string | null {
    if (this.#byKey.size === 0) return null;
    const search: Search = { range, from, countMax, found, to: null };
    for (const run of this.#runs) this.#findInRun(run, search);
    for (const rowKey of this.#unsorted) {
      if (rowKey >= from) this.#look(rowKey, search);
    }
    found.sort(byRowKey);
    let kept = 0;
    for (const change of found) {
      // A key that has gone and come again is there twice.
      if (kept > 0 && found[kept - 1] === change) continue;
      if (search.to !== null && change.rowKey > search.to) break;
      if (kept === countMax) {
        search.to = found[kept - 1].rowKey;
        break;
      }
      found[kept++] = change;
    }
    found.length = kept;
    return search.to;
  }

  /** Looks at no more keys than some for each that may be found. */
  #findInRun(run: readonly string[], search: Search): void {
    const { range, from, countMax } = search;
    let left = countMax;
    for (let at = placeIn(run, from, 0); at < run.length; ) {
      const rowKey = run[at];
      if (search.to !== null && rowKey > search.to) return;
      if (left-- === 0) {
        search.to = run[at - 1];
        return;
      }
      at++;
      if (this.#look(rowKey, search) !== false) continue;
      if (range.next === null) return;
      const next = retainedKeyFrom(range.next);
      if (at < run.length && run[at] < next) at = placeIn(run, next, at);
    }
  }

  /** @returns false where `next` of the range says where to go on. */
  #look(rowKey: string, { range, found }: Search): boolean {
    const change = this.#byKey.get(rowKey);
    if (change === undefined) return true;
    const { topicKey, message } = change;
    if (rowKey !== topicKey) {
      if (message !== null && matchesKey(range.filterKey, topicKey)) found.push(change);
      return true;
    }
    if (!range.admits(topicKey)) return false;
    if (message !== null) found.push(change);
    return true;
  }

  /** Of keys in runs half at least are of changes that are there, but for some. */
  #forgetKeys(): void {
    const { size } = this.#byKey;
    if (size === 0) this.#unsorted = [];
    if (this.#runKeys <= 2 * size + RETAINED_RUN_CHANGES) return;
    const isThere = (rowKey: string) => this.#byKey.has(rowKey);
    this.#runs = size === 0 ? [] : this.#runs.map((run) => run.filter(isThere));
    this.#runKeys = this.#runs.reduce((keys, run) => keys + run.length, 0);
  }

  /** Sorts what is not, and merges runs that are not much longer than what comes behind them. */
  #addRun(): void {
    let run = this.#unsorted.filter((rowKey) => this.#byKey.has(rowKey));
    this.#unsorted = [];
    if (run.length < RETAINED_RUN_CHANGES / 2) {
      this.#unsorted = run;
      return;
    }
    run.sort(byKey);
    for (;;) {
      const last = this.#runs.at(-1);
      if (last === undefined || last.length > 2 * run.length) break;
      this.#runs.pop();
      this.#runKeys -= last.length;
      run = this.#merge(last, run);
    }
    this.#runs.push(run);
    this.#runKeys += run.length;
  }

  /** Two runs as one, without what has gone. */
  #merge(a: readonly string[], b: readonly string[]): string[] {
    const merged: string[] = [];
    let [i, j] = [0, 0];
    while (i < a.length || j < b.length) {
      const isFirst = j === b.length || (i < a.length && a[i] <= b[j]);
      const rowKey = isFirst ? a[i++] : b[j++];
      if (merged.at(-1) !== rowKey && this.#byKey.has(rowKey)) merged.push(rowKey);
    }
    return merged;
  }
}

/** The index of the first key that is not before this one, from an index on. */
function placeIn(run: readonly string[], rowKey: string, from: number): number {
  let low = from;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (run[middle] < rowKey) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byKey(a: string, b: string): number {
  return a < b ? -1 : 1;
}

function byRowKey(a: RetainedChange, b: RetainedChange): number {
  if (a.rowKey === b.rowKey) return 0;
  return a.rowKey < b.rowKey ? -1 : 1;
}
