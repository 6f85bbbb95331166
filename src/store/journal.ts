/**
 * What a shard has changed and the disk does not have yet: changes are appended at any time, and go
 * to the store thread in segments. Segments of all shards are written in the order of their
 * tickets, several in one transaction. A shard submits what it has appended before it lets other
 * shards see anything: so what follows from a change has a later ticket than the change.
 */
import type { MessagePort } from 'node:worker_threads';
import { pack } from 'msgpackr';
import { lowestBit } from '../base/bits.js';
import { JOURNAL_BYTES_MAX, SHARDS_MAX } from '../base/limits.js';
import type { Run } from '../protocol/run.js';
import type { ReplayRow } from './keys.js';
import { Change } from './segment-format.js';
import { SegmentWriter } from './segment-writer.js';
import type { ToJournal } from './store-messages.js';
import { FULL_WORD, TICKET_WORD } from './store-words.js';
import { STORED_RETAINED_HEAD_BYTES, writeRetained } from './stored-retained.js';
import { STORED_RUN_HEAD_BYTES, writeRun } from './stored-run.js';

export interface JournalOptions {
  /** To the store thread; the journal's from here on. */
  readonly port: MessagePort;
  /** store-words.ts. */
  readonly words: SharedArrayBuffer;
  /** More is durable than before. */
  readonly onDurable: () => void;
  /** The disk does not take what is there, and why; or it takes it again. */
  readonly onState: (isFailing: boolean, why: string) => void;
}

/** What a shard retains in all. */
interface RetainedTotals {
  shardIndex: number;
  shardCount: number;
  messages: number;
  bytes: number;
}

/** Bytes of a change without its texts and bytes, at most. */
const CHANGE_BYTES = 48;
/** Bytes of a varint, at most. */
const VARINT_BYTES = 5;
/** Bytes that a character takes in UTF-8, at most. */
const UTF8_BYTES = 3;

/** One a shard. */
export class Journal {
  readonly #port: MessagePort;
  readonly #words: Int32Array;
  readonly #options: JournalOptions;
  readonly #writer = new SegmentWriter();
  #appended = 0;
  #submitted = 0;
  #durable = 0;
  #isFailing = false;
  #isPortClosed = false;
  /** Segments on their way: the position behind each, and its bytes. */
  #underway: { readonly position: number; readonly length: number }[] = [];
  #underwayBytes = 0;
  /** The run that the segment has written last, and how much of it. */
  #run: Run | null = null;
  #runBytes: Buffer | null = null;
  #runLength = 0;
  #whenAllDurable: (() => void) | null = null;
  readonly #totals: RetainedTotals = { shardIndex: 0, shardCount: 0, messages: 0, bytes: 0 };
  /** They are in no segment. */
  #areTotalsNew = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#port = options.port;
    this.#words = new Int32Array(options.words);
    this.#port.on('message', (message: ToJournal) => this.#onMessage(message));
    this.#port.on('close', () => {
      this.#isPortClosed = true;
      this.#whenAllDurable?.();
    });
  }

  /** Grows by 1 a change, and does not wrap: the position of a change is the value before it. */
  get appended(): number {
    return this.#appended;
  }

  /** Every change before this position is durable. */
  get durable(): number {
    return this.#durable;
  }

  /** The disk takes nothing now. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** As much is appended and not durable as may be: whoever feeds it waits. */
  get isFull(): boolean {
    return this.#underwayBytes + this.#writer.length >= JOURNAL_BYTES_MAX;
  }

  /** The store holds as many bytes as the operator lets it have. */
  get isStoreFull(): boolean {
    return Atomics.load(this.#words, FULL_WORD) !== 0;
  }

  /** Notes a session, or what has become of it. @param head what msgpack can hold. */
  putSession(session: number, clientId: string, head: object): void {
    const packed = pack(head);
    const writer = this.#begin(Change.putSession, clientId.length * UTF8_BYTES + packed.length);
    writer.number(session);
    this.#utf8(clientId);
    writer.count(packed.length);
    writer.raw(packed);
  }

  /** A session ends, and all its rows go. */
  dropSession(session: number, clientId: string): void {
    this.#begin(Change.dropSession, clientId.length * UTF8_BYTES).number(session);
    this.#utf8(clientId);
  }

  /** @param filterKey latin1. @param grant topics/grant.ts, 32 bits. */
  putSubscription(session: number, filterKey: string, grant: number): void {
    const writer = this.#begin(Change.putSubscription, filterKey.length);
    writer.number(session);
    this.#latin1(filterKey);
    writer.count(grant >>> 0);
  }

  removeSubscription(session: number, filterKey: string): void {
    this.#begin(Change.removeSubscription, filterKey.length).number(session);
    this.#latin1(filterKey);
  }

  /**
   * Notes of a replay what is to be found after a crash.
   * @param generation of the replay, 32 bits: no other one of the session has it.
   * @param text latin1. @param since of which SUBSCRIBE it is, 32 bits.
   */
  putReplay(
    session: number,
    kind: ReplayRow,
    generation: number,
    text: string,
    since: number,
  ): void {
    this.#replay(Change.putReplay, session, kind, generation, text).count(since >>> 0);
  }

  removeReplay(session: number, kind: ReplayRow, generation: number, text: string): void {
    this.#replay(Change.removeReplay, session, kind, generation, text);
  }

  /** All that was noted of a replay goes. */
  endReplay(session: number, generation: number): void {
    const writer = this.#begin(Change.endReplay, 0);
    writer.number(session);
    writer.count(generation >>> 0);
  }

  /**
   * Adds the first `count` messages of a run, `bytes` long, to the end of a session's queue. Calls
   * in a row with the same part of the same run write it once.
   * @param position of the first message, which none of this session has had.
   * @param group of a message that was for one of a group of subscribers (latin1).
   */
  queue(
    session: number,
    position: number,
    run: Run,
    bytes: number,
    deliveryHeader: number,
    count: number,
    identifiers: readonly number[] = [],
    group = '',
  ): void {
    this.#putRun(run, bytes, count);
    const room = identifiers.length * VARINT_BYTES + group.length;
    const writer = this.#begin(Change.queue, room);
    writer.number(session);
    writer.number(position);
    const lengthAt = writer.length;
    writer.count(0);
    writer.byte(deliveryHeader);
    writer.varint(count);
    writer.varint(identifiers.length);
    for (const identifier of identifiers) writer.varint(identifier);
    writer.varint(group.length);
    writer.latin1(group);
    writer.countAt(lengthAt, writer.length - lengthAt - Uint32Array.BYTES_PER_ELEMENT);
  }

  /** All entries of a session's queue that begin before a position go, and their PUBRECs. */
  left(session: number, position: number): void {
    const writer = this.#begin(Change.left, 0);
    writer.number(session);
    writer.number(position);
  }

  /** The entry of a session's queue that begins at a position goes, whatever is before it. */
  gone(session: number, position: number): void {
    const writer = this.#begin(Change.gone, 0);
    writer.number(session);
    writer.number(position);
  }

  /** PUBREC has come for `count` messages from a position on. */
  received(session: number, position: number, count: number): void {
    const writer = this.#begin(Change.received, 0);
    writer.number(session);
    writer.number(position);
    writer.count(count);
  }

  /** So many messages from a position on are others' now, though their entry may stay. */
  given(session: number, position: number, count: number): void {
    const writer = this.#begin(Change.given, 0);
    writer.number(session);
    writer.number(position);
    writer.count(count);
  }

  /** The packet id of a QoS 2 PUBLISH is noted [MQTT-4.3.3-2]. */
  incoming(session: number, packetId: number): void {
    const writer = this.#begin(Change.incoming, 0);
    writer.number(session);
    writer.count(packetId);
  }

  /** Its PUBREL has come. */
  released(session: number, packetId: number): void {
    const writer = this.#begin(Change.released, 0);
    writer.number(session);
    writer.count(packetId);
  }

  /** @param topicKey latin1. @param message router/retained-message.ts; null: there is none. */
  retain(topicKey: string, message: string | null): void {
    if (message === null) {
      this.#begin(Change.clear, topicKey.length);
      this.#latin1(topicKey);
      return;
    }
    const room = STORED_RETAINED_HEAD_BYTES + topicKey.length + message.length;
    const writer = this.#begin(Change.retain, room);
    const lengthAt = writer.length;
    writer.count(0);
    writeRetained(writer, topicKey, message);
    writer.countAt(lengthAt, writer.length - lengthAt - Uint32Array.BYTES_PER_ELEMENT);
  }

  /** What a shard retains in all, behind what was appended: of a segment the last counts. */
  retainedTotals(shardIndex: number, shardCount: number, messages: number, bytes: number): void {
    const totals = this.#totals;
    totals.shardIndex = shardIndex;
    totals.shardCount = shardCount;
    totals.messages = messages;
    totals.bytes = bytes;
    this.#areTotalsNew = true;
  }

  /**
   * A run of QoS 2 is on its way to the stores of other shards: its packet ids may become durable
   * before they have it. @param places by shard: its place among the marked runs that are sent
   * there. Its bytes must not change before `submit`.
   */
  pend(source: number, shardCount: number, shards: number, places: Int32Array, run: Run): void {
    this.#putRun(run, run.bytes.length, run.count);
    const writer = this.#begin(Change.pend, SHARDS_MAX * Uint32Array.BYTES_PER_ELEMENT);
    writer.byte(source);
    writer.byte(shardCount);
    writer.count(shards >>> 0);
    for (let left = shards; left !== 0; left &= left - 1) {
      writer.count(places[lowestBit(left)] >>> 0);
    }
  }

  /** Shard `reader` has handled so many marked runs of shard `source`. */
  handled(reader: number, source: number, count: number): void {
    const writer = this.#begin(Change.handled, 0);
    writer.byte(reader);
    writer.byte(source);
    writer.count(count >>> 0);
  }

  /** What was on its way is where it was to go: see store/pending-runs.ts. */
  arrived(row: number, shards: number): void {
    const writer = this.#begin(Change.arrived, 0);
    writer.number(row);
    writer.count(shards >>> 0);
  }

  /** Sends the store thread what was appended; where nothing was, it does nothing. */
  submit(): void {
    this.#appendTotals();
    if (this.#submitted === this.#appended || this.#isPortClosed) return;
    this.#submitted = this.#appended;
    this.#run = null;
    this.#runBytes = null;
    const { bytes, length } = this.#writer.take();
    this.#underway.push({ position: this.#appended, length });
    this.#underwayBytes += length;
    const ticket = Atomics.add(this.#words, TICKET_WORD, 1) + 1;
    const segment = { ticket, position: this.#appended, bytes, length };
    this.#port.postMessage(segment, [bytes]);
  }

  /**
   * Submits the rest; resolves when all is durable, or the store thread has ended. Nothing may be
   * appended any more.
   */
  async close(): Promise<void> {
    this.submit();
    if (this.#durable < this.#appended && !this.#isPortClosed) {
      await new Promise<void>((resolve) => {
        this.#whenAllDurable = resolve;
      });
    }
    this.#port.close();
  }

  #replay(
    change: Change,
    session: number,
    kind: ReplayRow,
    generation: number,
    text: string,
  ): SegmentWriter {
    const writer = this.#begin(change, text.length);
    writer.number(session);
    writer.byte(kind);
    writer.count(generation >>> 0);
    this.#latin1(text);
    return writer;
  }

  /** @param room bytes of the change's texts. */
  #begin(kind: Change, room: number): SegmentWriter {
    const writer = this.#writer;
    writer.reserve(CHANGE_BYTES + room);
    writer.byte(kind);
    this.#appended++;
    return writer;
  }

  #appendTotals(): void {
    if (!this.#areTotalsNew) return;
    const { shardIndex, shardCount, messages, bytes } = this.#totals;
    this.#areTotalsNew = false;
    const writer = this.#begin(Change.totals, 0);
    writer.byte(shardIndex);
    writer.byte(shardCount);
    writer.number(messages);
    writer.number(bytes);
  }

  #utf8(text: string): void {
    const at = this.#writer.length;
    this.#writer.count(0);
    this.#writer.utf8(text);
    this.#writer.countAt(at, this.#writer.length - at - Uint32Array.BYTES_PER_ELEMENT);
  }

  #latin1(text: string): void {
    this.#writer.count(text.length);
    this.#writer.latin1(text);
  }

  /** Writes a run unless it is the last one written. It is part of the change that names it. */
  #putRun(run: Run, length: number, count: number): void {
    const isSame = this.#run === run && this.#runBytes === run.bytes && this.#runLength === length;
    if (isSame) return;
    this.#run = run;
    this.#runBytes = run.bytes;
    this.#runLength = length;
    const writer = this.#writer;
    const bytes = STORED_RUN_HEAD_BYTES + length;
    writer.reserve(CHANGE_BYTES + bytes);
    writer.byte(Change.run);
    writer.count(bytes);
    writeRun(writer, run, length, count);
  }

  #onMessage(message: ToJournal): void {
    if (message.kind === 'durable') this.#onDurable(message.position);
    else {
      this.#isFailing = message.kind === 'failing';
      this.#options.onState(this.#isFailing, message.kind === 'failing' ? message.why : '');
    }
  }

  #onDurable(position: number): void {
    this.#durable = position;
    let done = 0;
    while (done < this.#underway.length && this.#underway[done].position <= position) {
      this.#underwayBytes -= this.#underway[done++].length;
    }
    this.#underway.splice(0, done);
    this.#options.onDurable();
    if (position === this.#appended) this.#whenAllDurable?.();
  }
}
