/**
 * A broadcast log between shards: one writer, every other shard a reader at its own position. The
 * words and who may write them: ring-layout.ts. The bytes of a record: ring-record.ts.
 */
import { invariant } from '../base/assert.js';
import { copyBytes } from '../base/copy-bytes.js';
import { RecordError } from '../base/errors.js';
import {
  RING_BYTES_MAX,
  RING_FRAGMENT_DIVISOR,
  RING_LEAD_WORK_MAX,
  SHARDS_MAX,
} from '../base/limits.js';
import { FragmentAssembly } from './fragment-assembly.js';
import {
  HEAD_WORD,
  RING_HEADER_BYTES,
  RING_LINE_WORDS,
  SLEEP_WORD,
  TAIL_WORD,
  WANT_ROOM_WORD,
  WELCOME_WORD,
} from './ring-layout.js';
import { RingLead, workOfRecord } from './ring-lead.js';
import {
  FLAG_FIRST,
  FLAG_FRAGMENT,
  FLAG_LAST,
  KIND_MASK,
  PADDING_LENGTH,
  RECORD_ALIGNMENT,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_LENGTH,
  RECORD_MASK,
  RECORD_TOTAL,
  RECORD_WORD0,
  RECORD_WORD1,
  RECORD_WORD2,
  RECORD_WORD3,
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

/**
 * Memory for one ring, all positions 0. Made by the primary, one for each start of a shard.
 * @param capacityBytes bytes of its data area: a power of two, 4 KiB to 1 GiB.
 * @throws Error when it is not.
 */
export function createRing(capacityBytes: number): SharedArrayBuffer {
  checkCapacity(capacityBytes);
  return new SharedArrayBuffer(RING_HEADER_BYTES + capacityBytes);
}

/** Bytes of the data area of `memory`. @throws Error when it was not made by `createRing`. */
export function ringCapacity(memory: SharedArrayBuffer): number {
  const capacity = memory.byteLength - RING_HEADER_BYTES;
  checkCapacity(capacity);
  return capacity;
}

/** Most bytes that one record carries; a larger one goes in fragments. */
export function recordBytesMax(capacityBytes: number): number {
  return capacityBytes / RING_FRAGMENT_DIVISOR - RECORD_HEADER_BYTES;
}

function checkCapacity(capacityBytes: number): void {
  const isPowerOfTwo = capacityBytes > 0 && (capacityBytes & (capacityBytes - 1)) === 0;
  invariant(
    isPowerOfTwo && capacityBytes >= 4096 && capacityBytes <= RING_BYTES_MAX,
    `a ring holds a power of two of bytes, 4 KiB to 1 GiB, not ${capacityBytes}`,
  );
}

/** Bytes that a record with `length` bytes of its own takes in a ring. */
export function recordSpace(length: number): number {
  return (length + RECORD_HEADER_BYTES + RECORD_ALIGNMENT - 1) & -RECORD_ALIGNMENT;
}

/** The one writer of a ring. What it puts is seen by nobody until `publish()`. */
export class RingWriter {
  readonly capacityBytes: number;
  readonly #words: Int32Array;
  readonly #data: Buffer;
  readonly #dataWords: Int32Array;
  /** Position after the last record put. */
  #headPosition: number;
  /** Position that the readers see. */
  #publishedPosition: number;
  /** The slowest reader's tail when it was last looked at: the real one is here or further on. */
  #slowestTail: number;
  /** Readers whose tails count, as a bit mask. */
  #readerMask = 0;
  /** Readers named by a record put since the last `publish()`. */
  #touchedMask = 0;
  readonly #lead = new RingLead();
  #isFarAhead = false;

  /**
   * Writes on from the ring's head.
   * @param readerMask the shards that read this ring, from the tails that are in it.
   */
  constructor(memory: SharedArrayBuffer, readerMask: number) {
    this.capacityBytes = ringCapacity(memory);
    this.#words = new Int32Array(memory, 0, RING_HEADER_BYTES / 4);
    this.#data = Buffer.from(memory, RING_HEADER_BYTES, this.capacityBytes);
    this.#dataWords = new Int32Array(memory, RING_HEADER_BYTES, this.capacityBytes / 4);
    this.#readerMask = readerMask;
    this.#headPosition = Atomics.load(this.#words, HEAD_WORD);
    this.#publishedPosition = this.#headPosition;
    this.#slowestTail = this.#findSlowestTail();
  }

  /** The readers that are alive, as a bit mask. */
  get readerMask(): number {
    return this.#readerMask;
  }

  /** Readers named by what was put since the last `publish()`. */
  get touchedMask(): number {
    return this.#touchedMask;
  }

  /**
   * Puts one record behind the last. `kind` carries the flags of ring-record.ts too; `total` is the
   * length of the whole record that this is a part of.
   * @returns false when there is no room for it now.
   * @throws Error when the bytes are more than `recordBytesMax`.
   */
  put(
    kind: number,
    shardMask: number,
    total: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): boolean {
    const capacity = this.capacityBytes;
    const length = end - start;
    const space = recordSpace(length);
    if (space > capacity / RING_FRAGMENT_DIVISOR)
      invariant(false, 'a record fits its part of a ring');
    let index = this.#headPosition & (capacity - 1);
    const roomToEnd = capacity - index;
    const needed = space > roomToEnd ? roomToEnd + space : space;
    if (((this.#headPosition - this.#slowestTail) | 0) + needed > capacity) {
      this.#slowestTail = this.#findSlowestTail();
      if (((this.#headPosition - this.#slowestTail) | 0) + needed > capacity) return false;
    }
    const words = this.#dataWords;
    if (space > roomToEnd) {
      words[index >> 2] = PADDING_LENGTH;
      index = 0;
    }
    const at = index >> 2;
    words[at + RECORD_LENGTH] = length;
    words[at + RECORD_KIND] = kind;
    words[at + RECORD_MASK] = shardMask;
    words[at + RECORD_TOTAL] = total;
    words[at + RECORD_WORD0] = word0;
    words[at + RECORD_WORD1] = word1;
    words[at + RECORD_WORD2] = word2;
    words[at + RECORD_WORD3] = word3;
    copyBytes(bytes, start, end, this.#data, index + RECORD_HEADER_BYTES);
    this.#headPosition = (this.#headPosition + needed) | 0;
    this.#touchedMask |= shardMask;
    this.addWork(workOfRecord(length));
    return true;
  }

  /** The record put last takes its readers so much longer than its bytes say (`workOfRecord`). */
  addWork(work: number): void {
    if (this.#lead.add(work, this.#headPosition) && !this.#isFarAhead) this.#lookAhead();
  }

  /**
   * The slowest reader has more before it than RING_LEAD_WORK_MAX, or had, and not yet less than
   * half of that. It may be nearer since: `checkLead` looks.
   */
  get isFarAhead(): boolean {
    return this.#isFarAhead;
  }

  /** Looks where the readers are now. @returns `isFarAhead` */
  checkLead(): boolean {
    if (this.#isFarAhead) this.#lookAhead();
    return this.#isFarAhead;
  }

  #lookAhead(): void {
    this.#slowestTail = this.#findSlowestTail();
    this.#lead.onTail(this.#slowestTail, this.#headPosition);
    const max = this.#isFarAhead ? RING_LEAD_WORK_MAX >> 1 : RING_LEAD_WORK_MAX;
    this.#isFarAhead = this.#lead.work > max;
  }

  /** Lets the readers see what was put. @returns false when there was nothing new. */
  publish(): boolean {
    if (this.#publishedPosition === this.#headPosition) return false;
    this.#publishedPosition = this.#headPosition;
    this.#touchedMask = 0;
    Atomics.store(this.#words, HEAD_WORD, this.#headPosition);
    return true;
  }

  /** Asks the next reader that makes room to ring this shard. Look for room once more after it. */
  wantRoom(): void {
    Atomics.store(this.#words, WANT_ROOM_WORD, 1);
  }

  /** True when the reader sleeps, and the caller is the one who must ring it. */
  takeSleeper(reader: number): boolean {
    const word = SLEEP_WORD + reader * RING_LINE_WORDS;
    return (
      Atomics.load(this.#words, word) === 1 &&
      Atomics.compareExchange(this.#words, word, 1, 0) === 1
    );
  }

  /** Published bytes that the reader has not taken. */
  lagBytes(reader: number): number {
    const tail = Atomics.load(this.#words, TAIL_WORD + reader * RING_LINE_WORDS);
    return Math.max(0, (this.#publishedPosition - tail) | 0);
  }

  /**
   * True when the shard with this index has welcomed the writer of this ring: its own ring may be
   * read.
   */
  isWelcomedBy(shardIndex: number): boolean {
    return Atomics.load(this.#words, WELCOME_WORD + shardIndex) === 1;
  }

  /** A reader has died: its tail holds nothing any more. */
  removeReader(reader: number): void {
    this.#readerMask &= ~(1 << reader);
  }

  /** A reader that has not begun: it reads from what is put next. */
  addReader(reader: number): void {
    const line = reader * RING_LINE_WORDS;
    Atomics.store(this.#words, TAIL_WORD + line, this.#headPosition);
    Atomics.store(this.#words, SLEEP_WORD + line, 0);
    this.#readerMask |= 1 << reader;
  }

  #findSlowestTail(): number {
    let largestLag = 0;
    for (let reader = 0; reader < SHARDS_MAX; reader++) {
      if ((this.#readerMask & (1 << reader)) === 0) continue;
      const tail = Atomics.load(this.#words, TAIL_WORD + reader * RING_LINE_WORDS);
      const lag = (this.#headPosition - tail) | 0;
      if (lag > largestLag) largestLag = lag;
    }
    return (this.#headPosition - largestLag) | 0;
  }
}

/** One reader of another shard's ring. */
export class RingReader {
  /** The shard that writes the ring. */
  readonly from: number;
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
  #lastKind = 0;

  /** @param readerIndex the shard that reads. */
  constructor(memory: SharedArrayBuffer, from: number, readerIndex: number) {
    this.from = from;
    this.#capacityBytes = ringCapacity(memory);
    this.#words = new Int32Array(memory, 0, RING_HEADER_BYTES / 4);
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
   * Hands over the records for this shard, fragments put together, until the head that was seen at
   * the begin or until `limitBytes` are reached or passed. The tail is stored once, after the last.
   * @returns bytes taken, headers included; records for others are stepped over and not counted.
   * @throws RecordError for a record that is none, which is passed over; when its length cannot be,
   *   all behind it that was seen too. Whatever the handler throws.
   */
  read(handler: RecordHandler, limitBytes: number): number {
    const headPosition = Atomics.load(this.#words, HEAD_WORD);
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

  /** Tells the writer of this ring that it may read the ring of `shardIndex`. */
  welcome(shardIndex: number): void {
    Atomics.store(this.#words, WELCOME_WORD + shardIndex, 1);
  }

  /** True when `welcome(shardIndex)` was called on this ring, by whatever thread. */
  hasWelcome(shardIndex: number): boolean {
    return Atomics.load(this.#words, WELCOME_WORD + shardIndex) === 1;
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
