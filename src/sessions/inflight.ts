/**
 * The in-flight messages of one receiver: which packet ids are in use, and what each one waits for.
 */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';

/*
 * One 32-bit word a message, in a ring whose first element belongs to the oldest message not
 * acknowledged:
 *
 *   31                             4    3      2    1   0
 *  +--------------------------------+-------+-----+-------+
 *  |  when sent, in units of 16 ms  | again |  0  | state |
 *  +--------------------------------+-------+-----+-------+
 *
 * A word of 0 is an acknowledged message that older ones keep in the ring. Packet ids are given in
 * turn, so a message's place is its id's distance from the oldest id: no table from id to message
 * is needed.
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
/** By state: what it waits for. */
const AWAITED: readonly string[] = ['nothing', 'PUBACK', 'PUBREC', 'PUBCOMP'];
const STAMP_SHIFT = 4;
const STAMP_MASK = 0x0fff_ffff;
/** What stamps are exact to. */
export const STAMP_UNIT_MS = 16;

/** Words of the first allocation: 64 bytes, which V8 keeps inside its own heap. */
const CAPACITY_MIN = 16;

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

/** Units from stamp `from` to stamp `to`, less than 24 days apart; 0 when `to` is the earlier. */
function unitsBetween(from: number, to: number): number {
  const units = (to - from) & STAMP_MASK;
  return units > STAMP_MASK >> 1 ? 0 : units;
}

/**
 * Words by packet id. All methods take constant time but `markAll` and `expire`. The ring doubles
 * when it is full, and halves when it has gone round once without having been more than a quarter
 * full.
 */
export class Inflight {
  /**
   * Packet id of the oldest message in the ring, or of the next message when there is none; 1 to
   * 65,535.
   */
  oldestId = 1;
  /** Messages from the oldest not acknowledged to the newest sent, 0 to 65,535. */
  span = 0;
  /** Messages of the span not acknowledged in full. */
  unacknowledged = 0;
  /** Messages of the span that are marked AGAIN. */
  marked = 0;
  /**
   * Multiples of the time-out that the longest unacknowledged message had passed at the last
   * `expire`.
   */
  expiriesMax = 0;
  #words: Int32Array = NO_WORDS;
  #head = 0;
  #mask = -1;
  /** The largest span since the ring last went round. */
  #peak = 0;

  /**
   * The packet id of the next message to be sent: never 0 [MQTT-2.3.1-1], never one in the span.
   */
  get nextId(): number {
    return this.idAt(this.span);
  }

  /** The packet id of the message `offset` places after the oldest, 0 <= offset < 65,535. */
  idAt(offset: number): number {
    const id = this.oldestId + offset;
    return id > PACKET_ID_MAX ? id - PACKET_ID_MAX : id;
  }

  /**
   * The place of `packetId` in the span, or -1 when it is not in use. Any integer may be asked for.
   */
  offsetOf(packetId: number): number {
    if (packetId < 1 || packetId > PACKET_ID_MAX) return -1;
    let offset = packetId - this.oldestId;
    if (offset < 0) offset += PACKET_ID_MAX;
    return offset < this.span ? offset : -1;
  }

  /**
   * An ack has come that the delivery of `packetId` does not wait for. One that is late is of an id
   * not in use, and harmless: ids are used again in turn, and a client acknowledges in order.
   * @throws ProtocolError when the id is in use [MQTT-4.8.0-1].
   */
  refuseInUse(packetId: number): void {
    const offset = this.offsetOf(packetId);
    const state = offset < 0 ? FREE : this.wordAt(offset) & STATE_MASK;
    if (state === FREE) return;
    const what = `an ack of packet id ${packetId}, which waits for ${AWAITED[state]}`;
    throw new ProtocolError('MQTT-4.8.0-1', what, CloseReason.protocolViolation);
  }

  /** The word of the message at `offset`, 0 <= offset < span. */
  wordAt(offset: number): number {
    return this.#words[(this.#head + offset) & this.#mask];
  }

  /** The states of the span. */
  states(): Uint8Array {
    const states = new Uint8Array(this.span);
    for (let offset = 0; offset < this.span; offset++) {
      states[offset] = this.wordAt(offset) & STATE_MASK;
    }
    return states;
  }

  /** Replaces the word of an unacknowledged message; `close` ends one. */
  setWord(offset: number, word: number): void {
    const slot = (this.#head + offset) & this.#mask;
    this.marked += ((word & AGAIN) - (this.#words[slot] & AGAIN)) >> 3;
    this.#words[slot] = word;
  }

  /**
   * Adds `count` messages with the same word, FREE only when an older one is not; span + count must
   * not exceed 65,535.
   */
  open(count: number, word: number): void {
    const from = this.span;
    const to = from + count;
    if (to > this.#words.length) this.#grow(to);
    const words = this.#words;
    const head = this.#head;
    const mask = this.#mask;
    for (let offset = from; offset < to; offset++) words[(head + offset) & mask] = word;
    this.span = to;
    if (to > this.#peak) this.#peak = to;
    if (word !== FREE) this.unacknowledged += count;
  }

  /**
   * Ends the delivery of `packetId`, if it is in `state`.
   * @returns by how many messages the beginning of the span moved on: 0 when an older one is still
   *   open; -1 when there is no such delivery, and nothing changes.
   */
  close(packetId: number, state: number): number {
    const offset = this.offsetOf(packetId);
    if (offset < 0) return -1;
    const words = this.#words;
    const mask = this.#mask;
    const slot = (this.#head + offset) & mask;
    const word = words[slot];
    if ((word & STATE_MASK) !== state) return -1;
    if ((word & AGAIN) !== 0) this.marked--;
    words[slot] = FREE;
    this.unacknowledged--;
    return offset > 0 ? 0 : this.#advance(words, mask);
  }

  /**
   * Ends deliveries from the oldest on, as far as packetIds[from, to) are theirs in turn and they
   * are in `state`: so a client acknowledges that keeps up. As `close` of each, in one go.
   * @returns how many; the span may have moved on further, over what was acknowledged before.
   */
  closeOldest(packetIds: Uint16Array, from: number, to: number, state: number): number {
    const words = this.#words;
    const mask = this.#mask;
    const most = Math.min(to - from, this.span);
    let slot = this.#head;
    let id = this.oldestId;
    let closed = 0;
    while (closed < most && packetIds[from + closed] === id) {
      const word = words[slot];
      if ((word & STATE_MASK) !== state) break;
      if ((word & AGAIN) !== 0) this.marked--;
      words[slot] = FREE;
      slot = (slot + 1) & mask;
      id = id === PACKET_ID_MAX ? 1 : id + 1;
      closed++;
    }
    this.unacknowledged -= closed;
    if (closed > 0) this.#advance(words, mask, closed);
    return closed;
  }

  /**
   * Moves the beginning of the span over what is acknowledged, `known` messages at least.
   * @returns by how many messages.
   */
  #advance(words: Int32Array, mask: number, known = 1): number {
    const span = this.span;
    const from = this.#head;
    let head = (from + known) & mask;
    let advanced = known;
    while (advanced < span && words[head] === FREE) {
      head = (head + 1) & mask;
      advanced++;
    }
    this.oldestId = this.idAt(advanced);
    this.span = span - advanced;
    this.#head = head;
    if (head <= from) this.#wentRound();
    return advanced;
  }

  /** So many messages are never sent: their packet ids are passed over. Nothing is in flight. */
  pass(count: number): void {
    this.oldestId = ((this.oldestId - 1 + count) % PACKET_ID_MAX) + 1;
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
      const expiries = Math.floor(unitsBetween(sent, stampOf(now)) / timeout);
      if (expiries > this.expiriesMax) this.expiriesMax = expiries;
      if (expiries === 0) continue;
      const known = before === 0 ? 0 : unitsBetween(sent, stampOf(before)) / timeout;
      if (expiries === Math.floor(known)) continue;
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
    this.#peak = 0;
  }

  #wentRound(): void {
    const capacity = this.#words.length;
    if (capacity > CAPACITY_MIN && this.#peak <= capacity >> 2) this.#resize(capacity >> 1);
    this.#peak = this.span;
  }

  #grow(needed: number): void {
    let capacity = Math.max(CAPACITY_MIN, this.#words.length);
    while (capacity < needed) capacity *= 2;
    this.#resize(capacity);
  }

  #resize(capacity: number): void {
    const words = new Int32Array(capacity);
    for (let offset = 0; offset < this.span; offset++) words[offset] = this.wordAt(offset);
    this.#words = words;
    this.#head = 0;
    this.#mask = capacity - 1;
  }
}
