/** The in-flight messages of one receiver: which packet ids are in use, and what each one waits for. */
import { PACKET_ID_MAX } from '../base/limits.js';

/*
 * One 32-bit word a message, in a ring whose first element belongs to the oldest message not acknowledged:
 *
 *   31                              4   3      2     1 0
 *  +---------------------------------+-------+-----+-----+
 *  | when sent, in units of 16 ms    | again |  0  | state|
 *  +---------------------------------+-------+-----+-----+
 *
 * A word of 0 is an acknowledged message that older ones keep in the ring. Packet ids are given in turn,
 * so a message's place is its id's distance from the oldest id: no table from id to message is needed.
 */
/** State: nothing more to come. The whole word is 0 then. */
export const FREE = 0;
/** State: QoS 1, PUBLISH sent. */
export const AWAITING_PUBACK = 1;
/** State: QoS 2, PUBLISH sent. */
export const AWAITING_PUBREC = 2;
/** State: QoS 2, PUBREC received, PUBREL sent. */
export const AWAITING_PUBCOMP = 3;
/** The bits of a word that hold the state. */
export const STATE_MASK = 3;
/** Bit of a word: PUBLISH or PUBREL is to be written again. */
export const AGAIN = 8;
const STAMP_SHIFT = 4;
const STAMP_MASK = 0x0fff_ffff;
const STAMP_UNIT_MS = 16;

/** Words of the first allocation: 64 bytes, which V8 keeps inside its own heap. */
const CAPACITY_MIN = 16;
/** Up to this many words a drained ring is kept: the next burst will want it again. */
const CAPACITY_KEPT = 256;

const NO_WORDS = new Int32Array(0);

/** `milliseconds` of any clock as the stamp bits of a word; never 0, which means "not sent yet". */
export function stampBits(milliseconds: number): number {
  const stamp = Math.floor(milliseconds / STAMP_UNIT_MS) & STAMP_MASK;
  return (stamp === 0 ? 1 : stamp) << STAMP_SHIFT;
}

/** The stamp in a word or in stamp bits; 0: not sent yet. */
function stampOf(bits: number): number {
  return bits >>> STAMP_SHIFT;
}

/** Words by packet id. All methods take constant time but `markAll` and `expire`. */
export class Inflight {
  /** Packet id of the oldest message in the ring, or of the next message when there is none; 1 to 65,535. */
  oldestId = 1;
  /** Messages from the oldest not acknowledged to the newest sent, 0 to 65,535. */
  span = 0;
  /** Messages of the span not acknowledged in full. */
  unacknowledged = 0;
  /** Messages of the span that are marked AGAIN. */
  marked = 0;
  /** Multiples of the time-out that the longest unacknowledged message had passed at the last `expire`. */
  expiriesMax = 0;
  #words: Int32Array = NO_WORDS;
  #head = 0;
  #mask = -1;

  /** The packet id of the next message to be sent: never 0 [MQTT-2.3.1-1], never one in the span. */
  get nextId(): number {
    return this.idAt(this.span);
  }

  /** The packet id of the message `offset` places after the oldest, 0 <= offset < 65,535. */
  idAt(offset: number): number {
    const id = this.oldestId + offset;
    return id > PACKET_ID_MAX ? id - PACKET_ID_MAX : id;
  }

  /** The place of `packetId` in the span, or -1 when it is not in use. Any integer may be asked for. */
  offsetOf(packetId: number): number {
    if (packetId < 1 || packetId > PACKET_ID_MAX) return -1;
    let offset = packetId - this.oldestId;
    if (offset < 0) offset += PACKET_ID_MAX;
    return offset < this.span ? offset : -1;
  }

  /** The word of the message at `offset`, 0 <= offset < span. */
  wordAt(offset: number): number {
    return this.#words[(this.#head + offset) & this.#mask];
  }

  /** Replaces the word of an unacknowledged message by another of an unacknowledged message. */
  setWord(offset: number, word: number): void {
    const slot = (this.#head + offset) & this.#mask;
    this.marked += ((word & AGAIN) - (this.#words[slot] & AGAIN)) >> 3;
    this.#words[slot] = word;
  }

  /** Adds `count` messages with the same word; span + count must not exceed 65,535. */
  open(count: number, word: number): void {
    const from = this.span;
    const to = from + count;
    if (to > this.#words.length) this.#grow(to);
    const words = this.#words;
    const head = this.#head;
    const mask = this.#mask;
    for (let offset = from; offset < to; offset++) words[(head + offset) & mask] = word;
    this.span = to;
    this.unacknowledged += count;
  }

  /**
   * Notes that the unacknowledged message at `offset` is done.
   * @returns by how many messages the span's beginning moved on: 0 when an older one is still open.
   */
  close(offset: number): number {
    const words = this.#words;
    const mask = this.#mask;
    let head = this.#head;
    const slot = (head + offset) & mask;
    if ((words[slot] & AGAIN) !== 0) this.marked--;
    words[slot] = FREE;
    this.unacknowledged--;
    if (offset > 0) return 0;
    const span = this.span;
    let advanced = 0;
    do {
      head = (head + 1) & mask;
      advanced++;
    } while (advanced < span && words[head] === FREE);
    this.oldestId = this.idAt(advanced);
    this.#head = head;
    this.span = span - advanced;
    if (advanced === span && words.length > CAPACITY_KEPT) this.release();
    return advanced;
  }

  /** Marks every unacknowledged message to be written again, as one not yet sent. */
  markAll(): void {
    for (let offset = 0; offset < this.span; offset++) {
      const state = this.wordAt(offset) & STATE_MASK;
      if (state !== FREE) this.setWord(offset, state | AGAIN);
    }
  }

  /**
   * Looks for messages that passed another multiple of `timeoutMs` without an acknowledgement.
   * @param now stamp bits of this look; `before` those of the last one, 0 when there was none.
   * @param mark whether those found are marked AGAIN; they keep their stamp.
   * @returns how many were found, and (in `expiriesMax`) how many multiples the oldest has passed.
   */
  expire(now: number, before: number, timeoutMs: number, mark: boolean): number {
    const timeout = Math.max(1, Math.round(timeoutMs / STAMP_UNIT_MS));
    let found = 0;
    this.expiriesMax = 0;
    for (let offset = 0; offset < this.span; offset++) {
      const word = this.wordAt(offset);
      const sent = stampOf(word);
      if (sent === 0) continue;
      const age = (stampOf(now) - sent) & STAMP_MASK;
      const expiries = Math.floor(age / timeout);
      if (expiries > this.expiriesMax) this.expiriesMax = expiries;
      if (expiries === 0) continue;
      const ageBefore = (stampOf(before) - sent) & STAMP_MASK;
      const known = before !== 0 && ageBefore <= age ? Math.floor(ageBefore / timeout) : 0;
      if (expiries === known) continue;
      found++;
      if (mark) this.setWord(offset, word | AGAIN);
    }
    return found;
  }

  /** Gives the memory of an empty ring back; packet ids go on where they were. */
  release(): void {
    if (this.span > 0) return;
    this.#words = NO_WORDS;
    this.#head = 0;
    this.#mask = -1;
  }

  #grow(needed: number): void {
    let capacity = Math.max(CAPACITY_MIN, this.#words.length);
    while (capacity < needed) capacity *= 2;
    const words = new Int32Array(capacity);
    for (let offset = 0; offset < this.span; offset++) words[offset] = this.wordAt(offset);
    this.#words = words;
    this.#head = 0;
    this.#mask = capacity - 1;
  }
}
