/** Numbers for what records between shards name in one word. */

const WORD_IDS = 2 ** 32;

/** Ids from 1 to 2^32 - 1, given in turn: they begin again at 1, and pass over those in use. */
export class WordIds {
  #next: number;

  /** @param first the first id, 1 to 2^32 - 1; tests begin near the last. */
  constructor(first = 1) {
    this.#next = first;
  }

  /** The next id that `used` does not have. At most as many are looked at as it has, and one. */
  next(used: { has(id: number): boolean }): number {
    let id = this.#next;
    while (used.has(id)) id = following(id);
    this.#next = following(id);
    return id;
  }
}

function following(id: number): number {
  return id + 1 === WORD_IDS ? 1 : id + 1;
}
