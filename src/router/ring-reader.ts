/** The reading side of a ring (ring.ts): what a shard does with that of a peer. */
import { RecordError } from '../base/errors.js';
import { FragmentAssembly } from './fragment-assembly.js';
import { recordSpace, ringCapacity, ringIdOf } from './ring.js';
import {
  HEAD_WORD,
  RING_HEADER_BYTES,
  RING_LINE_WORDS,
  SLEEP_WORD,
  TAIL_WORD,
  TOLD_WORD,
  WANT_ROOM_WORD,
  WELCOME_WORD,
} from './ring-layout.js';
import {
  FLAG_FIRST,
  FLAG_FRAGMENT,
  FLAG_LAST,
  FLUSH_HEADER_BYTES,
  FLUSH_TICKET,
  KIND_MASK,
  PADDING_LENGTH,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_LENGTH,
  RECORD_MASK,
  RECORD_TOTAL,
  RECORD_WORD0,
  RECORD_WORD1,
  RECORD_WORD2,
  RECORD_WORD3,
  TICKET_LENGTH,
} from './ring-record.js';

/** Takes the records that a reader finds. */
export interface RecordHandler {
  /** Looked at behind each record: true when no more is to be read for now. */
  readonly isSpent?: boolean;
  /**
   * Looked at behind each record: true when it was not taken. Nothing is read behind it, and it
   * comes again in a later read.
   */
  readonly isLeft?: boolean;
  /**
   * One whole record. `word0` to `word3` are uint32; the record's bytes are `buffer[start, end)`.
   * The buffer is the ring's own memory and is the writer's again when the call returns: copy what
   * must stay. `from` is the shard that sent it. A record counts as handled even if the handler
   * throws. @throws RecordError or ProtocolError when it is not what its kind says.
   */
  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void;
}

/** One reader of another shard's ring. */
export class RingReader {
  /** The shard that writes the ring. */
  readonly from: number;
  /** Of the ring. */
  readonly ringId: number;
  readonly #words: Int32Array;
  readonly #data: Buffer;
  readonly #dataWords: Int32Array;
  readonly #capacityBytes: number;
  readonly #readerBit: number;
  readonly #tailWord: number;
  readonly #sleepWord: number;
  readonly #assembly = new FragmentAssembly();
  /** A record put together that its handler has left. */
  #left: Buffer | null = null;
  #tailPosition = 0;
  /** The head as `see` has found it. */
  #headPosition = 0;
  /** Of the flush that the tail is in. */
  #ticket = 0;
  #lastKind = 0;
  /** The told count as `seeTold` has found it, and the one that is caught up with; none: unlike. */
  #told = 0;
  #toldCaughtUp = -1;

  /** @param readerIndex the shard that reads. */
  constructor(memory: SharedArrayBuffer, from: number, readerIndex: number) {
    this.from = from;
    this.#capacityBytes = ringCapacity(memory);
    this.#words = new Int32Array(memory, 0, RING_HEADER_BYTES / 4);
    this.ringId = ringIdOf(memory);
    this.#data = Buffer.from(memory, RING_HEADER_BYTES, this.#capacityBytes);
    this.#dataWords = new Int32Array(memory, RING_HEADER_BYTES, this.#capacityBytes / 4);
    this.#readerBit = 1 << readerIndex;
    this.#tailWord = TAIL_WORD + readerIndex * RING_LINE_WORDS;
    this.#sleepWord = SLEEP_WORD + readerIndex * RING_LINE_WORDS;
  }

  /**
   * Begins at the position that the writer has set. To be called once, when it has welcomed this
   * shard.
   */
  begin(): void {
    this.#tailPosition = Atomics.load(this.#words, this.#tailWord);
    this.#headPosition = this.#tailPosition;
  }

  /** Looks how often the writer has told clients of something: before the heads are looked at. */
  seeTold(): void {
    this.#told = Atomics.load(this.#words, TOLD_WORD);
  }

  /** All is handed over that was visible behind the last `seeTold`, on whichever ring. */
  noteCaughtUp(): void {
    this.#toldCaughtUp = this.#told;
  }

  /** The writer has told clients of something since what `noteCaughtUp` stands for. */
  get hasTold(): boolean {
    return Atomics.load(this.#words, TOLD_WORD) !== this.#toldCaughtUp;
  }

  /** Looks how far the writer has come: `read` goes no further. @returns whether there is more. */
  see(): boolean {
    this.#headPosition = Atomics.load(this.#words, HEAD_WORD);
    return this.hasSeen;
  }

  /** There is something between the tail and the head that was seen. */
  get hasSeen(): boolean {
    return ((this.#headPosition - this.#tailPosition) | 0) > 0;
  }

  /** The ticket of what comes next, when there is something that was seen. */
  get nextTicket(): number {
    const at = (this.#tailPosition & (this.#capacityBytes - 1)) >> 2;
    const words = this.#dataWords;
    return words[at] === TICKET_LENGTH ? words[at + FLUSH_TICKET] : this.#ticket;
  }

  /** True when there is something between the tail and the head, for whomever. */
  hasRecords(): boolean {
    return ((Atomics.load(this.#words, HEAD_WORD) - this.#tailPosition) | 0) > 0;
  }

  /** The kind of the record handed over last, or of that which could not be. */
  get lastKind(): number {
    return this.#lastKind;
  }

  /**
   * Hands over the records for this shard, fragments put together, until the head that `see` has
   * found, a flush with a ticket behind `lastTicket`, or until `limitBytes` are reached or passed.
   * The tail is stored once, after the last.
   * @returns bytes taken, headers included; records for others are stepped over and not counted.
   * @throws RecordError for a record that is none, which is passed over; when its length cannot be,
   *   all behind it that was seen too. Whatever the handler throws.
   */
  read(handler: RecordHandler, limitBytes: number, lastTicket: number): number {
    const headPosition = this.#headPosition;
    const first = this.#tailPosition;
    if (((headPosition - first) | 0) <= 0) return 0;
    const words = this.#dataWords;
    const capacity = this.#capacityBytes;
    let tail = first;
    let taken = 0;
    try {
      while (((headPosition - tail) | 0) > 0 && taken < limitBytes) {
        const index = tail & (capacity - 1);
        const at = index >> 2;
        const length = words[at + RECORD_LENGTH];
        if (length === TICKET_LENGTH) {
          const ticket = words[at + FLUSH_TICKET];
          if (((ticket - lastTicket) | 0) > 0) break;
          this.#ticket = ticket;
          tail = (tail + FLUSH_HEADER_BYTES) | 0;
          continue;
        }
        if (length === PADDING_LENGTH) {
          // Never beyond what the writer has shown, whatever stands there.
          tail = (tail + Math.min(capacity - index, (headPosition - tail) | 0)) | 0;
          continue;
        }
        const space = recordSpace(length);
        if (
          length >>> 0 > capacity ||
          space > ((headPosition - tail) | 0) ||
          space > capacity - index
        ) {
          tail = headPosition;
          this.#lastKind = words[at + RECORD_KIND] & KIND_MASK;
          throw new RecordError(`a record of ${length} bytes is not in the ring`);
        }
        const before = tail;
        // Moved on before the handler runs, so that one that throws does not get the record again.
        tail = (tail + space) | 0;
        if ((words[at + RECORD_MASK] & this.#readerBit) === 0) continue;
        taken += space;
        if (!this.#deliver(handler, at, index + RECORD_HEADER_BYTES, length)) {
          tail = before;
          taken -= space;
          break;
        }
        if (handler.isSpent) break;
      }
    } finally {
      this.#tailPosition = tail;
      Atomics.store(this.#words, this.#tailWord, tail);
    }
    return taken;
  }

  /**
   * True when the writer waits for room, and the caller is the one who must ring it. Ask after
   * `read`.
   */
  takeWaitingWriter(): boolean {
    return (
      Atomics.load(this.#words, WANT_ROOM_WORD) === 1 &&
      Atomics.compareExchange(this.#words, WANT_ROOM_WORD, 1, 0) === 1
    );
  }

  /**
   * Says that this reader is about to sleep: the writer rings it. Look for records once more after
   * it.
   */
  setSleeping(isSleeping: boolean): void {
    Atomics.store(this.#words, this.#sleepWord, isSleeping ? 1 : 0);
  }

  /** Tells the writer of this ring that it may read the ring of `shardIndex`, which has this id. */
  welcome(shardIndex: number, ringId: number): void {
    Atomics.store(this.#words, WELCOME_WORD + shardIndex, ringId);
  }

  /** True when `welcome` was called on this ring with these, by whatever thread. */
  hasWelcome(shardIndex: number, ringId: number): boolean {
    return Atomics.load(this.#words, WELCOME_WORD + shardIndex) === ringId;
  }

  /** @returns false when the handler has left the record. */
  #deliver(handler: RecordHandler, at: number, start: number, length: number): boolean {
    const words = this.#dataWords;
    const kind = words[at + RECORD_KIND];
    this.#lastKind = kind & KIND_MASK;
    let assembled: Buffer | null = null;
    if ((kind & FLAG_LAST) !== 0 && this.#left !== null) {
      assembled = this.#left;
      this.#left = null;
    } else if ((kind & FLAG_FRAGMENT) !== 0) {
      if ((kind & FLAG_FIRST) !== 0) this.#assembly.begin(words[at + RECORD_TOTAL]);
      this.#assembly.add(this.#data, start, start + length);
      if ((kind & FLAG_LAST) === 0) return true;
      assembled = this.#assembly.take();
      if (assembled === null) return true;
    }
    handler.onRecord(
      this.from,
      kind & KIND_MASK,
      words[at + RECORD_WORD0] >>> 0,
      words[at + RECORD_WORD1] >>> 0,
      words[at + RECORD_WORD2] >>> 0,
      words[at + RECORD_WORD3] >>> 0,
      assembled ?? this.#data,
      assembled === null ? start : 0,
      assembled === null ? start + length : assembled.length,
    );
    if (!handler.isLeft) return true;
    this.#left = assembled;
    return false;
  }
}
