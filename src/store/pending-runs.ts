/**
 * Runs of QoS 2 that are on their way from shard to shard. A cut has the causes of all its effects,
 * but not the effects of all its causes: the packet ids of such a run may be durable while it is on
 * a ring still, and whoever sends it again after a crash is told that it is known. So a cut that
 * has its ids and not what all shards have made of it keeps the run itself, until they have it.
 *
 * Rows have numbers that grow from process to process: so a session can say up to which of them it
 * has been looked what is for it (sessions/kept-session.ts), whatever becomes of the rows.
 *
 *     byte  0   shard that it is from
 *           1   number of shards
 *           2   shards that do not have it yet, a bit each (4 bytes)
 *           6   the run (stored-run.ts)
 */
import { PENDING_NUMBERS_AHEAD, SHARDS_MAX } from '../base/limits.js';
import type { Cut, CutPending } from './cut.js';
import type { Environment, Table } from './environment.js';
import { runKey, runNumberOf } from './keys.js';

const SHARDS_AT = 2;
export const PENDING_HEAD_BYTES = 6;

/** One of this process, whose row is there. */
interface Known {
  readonly source: number;
  readonly shards: number;
  readonly places: ReadonlyMap<number, number>;
}

/** The store thread's. */
export class PendingRuns {
  readonly #environment: Environment;
  readonly #table: Table;
  /** By row. */
  readonly #known = new Map<number, Known>();
  /** By reader * SHARDS_MAX + source; see Cut. */
  #handled = new Map<number, number>();
  /** Number of the next row; -1: what there is must be looked at. */
  #next = -1;
  /** Numbers below this one may be given, as far as the disk knows. */
  #end = 0;
  #endThen = 0;
  /** What is so when the transaction has succeeded. */
  #learnt: [row: number, known: Known | null][] = [];
  #handledThen = this.#handled;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#table = environment.tables.pending;
  }

  /** Writes what a cut says of them, in its transaction. */
  write(cut: Cut): void {
    this.#learnt = [];
    this.#handledThen = this.#handled;
    this.#endThen = this.#end;
    if (cut.handled.size > 0) {
      this.#handledThen = new Map([...this.#handled, ...cut.handled]);
      for (const [row, known] of this.#known) this.#update(row, known);
    }
    for (const [row, shards] of cut.arrived) this.#arrive(row, shards);
    for (const pending of cut.pending) this.#add(pending);
  }

  /** The transaction has succeeded. */
  onWritten(): void {
    this.#handled = this.#handledThen;
    this.#end = this.#endThen;
    for (const [row, known] of this.#learnt) {
      if (known === null) this.#known.delete(row);
      else this.#known.set(row, known);
    }
    this.#learnt = [];
  }

  /** A shard has died: its successor counts anew, and so do others of it. */
  forgetShard(index: number): void {
    for (let other = 0; other < SHARDS_MAX; other++) {
      this.#handled.delete(index * SHARDS_MAX + other);
      this.#handled.delete(other * SHARDS_MAX + index);
    }
    for (const [row, known] of this.#known) {
      const places = new Map(known.places);
      places.delete(index);
      if (known.source === index) places.clear();
      this.#known.set(row, { ...known, places });
    }
  }

  #update(row: number, known: Known): void {
    const shards = this.#without(known);
    if (shards !== known.shards) this.#put(row, known, shards);
  }

  #arrive(row: number, shards: number): void {
    const key = runKey(row);
    const stored = this.#table.get(key);
    if (stored === undefined) return;
    const left = stored.readInt32LE(SHARDS_AT) & ~shards;
    const known = this.#known.get(row) ?? { source: stored[0], places: new Map(), shards: 0 };
    this.#put(row, known, left);
  }

  #add(pending: CutPending): void {
    const shards = this.#without(pending);
    if (shards === 0) return;
    const row = this.#takeNumber();
    const { source, shardCount, places, run } = pending;
    const value = Buffer.allocUnsafe(PENDING_HEAD_BYTES + run.length);
    value[0] = source;
    value[1] = shardCount;
    value.writeInt32LE(shards, SHARDS_AT);
    value.set(run, PENDING_HEAD_BYTES);
    this.#table.putSync(runKey(row), value);
    this.#learnt.push([row, { source, shards, places }]);
  }

  /** Those shards of a run that have not handled it. */
  #without({ source, shards, places }: Known): number {
    let left = shards;
    for (const [shard, place] of places) {
      const handled = this.#handledThen.get(shard * SHARDS_MAX + source);
      if (handled !== undefined && ((handled - place) | 0) >= 0) left &= ~(1 << shard);
    }
    return left;
  }

  #put(row: number, known: Known, shards: number): void {
    const key = runKey(row);
    if (shards === 0) {
      this.#table.removeSync(key);
      this.#learnt.push([row, null]);
      return;
    }
    const stored = this.#table.get(key);
    if (stored === undefined) return;
    const value = Buffer.from(stored);
    value.writeInt32LE(shards, SHARDS_AT);
    this.#table.putSync(key, value);
    this.#learnt.push([row, { ...known, shards }]);
  }

  #takeNumber(): number {
    const environment = this.#environment;
    if (this.#next < 0) this.#next = Math.max(this.#lastRow() + 1, environment.pendingReserve);
    const number = this.#next++;
    if (number >= this.#endThen) {
      this.#endThen = number + PENDING_NUMBERS_AHEAD;
      environment.pendingReserve = this.#endThen;
    }
    return number;
  }

  #lastRow(): number {
    for (const key of this.#table.getKeys({ reverse: true, limit: 1 })) return runNumberOf(key);
    return -1;
  }
}
