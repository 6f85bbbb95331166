/**
 * What a transaction has to do: the changes of its segments in the order of their tickets, without
 * those that a later one makes needless. It is gathered once, and can be written again when the
 * disk has not taken it.
 */
import { lowestBit } from '../base/bits.js';
import { SHARDS_MAX, STORE_LONG_ROW_BYTES } from '../base/limits.js';
import { BitChanges } from './bit-changes.js';
import { POSITION_MAX, type ReplayRow, SESSION_MAX } from './keys.js';
import { ReplayChanges } from './replay-changes.js';
import { Change } from './segment-format.js';
import { SegmentReader } from './segment-reader.js';
import type { Segment } from './store-messages.js';
import { countOfEntry } from './stored-entry.js';
import { topicKeyOfRetained } from './stored-retained.js';
import { sessionRow } from './stored-session.js';
import type { StoredTotals } from './stored-totals.js';

/** A run that entries of the cut are of. */
export interface CutRun {
  /** The segment that it stands in, and its entries with it. */
  readonly segment: Buffer;
  readonly start: number;
  readonly end: number;
  /** Entries that are still to be written. */
  entries: number;
}

/** An entry of a queue: its row is the part of the segment, and the run or its number. */
export interface CutEntry {
  readonly position: number;
  readonly run: CutRun;
  readonly start: number;
  readonly end: number;
}

/** What becomes of one session's rows. Those on disk go first, then come the new ones. */
export class CutSession {
  readonly number: number;
  /** All that was on disk goes. */
  isDropped = false;
  /** Entries that begin before this position go. */
  left = 0;
  /** By filter key: the grant; -1: it is removed. */
  subscriptions: Map<string, number> | null = null;
  replay: ReplayChanges | null = null;
  incoming: BitChanges | null = null;
  received: BitChanges | null = null;
  given: BitChanges | null = null;
  /** Positions of entries on disk that go, beside those that `left` has. */
  gone: Set<number> | null = null;
  /** Those before `#first` have left. */
  #entries: CutEntry[] = [];
  #first = 0;

  constructor(number: number) {
    this.number = number;
  }

  /** In the order of their positions. */
  get entries(): readonly CutEntry[] {
    if (this.#first > 0) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return this.#entries;
  }

  /** Its position is none that is among them; most often it is behind all. */
  add(entry: CutEntry): void {
    entry.run.entries++;
    const last = this.#entries.at(-1);
    if (last === undefined || last.position < entry.position) this.#entries.push(entry);
    else this.#entries.splice(this.#placeOf(entry.position), 0, entry);
  }

  /** @param grant -1: it is removed. */
  setSubscription(filterKey: string, grant: number): void {
    this.subscriptions ??= new Map();
    this.subscriptions.set(filterKey, grant);
  }

  /** What becomes of what is known of its replays. */
  get replays(): ReplayChanges {
    this.replay ??= new ReplayChanges();
    return this.replay;
  }

  leave(position: number): void {
    this.left = Math.max(this.left, position);
    while (this.#first < this.#entries.length && this.#entries[this.#first].position < position) {
      this.#entries[this.#first++].run.entries--;
    }
    this.received?.clearBelow(position);
    this.given?.clearBelow(position);
  }

  /** The entry at this position goes, which may be in the cut or on disk. */
  remove(position: number): void {
    const at = this.#find(position);
    if (at < 0) {
      if (this.isDropped) return;
      this.gone ??= new Set();
      this.gone.add(position);
      return;
    }
    const entry = this.#entries[at];
    entry.run.entries--;
    this.clearBits(position, countOfEntry(entry.run.segment, entry.start));
    if (at === this.#first) this.#first++;
    else this.#entries.splice(at, 1);
  }

  /** Changes of bits about messages, as they begin: of what has left none is set. */
  bitsOfPositions(): BitChanges {
    const changes = new BitChanges();
    changes.clearBelow(this.left);
    return changes;
  }

  /** What is noted of so many messages from a position on goes with them. */
  clearBits(position: number, count: number): void {
    for (let each = position; each < position + count; each++) {
      this.received?.change(each, false);
      this.given?.change(each, false);
    }
  }

  /** @returns the index of the entry that begins there, or -1. */
  #find(position: number): number {
    const at = this.#placeOf(position);
    return at < this.#entries.length && this.#entries[at].position === position ? at : -1;
  }

  /** @returns the index of the first entry that does not begin before this position. */
  #placeOf(position: number): number {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle].position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whatever was to be written is not. */
  giveUp(): void {
    for (const entry of this.entries) entry.run.entries--;
  }
}

/** A run on its way to other shards: see pending-runs.ts. */
export interface CutPending {
  readonly source: number;
  readonly shardCount: number;
  /** That it is for, a bit each. */
  readonly shards: number;
  /** By shard: its place among the marked runs that are sent there. */
  readonly places: ReadonlyMap<number, number>;
  readonly run: Buffer;
}

/** A session's own row. */
export interface CutHead {
  readonly number: number;
  /** Null: it goes, if it is of this number. */
  readonly row: Buffer | null;
}

export class Cut {
  readonly sessions = new Map<number, CutSession>();
  /** By client id. */
  readonly heads = new Map<string, CutHead>();
  /** By topic key: its row; null: it goes. */
  readonly retained = new Map<string, Buffer | null>();
  /** By shard: what it retains in all. */
  readonly totals = new Map<number, StoredTotals>();
  /** Runs on their way to other shards. */
  readonly pending: CutPending[] = [];
  /** By reader * SHARDS_MAX + source: how many marked runs of the source the reader has handled. */
  readonly handled = new Map<number, number>();
  /** By row: the shards that have it. */
  readonly arrived = new Map<number, number>();
  /** The largest number of a session that something is said of. */
  sessionMax = 0;
  /** Made in all. */
  changes = 0;
  /** It brings messages, and does not only let them go. */
  hasMessages = false;
  /** Bytes of changes that may need more than a page, whose pages have to follow each other. */
  longBytes = 0;
  /** Of the longest of them. */
  longestBytes = 0;
  /** The run that the segment has named last. */
  #run: CutRun | null = null;

  /**
   * Adds the changes of a segment behind those that are there.
   * @throws Error when it is not what a journal writes.
   */
  add({ bytes, length }: Pick<Segment, 'bytes' | 'length'>): void {
    const reader = new SegmentReader(bytes, length);
    this.#run = null;
    while (reader.hasMore) {
      const { at } = reader;
      this.#addChange(reader);
      const bytes = reader.at - at;
      if (bytes <= STORE_LONG_ROW_BYTES) continue;
      this.longBytes += bytes;
      this.longestBytes = Math.max(this.longestBytes, bytes);
    }
  }

  #addChange(reader: SegmentReader): void {
    this.changes++;
    const kind = reader.byte();
    switch (kind) {
      case Change.putSession:
      case Change.dropSession:
        this.#addHead(kind, reader);
        break;
      case Change.run: {
        const start = reader.skipBytes();
        this.hasMessages = true;
        this.#run = { segment: reader.bytes, start, end: reader.at, entries: 0 };
        break;
      }
      case Change.retain:
      case Change.clear:
        this.#addRetained(kind, reader);
        break;
      case Change.pend:
        this.#addPending(reader);
        break;
      case Change.handled: {
        const pair = reader.byte() * SHARDS_MAX + reader.byte();
        this.handled.set(pair, reader.count());
        break;
      }
      case Change.arrived: {
        const row = reader.number(POSITION_MAX);
        this.arrived.set(row, (this.arrived.get(row) ?? 0) | reader.count());
        break;
      }
      case Change.totals: {
        const shardIndex = reader.byte();
        const shardCount = reader.byte();
        const messages = reader.number(Number.MAX_SAFE_INTEGER);
        const bytes = reader.number(Number.MAX_SAFE_INTEGER);
        this.totals.set(shardIndex, { shardCount, messages, bytes });
        break;
      }
      default:
        this.#addToSession(kind, this.#session(reader.number(SESSION_MAX)), reader);
    }
  }

  #addToSession(kind: number, session: CutSession, reader: SegmentReader): void {
    switch (kind) {
      case Change.putSubscription:
        session.setSubscription(reader.text('latin1'), reader.count());
        break;
      case Change.removeSubscription:
        session.setSubscription(reader.text('latin1'), -1);
        break;
      case Change.queue: {
        const position = reader.number(POSITION_MAX);
        const start = reader.skipBytes();
        if (this.#run === null) throw new Error('a segment has an entry without a run');
        session.add({ position, run: this.#run, start, end: reader.at });
        break;
      }
      case Change.left:
        session.leave(reader.number(POSITION_MAX));
        break;
      case Change.gone:
        session.remove(reader.number(POSITION_MAX));
        break;
      case Change.received:
        session.received ??= session.bitsOfPositions();
        setBits(session.received, reader);
        break;
      case Change.given:
        session.given ??= session.bitsOfPositions();
        setBits(session.given, reader);
        break;
      case Change.incoming:
      case Change.released:
        session.incoming ??= new BitChanges();
        session.incoming.change(reader.count(), kind === Change.incoming);
        break;
      case Change.putReplay: {
        const row = reader.byte() as ReplayRow;
        const generation = reader.count();
        session.replays.put(row, generation, reader.text('latin1'), reader.count());
        break;
      }
      case Change.removeReplay: {
        const row = reader.byte() as ReplayRow;
        session.replays.remove(row, reader.count(), reader.text('latin1'));
        break;
      }
      case Change.endReplay:
        session.replays.end(reader.count());
        break;
      default:
        throw new Error(`a segment has a change of kind ${kind}`);
    }
  }

  #addHead(
    kind: typeof Change.putSession | typeof Change.dropSession,
    reader: SegmentReader,
  ): void {
    const number = reader.number(SESSION_MAX);
    const idBytes = reader.blob();
    const clientId = idBytes.toString();
    if (kind === Change.putSession) {
      this.sessionMax = Math.max(this.sessionMax, number);
      this.heads.set(clientId, { number, row: sessionRow(number, idBytes, reader.blob()) });
      return;
    }
    this.sessions.get(number)?.giveUp();
    const dropped = new CutSession(number);
    dropped.isDropped = true;
    this.sessions.set(number, dropped);
    // Another session of this client may have been put meanwhile, by another shard.
    const head = this.heads.get(clientId);
    if (head === undefined || head.number === number)
      this.heads.set(clientId, { number, row: null });
  }

  #addPending(reader: SegmentReader): void {
    const source = reader.byte();
    const shardCount = reader.byte();
    const shards = reader.count() | 0;
    const places = new Map<number, number>();
    for (let left = shards; left !== 0; left &= left - 1) {
      places.set(lowestBit(left), reader.count());
    }
    if (this.#run === null) throw new Error('a segment has a run on its way without the run');
    const { segment, start, end } = this.#run;
    const run = segment.subarray(start, end);
    this.pending.push({ source, shardCount, shards, places, run });
  }

  #addRetained(kind: typeof Change.retain | typeof Change.clear, reader: SegmentReader): void {
    if (kind === Change.clear) {
      this.retained.set(reader.text('latin1'), null);
      return;
    }
    const row = reader.blob();
    this.hasMessages = true;
    this.retained.set(topicKeyOfRetained(row), row);
  }

  #session(number: number): CutSession {
    let session = this.sessions.get(number);
    if (session === undefined) {
      session = new CutSession(number);
      this.sessions.set(number, session);
      this.sessionMax = Math.max(this.sessionMax, number);
    }
    return session;
  }
}

/** Sets those of so many messages from a position on. */
function setBits(changes: BitChanges, reader: SegmentReader): void {
  const position = reader.number(POSITION_MAX);
  const end = position + reader.count();
  for (let each = position; each < end; each++) changes.change(each, true);
}
