/**
 * Packet ids of QoS 2 publications received and not yet released: what makes "exactly once" of
 * them.
 */
import { PACKET_ID_MAX } from '../base/limits.js';

/** Words of the first allocation: 64 bytes, 512 ids in a row. */
const CAPACITY_MIN = 16;
/** Up to this many words an emptied set is kept: the next burst will want it again. */
const CAPACITY_KEPT = 64;

const NO_WORDS = new Int32Array(0);
const NO_TAGS = new Uint16Array(0);

/**
 * A set of packet ids: a bitmap of 2,048 words, of which only a small table is kept. Word w stands
 * in slot w mod capacity as long as one of its bits is set; when another word wants the slot the
 * table doubles. A client that counts its ids up, as clients do, stays at 16 slots; the worst one
 * can reach 12 KiB.
 */
export class IncomingQos2 {
  /** Number of ids in the set, 0 to 65,535. */
  size = 0;
  #words: Int32Array = NO_WORDS;
  /** Which word of the bitmap a slot holds; meaningless while its bits are all 0. */
  #tags: Uint16Array = NO_TAGS;

  /**
   * Notes a PUBLISH.
   * @returns false when its id is there already: a duplicate, not to be routed again.
   */
  add(packetId: number): boolean {
    const word = packetId >>> 5;
    const bit = 1 << (packetId & 31);
    let slot = word & (this.#words.length - 1);
    while (this.#words.length === 0 || (this.#words[slot] !== 0 && this.#tags[slot] !== word)) {
      this.#grow();
      slot = word & (this.#words.length - 1);
    }
    const bits = this.#words[slot];
    if ((bits & bit) !== 0) return false;
    this.#words[slot] = bits | bit;
    this.#tags[slot] = word;
    this.size++;
    return true;
  }

  /**
   * Notes a PUBREL.
   * @returns false when its id was not there; PUBCOMP is the answer all the same.
   */
  release(packetId: number): boolean {
    if (!this.has(packetId)) return false;
    const slot = (packetId >>> 5) & (this.#words.length - 1);
    this.#words[slot] &= ~(1 << (packetId & 31));
    this.size--;
    if (this.size === 0 && this.#words.length > CAPACITY_KEPT) {
      this.#words = NO_WORDS;
      this.#tags = NO_TAGS;
    }
    return true;
  }

  /** Whether a PUBLISH with this id was received and its PUBREL was not. */
  has(packetId: number): boolean {
    if (this.size === 0) return false;
    const word = packetId >>> 5;
    const slot = word & (this.#words.length - 1);
    return this.#tags[slot] === word && (this.#words[slot] & (1 << (packetId & 31))) !== 0;
  }

  /** The ids, ascending. */
  snapshot(): number[] {
    const ids: number[] = [];
    for (let packetId = 1; ids.length < this.size && packetId <= PACKET_ID_MAX; packetId++) {
      if (this.has(packetId)) ids.push(packetId);
    }
    return ids;
  }

  /** Adds the ids of a snapshot. */
  restore(packetIds: readonly number[]): void {
    for (const packetId of packetIds) this.add(packetId);
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#words.length * 2);
    const words = new Int32Array(capacity);
    const tags = new Uint16Array(capacity);
    for (let slot = 0; slot < this.#words.length; slot++) {
      const tag = this.#tags[slot];
      words[tag & (capacity - 1)] |= this.#words[slot];
      if (this.#words[slot] !== 0) tags[tag & (capacity - 1)] = tag;
    }
    this.#words = words;
    this.#tags = tags;
  }
}
