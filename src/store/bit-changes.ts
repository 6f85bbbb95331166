/** Bits that a cut sets and clears in one session's rows of bits, the last change of each. */
import { BLOCK_BITS } from './keys.js';

const BLOCK_BYTES = BLOCK_BITS / 8;

interface BlockChange {
  readonly set: Uint8Array;
  readonly clear: Uint8Array;
}

export class BitChanges {
  readonly #blocks = new Map<number, BlockChange>();

  /** @param number of the bit; @param value what it is from now on. */
  change(number: number, value: boolean): void {
    const block = Math.floor(number / BLOCK_BITS);
    const changes = this.#block(block);
    const bit = number - block * BLOCK_BITS;
    const mask = 1 << (bit & 7);
    const { set, clear } = value ? changes : { set: changes.clear, clear: changes.set };
    set[bit >> 3] |= mask;
    clear[bit >> 3] &= ~mask;
  }

  /** All bits below this one are clear. The rows of blocks that lie below it as a whole go. */
  clearBelow(number: number): void {
    const block = Math.floor(number / BLOCK_BITS);
    for (const known of this.#blocks.keys()) if (known < block) this.#blocks.delete(known);
    const bits = number - block * BLOCK_BITS;
    if (bits === 0) return;
    const { set, clear } = this.#block(block);
    const bytes = bits >> 3;
    set.fill(0, 0, bytes);
    clear.fill(0xff, 0, bytes);
    const mask = (1 << (bits & 7)) - 1;
    set[bytes] &= ~mask;
    clear[bytes] |= mask;
  }

  blocks(): IterableIterator<number> {
    return this.#blocks.keys();
  }

  /**
   * What a row becomes.
   * @param old as it is on disk; undefined: no bit is set.
   * @returns `old` when nothing changes; undefined when no bit is left.
   */
  apply(block: number, old: Buffer | undefined): Buffer | undefined {
    const changes = this.#blocks.get(block);
    if (changes === undefined) return old;
    const row = Buffer.alloc(BLOCK_BYTES);
    let isChanged = false;
    let isEmpty = true;
    for (let at = 0; at < BLOCK_BYTES; at++) {
      const before = old?.[at] ?? 0;
      const after = (before & ~changes.clear[at]) | changes.set[at];
      row[at] = after;
      if (after !== before) isChanged = true;
      if (after !== 0) isEmpty = false;
    }
    if (!isChanged) return old;
    return isEmpty ? undefined : row;
  }

  #block(block: number): BlockChange {
    let changes = this.#blocks.get(block);
    if (changes === undefined) {
      changes = { set: new Uint8Array(BLOCK_BYTES), clear: new Uint8Array(BLOCK_BYTES) };
      this.#blocks.set(block, changes);
    }
    return changes;
  }
}
