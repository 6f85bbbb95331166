/**
 * Addresses whose clients were refused lately: the more, the longer the next ones wait for their
 * refusal. Who is accepted never waits, from whatever address.
 */
import {
  PROMPT_REFUSALS,
  REFUSAL_DELAY_MS,
  REFUSAL_DELAY_MS_MAX,
  REFUSALS_HALF_LIFE_MS,
  REFUSED_ADDRESSES_MAX,
} from '../base/limits.js';
import { addressKey } from '../transport/address-key.js';

interface Refusals {
  /** How many, those long ago counting for less. */
  readonly count: number;
  readonly at: number;
}

/** One a shard. */
export class RefusedAddresses {
  /** Who was refused last stands last. */
  readonly #refusals = new Map<bigint, Refusals>();

  /** Addresses that are remembered. */
  get size(): number {
    return this.#refusals.size;
  }

  /**
   * Notes a refusal.
   * @param now milliseconds of any clock that does not go back.
   * @returns milliseconds that it is to wait; 0 for none.
   */
  add(address: string, now: number): number {
    const key = addressKey(address);
    const earlier = this.#refusals.get(key) ?? { count: 0, at: now };
    const count = earlier.count * 0.5 ** ((now - earlier.at) / REFUSALS_HALF_LIFE_MS) + 1;
    this.#refusals.delete(key);
    this.#refusals.set(key, { count, at: now });
    if (this.#refusals.size > REFUSED_ADDRESSES_MAX) this.#forgetOldest();
    const beyond = Math.floor(count) - PROMPT_REFUSALS;
    return beyond <= 0 ? 0 : Math.min(REFUSAL_DELAY_MS * 2 ** (beyond - 1), REFUSAL_DELAY_MS_MAX);
  }

  #forgetOldest(): void {
    for (const key of this.#refusals.keys()) {
      this.#refusals.delete(key);
      return;
    }
  }
}
