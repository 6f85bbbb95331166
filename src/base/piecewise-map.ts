/**
 * A Map by strings that grows without a pause. A Map of JavaScript that has become too small moves
 * all of its entries at once: of the 65,536 filters of one session that took 4 to 35 ms, in which
 * every client of the shard waits, three times over for what is kept by filter.
 */

/** With so many entries it is divided, which takes 3 ms. */
const DIVIDED_FROM = 8_192;
/** Pieces then; a power of two. */
const PIECES = 64;
/** Characters at either end of a key that say which piece it is in. */
const HASHED_CHARACTERS = 32;

/**
 * Up to DIVIDED_FROM entries are one Map, in the order in which they were put in. More are in many,
 * each of which grows by itself; whoever makes up keys that all fall into one has what a Map is.
 * An iteration is tolerant of changes: it does not yield what was removed, may leave out what was
 * put in meanwhile, and may yield others twice when that divides the map.
 */
export class PiecewiseMap<V> {
  #whole = new Map<string, V>();
  /** Null: all is in `#whole`. */
  #pieces: Map<string, V>[] | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#pieceOf(key).get(key);
  }

  has(key: string): boolean {
    return this.#pieceOf(key).has(key);
  }

  /** @returns whether the key is new. */
  set(key: string, value: V): boolean {
    const piece = this.#pieceOf(key);
    const before = piece.size;
    piece.set(key, value);
    if (piece.size === before) return false;
    this.#size++;
    if (this.#pieces === null && this.#size >= DIVIDED_FROM) this.#divide();
    return true;
  }

  /** @returns false when it was not there. */
  delete(key: string): boolean {
    if (!this.#pieceOf(key).delete(key)) return false;
    if (--this.#size === 0) this.#pieces = null;
    return true;
  }

  *keys(): Generator<string, void, undefined> {
    for (const [key] of this.entries()) yield key;
  }

  *entries(): Generator<[string, V], void, undefined> {
    if (this.#pieces === null) yield* this.#whole;
    // Or it has been divided meanwhile.
    for (const piece of this.#pieces ?? []) yield* piece;
  }

  [Symbol.iterator](): Generator<[string, V], void, undefined> {
    return this.entries();
  }

  #pieceOf(key: string): Map<string, V> {
    return this.#pieces === null ? this.#whole : this.#pieces[placeOf(key)]!;
  }

  #divide(): void {
    this.#pieces = Array.from({ length: PIECES }, () => new Map<string, V>());
    for (const [key, value] of this.#whole) this.#pieceOf(key).set(key, value);
    this.#whole.clear();
  }
}

/** One that is read only. */
export type ReadonlyPiecewiseMap<V> = Pick<
  PiecewiseMap<V>,
  'size' | 'get' | 'has' | 'keys' | 'entries' | typeof Symbol.iterator
>;

/** Which piece a key is in. */
function placeOf(key: string): number {
  const { length } = key;
  let sum = length;
  const headEnd = Math.min(length, HASHED_CHARACTERS);
  for (let at = 0; at < headEnd; at++) sum = (Math.imul(sum, 31) + key.charCodeAt(at)) | 0;
  for (let at = Math.max(headEnd, length - HASHED_CHARACTERS); at < length; at++) {
    sum = (Math.imul(sum, 31) + key.charCodeAt(at)) | 0;
  }
  return (sum ^ (sum >>> 15)) & (PIECES - 1);
}
