/**
 * What the members of a group of a Shared Subscription have got between them: every message of each
 * publisher once. A group's members are in one thread.
 */

/** Bytes for which room is made at first, a bit a message. */
const SEEN_BYTES = 1_024;

/** Sequences of one publisher from `base` on; they are 32 bits and wrap. */
interface Seen {
  base: number;
  count: number;
  bits: Uint8Array;
}

/** Of one group, for a range of publishers. */
export class GroupCheck {
  readonly #seen: Seen[];

  constructor(publisherCount: number) {
    this.#seen = Array.from({ length: publisherCount }, () => ({
      base: 0,
      count: 0,
      bits: new Uint8Array(SEEN_BYTES),
    }));
  }

  /** A member has got a message. @returns false when it was got before, or given up for lost. */
  take(index: number, sequence: number): boolean {
    const seen = this.#seen[index];
    const at = (sequence - seen.base) | 0;
    if (at < 0) return false;
    if (at >> 3 >= seen.bits.length) {
      const larger = new Uint8Array(2 * ((at >> 3) + 1));
      larger.set(seen.bits);
      seen.bits = larger;
    }
    const bit = 1 << (at & 7);
    if ((seen.bits[at >> 3] & bit) !== 0) return false;
    seen.bits[at >> 3] |= bit;
    seen.count++;
    return true;
  }

  /** @param totals messages sent so far, by publisher of the load. */
  isComplete(totals: Float64Array, firstPublisher: number): boolean {
    return this.#seen.every(
      ({ base, count }, index) => ((base + count) | 0) === (totals[firstPublisher + index] | 0),
    );
  }

  /**
   * Messages of a publisher that none has got and that count as lost from now on.
   * @param total messages it has sent so far.
   */
  takeLost(index: number, total: number): number {
    const seen = this.#seen[index];
    const lost = ((total | 0) - seen.base - seen.count) | 0;
    seen.base = total | 0;
    seen.count = 0;
    seen.bits.fill(0);
    return Math.max(0, lost);
  }
}
