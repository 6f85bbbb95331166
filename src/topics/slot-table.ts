/**
 * A hash table of numbers in one typed array: open addressing, linear probing, at most half full. A
 * probe that finds nothing touches one cache line, which a JavaScript Map does not manage, and the
 * garbage collector has nothing to look at.
 *
 * It maps tags to references. A tag is a hash: several references may share one, and the caller,
 * who knows what they refer to, tells them apart. Reference 0 means an empty slot.
 */

import { invariant } from '../base/assert.js';

/** Slots are a power of two, never fewer than this. */
const SLOTS_MIN = 8;

export class SlotTable {
  /** Tag and reference of each slot, in turn. Another array after the table has grown or shrunk. */
  words = new Int32Array(2 * SLOTS_MIN);
  /** A search begins at slot `tag >>> shift`, the tag's home, and ends at an empty slot. */
  shift = 32 - Math.log2(SLOTS_MIN);
  #used = 0;

  /** References in the table. */
  get size(): number {
    return this.#used;
  }

  /** Adds a reference (not 0) under a tag. */
  add(tag: number, reference: number): void {
    this.#used++;
    if (4 * this.#used > this.words.length) this.#resize(this.words.length);
    this.#put(tag, reference);
  }

  /** Puts `by` in the place of a reference that is here. */
  replace(tag: number, reference: number, by: number): void {
    this.words[this.#find(tag, reference) + 1] = by;
  }

  /** Removes a reference that is here. */
  remove(tag: number, reference: number): void {
    const { words, shift } = this;
    const mask = words.length - 1;
    let hole = this.#find(tag, reference);
    // Those that were pushed past the hole move back into it, so that no search ends too early.
    for (let at = (hole + 2) & mask; words[at + 1] !== 0; at = (at + 2) & mask) {
      const home = (words[at]! >>> shift) << 1;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      words[hole] = words[at]!;
      words[hole + 1] = words[at + 1]!;
      hole = at;
    }
    words[hole] = 0;
    words[hole + 1] = 0;
    this.#used--;
    const slots = words.length >> 1;
    if (slots > SLOTS_MIN && 8 * this.#used < slots) this.#resize(slots >> 1);
  }

  /** Where in `words` a reference that is here stands. */
  #find(tag: number, reference: number): number {
    const { words } = this;
    let at = (tag >>> this.shift) << 1;
    while (words[at] !== tag || words[at + 1] !== reference) {
      invariant(words[at + 1] !== 0, 'what is removed from a slot table is in it');
      at = (at + 2) & (words.length - 1);
    }
    return at;
  }

  #put(tag: number, reference: number): void {
    const { words } = this;
    let at = (tag >>> this.shift) << 1;
    while (words[at + 1] !== 0) at = (at + 2) & (words.length - 1);
    words[at] = tag;
    words[at + 1] = reference;
  }

  #resize(slots: number): void {
    const old = this.words;
    this.words = new Int32Array(2 * slots);
    this.shift = 32 - Math.log2(slots);
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] !== 0) this.#put(old[at]!, old[at + 1]!);
    }
  }
}
