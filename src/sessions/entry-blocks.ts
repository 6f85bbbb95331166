/**
 * The entries of long queues, in blocks out of a few large arrays outside of V8's heap. Ten
 * thousand queues of absent sessions take a block each for every 32 runs: as arrays of their own
 * these were new objects that live long, copied twice by the garbage collector, which took a third
 * of the shard's time.
 */

/** Entries of a block, a power of two. */
export const BLOCK_ENTRIES = 32;
const BLOCK_SHIFT = 5;
/** Blocks of one array, a power of two: 64 KiB. */
const SLAB_BLOCKS = 256;
const SLAB_SHIFT = 8;
/** Arrays that are empty stay as long as no more blocks than these are free. */
const FREE_BLOCKS_KEPT = 4 * SLAB_BLOCKS;
const NONE = -1;

/** One a shard. A block is named by its number. */
export class EntryBlocks {
  /** Blocks in use. */
  used = 0;
  /** Blocks of arrays that are there and not in use. */
  free = 0;
  readonly #slabs: (Float64Array | null)[] = [];
  /** By array: its first free block, which names the next in place of its first entry. */
  readonly #firstFree: number[] = [];
  readonly #usedOf: number[] = [];
  /** Arrays with a free block, those that were given back among them. */
  readonly #open: number[] = [];

  /** @returns the number of a block, whatever is in it. */
  take(): number {
    const open = this.#open;
    if (open.length === 0) open.push(this.#slabs.push(null) - 1);
    const index = open[open.length - 1]!;
    const slab = this.#slabs[index] ?? this.#make(index);
    const block = this.#firstFree[index]!;
    const next = slab[(block & (SLAB_BLOCKS - 1)) << BLOCK_SHIFT]!;
    this.#firstFree[index] = next;
    if (next === NONE) open.pop();
    this.#usedOf[index]!++;
    this.used++;
    this.free--;
    return block;
  }

  /** Gives a block back. */
  give(block: number): void {
    const index = block >> SLAB_SHIFT;
    const firstFree = this.#firstFree[index]!;
    this.#slabs[index]![(block & (SLAB_BLOCKS - 1)) << BLOCK_SHIFT] = firstFree;
    this.#firstFree[index] = block;
    if (firstFree === NONE) this.#open.push(index);
    this.used--;
    this.free++;
    if (--this.#usedOf[index]! > 0 || this.free <= FREE_BLOCKS_KEPT) return;
    this.#slabs[index] = null;
    this.free -= SLAB_BLOCKS;
  }

  /** Entry `at` of a block, 0 to BLOCK_ENTRIES - 1. */
  get(block: number, at: number): number {
    return this.#slabs[block >> SLAB_SHIFT]![((block & (SLAB_BLOCKS - 1)) << BLOCK_SHIFT) + at]!;
  }

  set(block: number, at: number, entry: number): void {
    this.#slabs[block >> SLAB_SHIFT]![((block & (SLAB_BLOCKS - 1)) << BLOCK_SHIFT) + at] = entry;
  }

  #make(index: number): Float64Array {
    const slab = new Float64Array(SLAB_BLOCKS << BLOCK_SHIFT);
    const first = index << SLAB_SHIFT;
    for (let n = 0; n < SLAB_BLOCKS; n++) {
      slab[n << BLOCK_SHIFT] = n === SLAB_BLOCKS - 1 ? NONE : first + n + 1;
    }
    this.#slabs[index] = slab;
    this.#firstFree[index] = first;
    this.#usedOf[index] = 0;
    this.free += SLAB_BLOCKS;
    return slab;
  }
}
