/**
 * Where topics that match a filter stand among sorted topics, so that a walk over them passes by
 * those that do not: of a topic it is told where the next one may be that matches. The order is
 * that of bytes, in which a level does not stand together: `a!` lies between `a` and `a/b`.
 */
import { beginsWithDollar, beginsWithWildcard, HASH, levelEnd, PLUS, SLASH } from './topic.js';

/** Before every key. */
export const FIRST_TOPIC = '';
/** Behind all keys that begin with `$`, and before all others that are behind those. */
const BEHIND_DOLLAR = '%';
/** What follows `/`: behind all levels below one. */
const BEHIND_SLASH = '0';

/** The first key behind this one, whatever that may be. */
export function behindTopic(topicKey: string): string {
  return `${topicKey}\0`;
}

/** One filter. */
export class FilterRange {
  readonly filterKey: string;
  /** No topic before it matches. */
  readonly start: string;
  /**
   * Once `admits` was false: no topic before it matches that is behind the one asked about. Null:
   * none behind that one matches.
   */
  next: string | null = FIRST_TOPIC;
  /** A wildcard at the first level does not match topics that begin with `$` [MQTT-4.7.2-1]. */
  readonly #hidesDollar: boolean;

  /** @param filterKey a valid filter. */
  constructor(filterKey: string) {
    this.filterKey = filterKey;
    this.#hidesDollar = beginsWithWildcard(filterKey);
    this.start = startOf(filterKey);
  }

  /** Whether a topic matches; where it does not, `next` says where to go on. */
  admits(topicKey: string): boolean {
    const { filterKey } = this;
    if (this.#hidesDollar && beginsWithDollar(topicKey)) {
      this.next = BEHIND_DOLLAR;
      return false;
    }
    // Where the last level ends that a `+` stands for: what follows that may be another one.
    let plusEnd = -1;
    for (let f = 0, k = 0; ; ) {
      const code = filterKey.charCodeAt(f);
      // `#` stands for any number of levels, none included, which is seen below.
      if (code === HASH) return true;
      const isPlus = code === PLUS;
      const filterEnd = levelEnd(filterKey, f);
      const isLast = filterEnd === filterKey.length;
      let keyEnd: number;
      if (isPlus) {
        keyEnd = levelEnd(topicKey, k);
        plusEnd = keyEnd;
      } else {
        if (!this.#isSameLevel(f, filterEnd, topicKey, k, plusEnd)) return false;
        keyEnd = k + filterEnd - f;
      }
      const isKeyLast = keyEnd === topicKey.length;
      if (isLast) {
        if (!isKeyLast) this.#leave(topicKey, plusEnd);
        return isKeyLast;
      }
      f = filterEnd + 1;
      if (isKeyLast) {
        if (filterKey.charCodeAt(f) === HASH) return true;
        // Between a level and what is below it there are others, which a `+` may stand for.
        this.next = isPlus ? behindTopic(topicKey) : `${topicKey}/`;
        return false;
      }
      k = keyEnd + 1;
    }
  }

  /** Whether the level `[f, filterEnd)` of the filter, no wildcard, is that of the key at `k`. */
  #isSameLevel(f: number, filterEnd: number, key: string, k: number, plusEnd: number): boolean {
    const { filterKey } = this;
    const length = filterEnd - f;
    const isLast = filterEnd === filterKey.length;
    let at = 0;
    while (at < length && filterKey.charCodeAt(f + at) === key.charCodeAt(k + at)) at++;
    if (at < length) {
      const isBehind = key.charCodeAt(k + at) > filterKey.charCodeAt(f + at);
      if (isBehind) this.#leave(key, plusEnd);
      else {
        const level = filterKey.slice(f, filterEnd);
        const isWanted = isLast || filterKey.charCodeAt(filterEnd + 1) === HASH;
        this.next = key.slice(0, k) + (isWanted ? level : `${level}/`);
      }
      return false;
    }
    const end = k + length;
    if (end === key.length) return true;
    const code = key.charCodeAt(end);
    if (code === SLASH) return true;
    // The level goes on: `a!` is before what is below `a`, and `ab` behind it.
    if (code < SLASH && !isLast) this.next = `${key.slice(0, end)}/`;
    else this.#leave(key, plusEnd);
    return false;
  }

  /** Nothing more below the level that ends there. */
  #leave(key: string, plusEnd: number): void {
    this.next = plusEnd < 0 ? null : key.slice(0, plusEnd) + BEHIND_SLASH;
  }
}

/** What the topics that match a filter begin with. */
function startOf(filterKey: string): string {
  for (let f = 0; f < filterKey.length; f = levelEnd(filterKey, f) + 1) {
    const code = filterKey.charCodeAt(f);
    if (code === PLUS) return filterKey.slice(0, f);
    if (code === HASH) return filterKey.slice(0, Math.max(0, f - 1));
  }
  return filterKey;
}
