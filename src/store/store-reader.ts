/**
 * What a shard reads of the store: what is committed. A snapshot is held to the end of the turn or
 * to `renew`, whichever comes first; no page is pinned for longer.
 */
import { KEPT_REFILL_BYTES } from '../base/limits.js';
import type { Run } from '../protocol/run.js';
import { Environment } from './environment.js';
import {
  BitKind,
  BLOCK_BITS,
  bitsKey,
  bitsStart,
  blockOf,
  entryKey,
  kindsStart,
  owedKey,
  PARTITIONS,
  partitionStart,
  positionOf,
  ReplayRow,
  runKey,
  runNumberOf,
  sentKey,
  sessionKey,
  sessionOf,
  sessionOfText,
  sessionStart,
} from './keys.js';
import { PENDING_HEAD_BYTES } from './pending-runs.js';
import { readRows, scanRows } from './read-rows.js';
import { RetainedTable, type RetainedTotals } from './retained-table.js';
import type { Scan } from './scan.js';
import type { ShardStoreStart } from './store-messages.js';
import { readEntryRow, runInRow, type StoredEntry } from './stored-entry.js';
import { type OwedFilter, readOwed, readSent } from './stored-replay.js';
import { readRun } from './stored-run.js';
import { readSession, type StoredSession } from './stored-session.js';
import { readTotals } from './stored-totals.js';

/** Of a queue that names a run that is not there. */
const DAMAGED = 'is damaged: a queued message is missing (surgemq store check)';

/** See pending-runs.ts. */
export interface PendingRun {
  readonly row: number;
  readonly source: number;
  readonly shardCount: number;
  readonly shards: number;
  readonly run: Run;
}

/** A filter of a session, and what it is granted. */
export interface StoredSubscription {
  readonly filterKey: string;
  readonly grant: number;
}

/** What is known of a queue without reading it. */
export interface QueueEnds {
  /** Where it begins. */
  readonly first: number;
  /** Messages of its oldest row. */
  readonly firstCount: number;
  /** Where the next message of it goes. */
  readonly next: number;
}

function readSubscription(row: Buffer): StoredSubscription {
  if (row.length < Uint32Array.BYTES_PER_ELEMENT) throw new RangeError('a filter is cut off');
  const filterKey = row.toString('latin1', Uint32Array.BYTES_PER_ELEMENT);
  return { filterKey, grant: row.readUInt32LE(0) };
}

export class StoreReader {
  readonly #environment: Environment;
  readonly #sessions: Scan<StoredSession>;
  readonly #subscriptions: Scan<StoredSubscription>;

  /** @throws ConfigError in one line when the store cannot be opened. */
  constructor({ folder, durability }: Pick<ShardStoreStart, 'folder' | 'durability'>) {
    this.#environment = new Environment(folder, durability);
    this.#sessions = this.#environment.scan('sessions', readSession);
    this.#subscriptions = this.#environment.scan('subscriptions', readSubscription);
  }

  /** What is read from here on is what is committed now. */
  renew(): void {
    this.#environment.renew();
  }

  /** All sessions of the partitions wanted. The iterator may be held over turns. */
  *sessions(isWanted: (partition: number) => boolean): Generator<StoredSession> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      if (!isWanted(partition)) continue;
      yield* this.#sessionsIn(partitionStart(partition), partitionStart(partition + 1));
    }
  }

  /** Those whose client ids begin with U+0000: none that a client has. */
  *sessionsOfNoClient(): Generator<StoredSession> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      yield* this.#sessionsIn(Buffer.from([partition, 0]), Buffer.from([partition, 1]));
    }
  }

  *#sessionsIn(start: Buffer, end: Buffer): Generator<StoredSession> {
    for (const { value } of scanRows(this.#sessions, start, end)) yield value;
  }

  /** The session of a client; null: there is none. */
  session(clientId: string): StoredSession | null {
    const row = this.#environment.tables.sessions.get(sessionKey(clientId));
    return row === undefined ? null : readSession(row);
  }

  subscriptions(session: number): StoredSubscription[] {
    const range = [sessionStart(session), sessionStart(session + 1)] as const;
    return Array.from(scanRows(this.#subscriptions, ...range), ({ value }) => value);
  }

  /** Those of all sessions, each session's together. The iterator may be held over turns. */
  *allSubscriptions(): Generator<StoredSubscription & { readonly session: number }> {
    for (const { key, value } of scanRows(this.#subscriptions)) {
      yield { session: sessionOfText(key), ...value };
    }
  }

  /** The filters of which a session is still to be sent what is retained. */
  owedRetained(session: number): OwedFilter[] {
    const [start, end] = [owedKey(session), owedKey(session + 1)];
    const rows = readRows(this.#environment.tables.replays, start, end);
    return Array.from(rows, ({ value }) => readOwed(value));
  }

  /** Those of all sessions, by session: to look for the filters of each takes ten times as long. */
  allOwedRetained(): Map<number, OwedFilter[]> {
    const { replays } = this.#environment.tables;
    const { filter } = ReplayRow;
    const all = new Map<number, OwedFilter[]>();
    let last = -1;
    let owed: OwedFilter[] = [];
    for (const { key, value } of readRows(replays, kindsStart(filter), kindsStart(filter + 1))) {
      const session = sessionOf(key, 1);
      if (session !== last) {
        last = session;
        owed = [];
        all.set(session, owed);
      }
      owed.push(readOwed(value));
    }
    return all;
  }

  /**
   * Of which SUBSCRIBE it is that a topic is not to be sent again; 0: it is.
   * @param generation of the replay.
   */
  sentRetained(session: number, generation: number, topicKey: string): number {
    const row = this.#environment.tables.replays.get(sentKey(session, generation, topicKey));
    return row === undefined ? 0 : readSent(row).since;
  }

  /** The ends of a session's queue; null: nothing is in it. */
  ends(session: number): QueueEnds | null {
    const { queue } = this.#environment.tables;
    const [start, end] = [sessionStart(session), sessionStart(session + 1)];
    for (const { key, value: oldest } of queue.getRange({ start, end, limit: 1 })) {
      const { count: firstCount } = readEntryRow(oldest);
      const last = queue.getRange({
        start: end,
        end: key,
        inclusiveEnd: true,
        reverse: true,
        limit: 1,
      });
      for (const { key: lastKey, value } of last) {
        const next = positionOf(lastKey) + readEntryRow(value).count;
        return { first: positionOf(key), firstCount, next };
      }
    }
    return null;
  }

  /**
   * Entries of a session's queue that begin at a position or behind it, the oldest first: as many
   * as have `bytesMax` bytes, one at least if there is one.
   */
  entries(session: number, from: number, bytesMax: number): StoredEntry[] {
    const { queue } = this.#environment.tables;
    const found: StoredEntry[] = [];
    let bytes = 0;
    // Neighbours in a queue rarely share a run, but sessions that were sent the same do.
    const range = { start: entryKey(session, from), end: sessionStart(session + 1) };
    for (const { key, value } of queue.getRange(range)) {
      const row = readEntryRow(value);
      const { deliveryHeader, count, identifiers, group } = row;
      const run = row.runNumber < 0 ? runInRow(value, row) : this.#run(row.runNumber);
      bytes += run.bytes.length;
      if (bytes > bytesMax && found.length > 0) break;
      found.push({ position: positionOf(key), run, deliveryHeader, count, identifiers, group });
    }
    return found;
  }

  /** 1 for each message whose PUBREC has come, of `count` from a position on. */
  received(session: number, from: number, count: number): Uint8Array {
    return this.#bitsFrom(BitKind.received, session, from, count);
  }

  /** All entries from a position on, the oldest first, some read at a time. */
  *entriesFrom(session: number, from: number): Generator<StoredEntry> {
    let next = from;
    for (;;) {
      const found = this.entries(session, next, KEPT_REFILL_BYTES);
      yield* found;
      const last = found.at(-1);
      if (last === undefined) return;
      next = last.position + last.count;
    }
  }

  /** 1 for each message that was given to others. */
  given(session: number, from: number, count: number): Uint8Array {
    return this.#bitsFrom(BitKind.given, session, from, count);
  }

  /** Packet ids whose PUBREL is still to come. */
  incoming(session: number): number[] {
    const found: number[] = [];
    const behind = Number.MAX_SAFE_INTEGER;
    this.#bits(BitKind.incoming, session, 0, behind, (packetId) => found.push(packetId));
    return found;
  }

  /** @param isOwn whether a topic's message is wanted; null: all are. */
  retainedTable(isOwn: ((topicKey: string) => boolean) | null): RetainedTable {
    return new RetainedTable((decode) => this.#environment.scanInPlace('retained', decode), isOwn);
  }

  /**
   * What a shard was said to retain when it was one of as many as there are now; null: that is not
   * known, or not of all shards what there is.
   */
  retainedTotals(shardIndex: number, shardCount: number): RetainedTotals | null {
    const { totals, retained } = this.#environment.tables;
    let messages = 0;
    let own: RetainedTotals | null = null;
    for (let index = 0; index < shardCount; index++) {
      const row = totals.get(Buffer.from([index]));
      if (row === undefined) return null;
      const said = readTotals(row);
      if (said?.shardCount !== shardCount) return null;
      messages += said.messages;
      if (index === shardIndex) own = said;
    }
    const { entryCount } = retained.getStats() as { readonly entryCount: number };
    return messages === entryCount ? own : null;
  }

  /** Runs that were on their way to other shards, in order; of this moment. */
  pending(): PendingRun[] {
    const found: PendingRun[] = [];
    for (const { key, value } of readRows(this.#environment.tables.pending)) {
      found.push({
        row: runNumberOf(key),
        source: value[0],
        shardCount: value[1],
        shards: value.readInt32LE(2),
        run: readRun(value.subarray(PENDING_HEAD_BYTES)),
      });
    }
    return found;
  }

  /** Behind the last of those. */
  pendingEnd(): number {
    const { pending } = this.#environment.tables;
    for (const key of pending.getKeys({ reverse: true, limit: 1 })) return runNumberOf(key) + 1;
    return 0;
  }

  close(): Promise<void> {
    return this.#environment.close();
  }

  #run(number: number): Run {
    const stored = this.#environment.tables.runs.get(runKey(number));
    if (stored === undefined) throw new Error(`${this.#environment.path} ${DAMAGED}`);
    return readRun(stored);
  }

  #bitsFrom(kind: BitKind, session: number, from: number, count: number): Uint8Array {
    const found = new Uint8Array(count);
    this.#bits(kind, session, from, from + count, (position) => {
      found[position - from] = 1;
    });
    return found;
  }

  #bits(
    kind: BitKind,
    session: number,
    from: number,
    end: number,
    onBit: (number: number) => void,
  ): void {
    const start = bitsKey(kind, session, Math.floor(from / BLOCK_BITS));
    const behind = bitsStart(kind, session + 1);
    for (const { key, value } of this.#environment.tables.bits.getRange({ start, end: behind })) {
      const first = blockOf(key) * BLOCK_BITS;
      if (first >= end) return;
      for (let bit = 0; bit < BLOCK_BITS; bit++) {
        const number = first + bit;
        const isSet = (value[bit >> 3] & (1 << (bit & 7))) !== 0;
        if (isSet && number >= from && number < end) onBit(number);
      }
    }
  }
}
