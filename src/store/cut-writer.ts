/**
 * Writes cuts to the tables, and knows of the sessions it has met what they have there: where
 * nothing can be, nothing is looked for.
 */
import { STORE_DROPPED_ROWS, STORE_READ_ROWS, STORE_ROW_BYTES } from '../base/limits.js';
import type { BitChanges } from './bit-changes.js';
import type { Cut, CutEntry, CutHead, CutRun, CutSession } from './cut.js';
import type { Environment, Table, TextTable } from './environment.js';
import {
  BitKind,
  BLOCK_BITS,
  bitsKey,
  bitsStart,
  entryKey,
  NUMBER_BYTES,
  positionOf,
  retainedKey,
  runKey,
  runNumberOf,
  sessionKey,
  sessionOf,
  sessionStart,
  subscriptionKey,
} from './keys.js';
import { PendingRuns } from './pending-runs.js';
import { lastKeyOf, readRows } from './read-rows.js';
import { EndedReplays } from './replay-changes.js';
import { RunPlace, readEntryRow } from './stored-entry.js';
import { numberOfSession } from './stored-session.js';
import { readTotals, totalsRow } from './stored-totals.js';

/** What a session has on disk. */
interface KnownRows {
  /** No entry begins before this position. */
  readonly first: number;
  /** Nor behind this one; NONE: there is none. */
  readonly last: number;
  /** There may be rows of bits about positions. */
  readonly hasBits: boolean;
}

const UNKNOWN_RUN = -1;
const UNKNOWN_COUNT = 0;
/** Before all positions. */
const NONE = -1;

/** Kinds of bits whose rows go with the entries that they are about. */
const OF_POSITIONS = [BitKind.received, BitKind.given] as const;

export class CutWriter {
  readonly #environment: Environment;
  readonly #retained: TextTable;
  readonly #endedReplays: EndedReplays;
  readonly #known = new Map<number, KnownRows>();
  /** The run number that is given next; -1: what there is must be looked at. */
  #nextRun = UNKNOWN_RUN;
  /** Of how many shards the rows of totals are. */
  #totalsOf = UNKNOWN_COUNT;
  /** What is known once the transaction has succeeded; null: nothing is on disk any more. */
  #learnt: [session: number, rows: KnownRows | null][] = [];
  /** Entries that go, by their runs. */
  #released = new Map<number, number>();
  /** Runs that have a row of their own. */
  #placed = new Map<CutRun, number>();
  /** Memory that rows are put together in. */
  #row: Buffer = Buffer.allocUnsafeSlow(STORE_ROW_BYTES);
  readonly #key: Buffer = entryKey(0, 0);

  /** Runs that are on their way to other shards. */
  readonly pending: PendingRuns;

  /** Sessions that have ended, and have entries still. */
  #doomed = new Set<number>();
  /** What they are when the transaction has succeeded. */
  #doomedThen = this.#doomed;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#retained = environment.openByText('retained');
    this.pending = new PendingRuns(environment);
    this.#endedReplays = new EndedReplays(environment.tables.replays);
    for (const { key } of readRows(environment.tables.doomed)) this.#doomed.add(sessionOf(key));
  }

  /** There is something to take away, whatever the next cut brings. */
  get isSweeping(): boolean {
    return this.#doomed.size > 0 || this.#endedReplays.areAny;
  }

  /**
   * Makes a cut's changes in one transaction: all are durable when it returns.
   * @throws Error when the disk does not take them: nothing has changed, and the cut can be written
   * again.
   */
  write(cut: Cut): void {
    this.#learnt = [];
    this.#released = new Map();
    this.#placed = new Map();
    this.#doomedThen = new Set(this.#doomed);
    this.#endedReplays.begin();
    const nextRun = this.#nextRun;
    try {
      this.#environment.transaction(() => this.#writeAll(cut));
    } catch (error) {
      this.#nextRun = nextRun;
      this.#totalsOf = UNKNOWN_COUNT;
      throw error;
    }
    this.pending.onWritten();
    this.#doomed = this.#doomedThen;
    this.#endedReplays.onWritten();
    for (const [session, rows] of this.#learnt) {
      if (rows === null) this.#known.delete(session);
      else this.#known.set(session, rows);
    }
  }

  #writeAll(cut: Cut): void {
    // Neighbours on disk one after the other: each finds its pages warm.
    const sessions = [...cut.sessions.values()].sort((a, b) => a.number - b.number);
    for (const session of sessions) this.#writeSession(session);
    for (const [clientId, head] of cut.heads) this.#writeHead(clientId, head);
    const { runs, holders } = this.#environment.tables;
    for (const [run, number] of this.#placed) {
      const key = runKey(number);
      runs.putSync(key, run.segment.subarray(run.start, run.end));
      const count = Buffer.allocUnsafe(Uint32Array.BYTES_PER_ELEMENT);
      count.writeUInt32LE(run.entries);
      holders.putSync(key, count);
    }
    this.#sweep();
    this.#endedReplays.sweep();
    this.#writeReleased();
    this.pending.write(cut);
    this.#writeRetained(cut);
  }

  #writeRetained({ retained, totals }: Cut): void {
    const { tables } = this.#environment;
    for (const [topicKey, row] of retained) {
      if (row === null) this.#retained.removeSync(retainedKey(topicKey));
      else this.#retained.putSync(retainedKey(topicKey), row);
    }
    for (const [shardIndex, said] of totals) {
      if (said.shardCount !== this.#totalsOf) this.#forgetTotals(said.shardCount);
      tables.totals.putSync(Buffer.from([shardIndex]), totalsRow(said));
    }
  }

  /** What was said when there was another number of shards is not of their topics. */
  #forgetTotals(shardCount: number): void {
    const { totals } = this.#environment.tables;
    for (const { key, value } of readRows(totals)) {
      if (readTotals(value)?.shardCount !== shardCount) totals.removeSync(key);
    }
    this.#totalsOf = shardCount;
  }

  #writeSession(session: CutSession): void {
    const { number, entries } = session;
    let known = session.isDropped ? this.#dropRows(number) : this.#leave(session);
    // An entry may take the place of one that is gone.
    if (session.gone !== null) known ??= this.#look(number);
    if (session.gone !== null) this.#removeOnes(session, session.gone, known?.hasBits ?? true);
    if (session.subscriptions !== null) this.#writeSubscriptions(number, session.subscriptions);
    for (const generation of session.replay?.ended ?? []) {
      this.#endedReplays.remove(number, generation);
    }
    session.replay?.write(this.#environment.tables.replays, number);
    for (const entry of entries) this.#writeEntry(number, entry);
    this.#writeBits(BitKind.incoming, number, session.incoming);
    const received = this.#writeBits(BitKind.received, number, session.received);
    const given = this.#writeBits(BitKind.given, number, session.given);
    const hasMore = received || given;
    if (entries.length > 0) {
      // Of one that was not met before it is only known where its entries end.
      let { first, hasBits } = known ?? { first: 0, hasBits: true };
      if (known?.last === NONE) first = entries[0].position;
      hasBits ||= hasMore;
      const last = Math.max(known?.last ?? NONE, entries[entries.length - 1].position);
      this.#learnt.push([number, { first, last, hasBits }]);
    } else if (session.isDropped && !hasMore) {
      this.#learnt.push([number, null]);
    } else if (known !== undefined) {
      this.#learnt.push([number, { ...known, hasBits: known.hasBits || hasMore }]);
    }
  }

  /** @returns what is left. */
  #dropRows(number: number): KnownRows {
    const { subscriptions, queue, bits } = this.#environment.tables;
    const [start, end] = [sessionStart(number), sessionStart(number + 1)];
    removeRange(subscriptions, start, end);
    this.#endedReplays.remove(number, null);
    const known = this.#known.get(number);
    if (known === undefined || known.last >= 0) {
      const isDone = this.#removeEntries(queue, start, end, STORE_DROPPED_ROWS);
      if (!isDone) this.#doom(number);
    }
    for (const kind of Object.values(BitKind)) {
      removeRange(bits, bitsStart(kind, number), bitsStart(kind, number + 1));
    }
    return { first: 0, last: NONE, hasBits: false };
  }

  /** @returns what is left, as far as it is known. */
  #leave(session: CutSession): KnownRows | undefined {
    const { number, left } = session;
    const known = this.#known.get(number);
    if (left === 0) return known;
    const look = known ?? this.#look(number);
    let { first, last } = look;
    if (last >= 0 && first < left) {
      const { queue } = this.#environment.tables;
      this.#removeEntries(queue, entryKey(number, first), entryKey(number, left));
      if (last < left) last = NONE;
      else first = left;
    }
    if (look.hasBits) {
      const { bits } = this.#environment.tables;
      const block = Math.floor(left / BLOCK_BITS);
      for (const kind of OF_POSITIONS) {
        removeRange(bits, bitsStart(kind, number), bitsKey(kind, number, block));
      }
      // Those of its own block, too: its positions may begin anew once all have left.
      session.received ??= session.bitsOfPositions();
      session.given ??= session.bitsOfPositions();
    }
    return { first, last, hasBits: look.hasBits && last !== NONE };
  }

  #look(number: number): KnownRows {
    const { queue, bits } = this.#environment.tables;
    const [start, end] = [sessionStart(number), sessionStart(number + 1)];
    const lastKey = lastKeyOf(queue, start, end);
    const hasBits = OF_POSITIONS.some(
      (kind) => lastKeyOf(bits, bitsStart(kind, number), bitsStart(kind, number + 1)) !== null,
    );
    return { first: 0, last: lastKey === null ? NONE : positionOf(lastKey), hasBits };
  }

  #writeSubscriptions(number: number, subscriptions: ReadonlyMap<string, number>): void {
    const table = this.#environment.tables.subscriptions;
    for (const [filterKey, grant] of subscriptions) {
      const key = subscriptionKey(number, filterKey);
      if (grant < 0) {
        table.removeSync(key);
        continue;
      }
      const row = Buffer.allocUnsafe(Uint32Array.BYTES_PER_ELEMENT + filterKey.length);
      row.writeUInt32LE(grant, 0);
      row.write(filterKey, Uint32Array.BYTES_PER_ELEMENT, 'latin1');
      table.putSync(key, row);
    }
  }

  #writeEntry(session: number, { position, run, start, end }: CutEntry): void {
    const isShared = run.entries > 1;
    const length = 1 + end - start + (isShared ? NUMBER_BYTES : run.end - run.start);
    if (length > this.#row.length) this.#row = Buffer.allocUnsafeSlow(length);
    const row = this.#row;
    row[0] = isShared ? RunPlace.ofItsOwn : RunPlace.inRow;
    run.segment.copy(row, 1, start, end);
    const runAt = 1 + end - start;
    if (isShared) row.writeUIntBE(this.#placeOf(run), runAt, NUMBER_BYTES);
    else run.segment.copy(row, runAt, run.start, run.end);
    const { queue } = this.#environment.tables;
    queue.putSync(entryKey(session, position, this.#key), row.subarray(0, length));
    if (length > STORE_ROW_BYTES) this.#row = Buffer.allocUnsafeSlow(STORE_ROW_BYTES);
  }

  #placeOf(run: CutRun): number {
    let number = this.#placed.get(run);
    if (number === undefined) {
      if (this.#nextRun === UNKNOWN_RUN) this.#nextRun = this.#lastRun() + 1;
      number = this.#nextRun++;
      this.#placed.set(run, number);
    }
    return number;
  }

  #lastRun(): number {
    const last = lastKeyOf(this.#environment.tables.runs, runKey(0), undefined);
    return last === null ? -1 : runNumberOf(last);
  }

  /** @returns whether a row was left with bits, as far as the changes know. */
  #writeBits(kind: BitKind, session: number, changes: BitChanges | null): boolean {
    if (changes === null) return false;
    const { bits } = this.#environment.tables;
    let hasBits = false;
    for (const block of changes.blocks()) {
      const key = bitsKey(kind, session, block);
      const old = bits.get(key);
      const row = changes.apply(block, old);
      if (row !== undefined) hasBits = true;
      if (row === old) continue;
      if (row === undefined) bits.removeSync(key);
      else bits.putSync(key, row);
    }
    return hasBits;
  }

  #writeHead(clientId: string, { number, row }: CutHead): void {
    const { sessions } = this.#environment.tables;
    const key = sessionKey(clientId);
    if (row !== null) {
      sessions.putSync(key, row);
      return;
    }
    const old = sessions.get(key);
    if (old !== undefined && numberOfSession(old) === number) sessions.removeSync(key);
  }

  /** @param hasBits whether there may be rows of bits about them. */
  #removeOnes(session: CutSession, positions: Iterable<number>, hasBits: boolean): void {
    const { queue } = this.#environment.tables;
    if (hasBits) {
      session.received ??= session.bitsOfPositions();
      session.given ??= session.bitsOfPositions();
    }
    for (const position of positions) {
      const key = entryKey(session.number, position, this.#key);
      const row = queue.get(key);
      if (row === undefined) continue;
      session.clearBits(position, readEntryRow(row).count);
      this.#release(row);
      queue.removeSync(key);
    }
  }

  /** An entry goes: where it names a run, that has one less. */
  #release(row: Buffer): void {
    if (row[0] !== RunPlace.ofItsOwn) return;
    const { runNumber } = readEntryRow(row);
    this.#released.set(runNumber, (this.#released.get(runNumber) ?? 0) + 1);
  }

  /** @returns whether all are gone, of which at most `countMax` go, or a few more. */
  #removeEntries(
    queue: Table,
    start: Buffer,
    end: Buffer,
    countMax: number = Number.POSITIVE_INFINITY,
  ): boolean {
    for (let count = 0; count < countMax; ) {
      const found = [...queue.getRange({ start, end, limit: STORE_READ_ROWS })];
      for (const { key, value } of found) {
        this.#release(value);
        queue.removeSync(key);
      }
      if (found.length < STORE_READ_ROWS) return true;
      count += found.length;
    }
    return false;
  }

  /** The session has ended, and the rest of its queue goes with later cuts. */
  #doom(number: number): void {
    this.#environment.tables.doomed.putSync(sessionStart(number), Buffer.from([0]));
    this.#doomedThen.add(number);
  }

  /** Takes away some more of one that has ended before. */
  #sweep(): void {
    for (const number of this.#doomed) {
      const { queue, doomed } = this.#environment.tables;
      const [start, end] = [sessionStart(number), sessionStart(number + 1)];
      if (!this.#removeEntries(queue, start, end, STORE_DROPPED_ROWS)) return;
      doomed.removeSync(start);
      this.#doomedThen.delete(number);
      return;
    }
  }

  /** Counts the entries that went, and has the last one of a run take it along. */
  #writeReleased(): void {
    const { runs, holders } = this.#environment.tables;
    for (const [number, count] of this.#released) {
      const key = runKey(number);
      const left = (holders.get(key)?.readUInt32LE(0) ?? 0) - count;
      if (left > 0) {
        const row = Buffer.allocUnsafe(Uint32Array.BYTES_PER_ELEMENT);
        row.writeUInt32LE(left);
        holders.putSync(key, row);
      } else {
        holders.removeSync(key);
        runs.removeSync(key);
      }
    }
  }
}

function removeRange(table: Table, start: Buffer, end: Buffer): void {
  for (;;) {
    const found = [...table.getKeys({ start, end, limit: STORE_READ_ROWS })];
    for (const key of found) table.removeSync(key);
    if (found.length < STORE_READ_ROWS) return;
  }
}
