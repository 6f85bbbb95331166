/**
 * A broadcast log between shards: one writer, every other shard a reader at its own position
 * (ring-reader.ts). The words and who may write them: ring-layout.ts. The bytes of a record:
 * ring-record.ts.
 */
import { invariant } from '../base/assert.js';
import { copyBytes } from '../base/copy-bytes.js';
import {
  RING_BYTES_MAX,
  RING_FRAGMENT_DIVISOR,
  RING_LEAD_WORK_MAX,
  SHARDS_MAX,
} from '../base/limits.js';
import {
  HEAD_WORD,
  RING_HEADER_BYTES,
  RING_ID_WORD,
  RING_LINE_WORDS,
  SLEEP_WORD,
  TAIL_WORD,
  TOLD_WORD,
  WANT_ROOM_WORD,
  WELCOME_WORD,
} from './ring-layout.js';
import { RingLead, workOfRecord } from './ring-lead.js';
import {
  FLUSH_HEADER_BYTES,
  FLUSH_TICKET,
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
  TICKET_LENGTH,
} from './ring-record.js';

/** By this thread: all of a process are made by one. */
let ringsMade = 0;

/**
 * Memory for one ring, all positions 0. Made by the primary, one for each start of a shard.
 * @param capacityBytes bytes of its data area: a power of two, 4 KiB to 1 GiB.
 * @throws Error when it is not.
 */
export function createRing(capacityBytes: number): SharedArrayBuffer {
  checkCapacity(capacityBytes);
  const memory = new SharedArrayBuffer(RING_HEADER_BYTES + capacityBytes);
  ringsMade = (ringsMade + 1) | 0 || 1;
  new Int32Array(memory, 0, RING_LINE_WORDS)[RING_ID_WORD] = ringsMade;
  return memory;
}

/** Bytes of the data area of `memory`. @throws Error when it was not made by `createRing`. */
export function ringCapacity(memory: SharedArrayBuffer): number {
  const capacity = memory.byteLength - RING_HEADER_BYTES;
  checkCapacity(capacity);
  return capacity;
}

/** What tells a ring from all others of this process. @throws Error for none of `createRing`. */
export function ringIdOf(memory: SharedArrayBuffer): number {
  const id = new Int32Array(memory, 0, RING_LINE_WORDS)[RING_ID_WORD]!;
  invariant(id !== 0, 'a ring is made by createRing');
  return id;
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
  /** Of the ring. */
  readonly ringId: number;
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
  readonly #tickets: Int32Array;
  /** Where the flush header is of what is put and not published. */
  #flushIndex = 0;
  #isFarAhead = false;
  /** The most bytes that somebody has asked room for and not found; 0: nobody waits. */
  #askedBytes = 0;

  /**
   * Writes on from the ring's head.
   * @param readerMask the shards that read this ring, from the tails that are in it.
   * @param tickets the word of all rings together that flushes take their tickets from.
   */
  constructor(memory: SharedArrayBuffer, readerMask: number, tickets: Int32Array) {
    this.#tickets = tickets;
    this.capacityBytes = ringCapacity(memory);
    this.#words = new Int32Array(memory, 0, RING_HEADER_BYTES / 4);
    this.ringId = ringIdOf(memory);
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
    const flushIndex = this.#headPosition & (capacity - 1);
    const isFirst = this.#headPosition === this.#publishedPosition;
    const headerBytes = isFirst ? FLUSH_HEADER_BYTES : 0;
    let index = (flushIndex + headerBytes) & (capacity - 1);
    const roomToEnd = capacity - index;
    const needed = headerBytes + (space > roomToEnd ? roomToEnd + space : space);
    if (((this.#headPosition - this.#slowestTail) | 0) + needed > capacity) {
      this.#slowestTail = this.#findSlowestTail();
      if (((this.#headPosition - this.#slowestTail) | 0) + needed > capacity) return false;
    }
    const words = this.#dataWords;
    if (isFirst) {
      this.#flushIndex = flushIndex;
      words[flushIndex >> 2] = TICKET_LENGTH;
    }
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
   * half of that. It may be nearer since: `checkReaders` looks.
   */
  get isFarAhead(): boolean {
    return this.#isFarAhead;
  }

  /**
   * Whether records of so many bytes together find room. Where not, `isRoomAsked` until they do.
   * What is larger than the ring may begin when that is empty.
   */
  askRoom(bytes: number): boolean {
    if (this.#hasRoom(bytes)) return true;
    this.#askedBytes = Math.max(this.#askedBytes, bytes);
    return false;
  }

  /** Somebody waits for the room that `askRoom` did not find. */
  get isRoomAsked(): boolean {
    return this.#askedBytes > 0;
  }

  /**
   * Looks where the readers are now.
   * @returns whether the ring is far ahead of one, or has not the room that is asked for.
   */
  checkReaders(): boolean {
    if (this.#isFarAhead) this.#lookAhead();
    if (this.#askedBytes > 0 && this.#hasRoom(this.#askedBytes)) this.#askedBytes = 0;
    return this.#isFarAhead || this.#askedBytes > 0;
  }

  #hasRoom(bytes: number): boolean {
    const capacity = this.capacityBytes;
    const bytesMax = recordBytesMax(capacity);
    let needed = FLUSH_HEADER_BYTES + recordSpace(bytes);
    if (bytes > bytesMax) {
      const more = Math.ceil(bytes / bytesMax) * recordSpace(0) + capacity / RING_FRAGMENT_DIVISOR;
      needed = Math.min(needed + more, capacity);
    } else {
      const roomToEnd = capacity - (this.#headPosition & (capacity - 1));
      if (needed > roomToEnd) needed += roomToEnd;
    }
    if (((this.#headPosition - this.#slowestTail) | 0) + needed <= capacity) return true;
    this.#slowestTail = this.#findSlowestTail();
    return ((this.#headPosition - this.#slowestTail) | 0) + needed <= capacity;
  }

  #lookAhead(): void {
    this.#slowestTail = this.#findSlowestTail();
    this.#lead.onTail(this.#slowestTail, this.#headPosition);
    const max = this.#isFarAhead ? RING_LEAD_WORK_MAX >> 1 : RING_LEAD_WORK_MAX;
    this.#isFarAhead = this.#lead.work > max;
  }

  /**
   * Lets the readers see what was put, under the next ticket: taken behind everything that led to
   * it, and before the head is stored. @returns false when there was nothing new.
   */
  publish(): boolean {
    if (this.#publishedPosition === this.#headPosition) return false;
    const ticket = (Atomics.add(this.#tickets, 0, 1) + 1) | 0;
    this.#dataWords[(this.#flushIndex >> 2) + FLUSH_TICKET] = ticket;
    this.#publishedPosition = this.#headPosition;
    this.#touchedMask = 0;
    Atomics.store(this.#words, HEAD_WORD, this.#headPosition);
    return true;
  }

  /**
   * To be called when all that was handled is published, before anybody outside is told of it.
   */
  tell(): void {
    Atomics.add(this.#words, TOLD_WORD, 1);
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
   * True when the shard with this index has welcomed the writer of this ring: its own, of this id,
   * may be read.
   */
  isWelcomedBy(shardIndex: number, ringId: number): boolean {
    return Atomics.load(this.#words, WELCOME_WORD + shardIndex) === ringId;
  }

  /** A reader has died: its tail holds nothing any more. */
  removeReader(reader: number): void {
    this.#readerMask &= ~(1 << reader);
  }

  /** A reader that has not begun: it reads from the next flush. Everything put is published. */
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
