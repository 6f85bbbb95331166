/**
 * Hashes of topic keys and of their levels, made in one pass. A hash is the sum of its characters,
 * each times a random number for its position: two strings that nobody chose knowing those numbers
 * collide as seldom as chance has it, so a client cannot make up filters that pile up in one place
 * of a table.
 */
import { randomFillSync } from 'node:crypto';
import { STRING_BYTES_MAX, TOPIC_LEVELS_MAX } from '../base/limits.js';
import { levelEnd, SLASH } from './topic.js';

/**
 * A random multiplier for each position in a level, and behind them one for each level in a key.
 * None is used for two positions, as keys with these two characters swapped would have the same
 * hash.
 */
const MULTIPLIERS = randomFillSync(new Int32Array(STRING_BYTES_MAX + TOPIC_LEVELS_MAX));
const LEVEL_MULTIPLIERS = STRING_BYTES_MAX;

/**
 * Spreads what the low bits lack (they depend on fewer bits of the characters) over all 32 bits.
 */
export function mixHash(sum: number): number {
  const spread = Math.imul(sum ^ (sum >>> 16), 0x7feb352d);
  return Math.imul(spread ^ (spread >>> 15), 0x846ca68b);
}

/** The hash of the level `key[start, end)`, not mixed. */
export function hashLevel(key: string, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) {
    sum = (sum + Math.imul(MULTIPLIERS[i - start]!, key.charCodeAt(i))) | 0;
  }
  return sum;
}

/**
 * The hash of a whole key, not mixed: of its levels' hashes, as that of a level is of its
 * characters.
 */
export function hashKey(key: string): number {
  let sum = 0;
  let depth = 0;
  for (let start = 0; start <= key.length; depth++) {
    const end = levelEnd(key, start);
    sum =
      (sum + Math.imul(MULTIPLIERS[LEVEL_MULTIPLIERS + depth]!, hashLevel(key, start, end))) | 0;
    start = end + 1;
  }
  return sum;
}

/** A topic taken apart. One object is used again for every topic. */
export class TopicLevels {
  count = 0;
  /** Where each level begins, and at last one past the end of the key. */
  readonly starts = new Int32Array(TOPIC_LEVELS_MAX + 1);
  /** `hashLevel` of each level. */
  readonly hashes = new Int32Array(TOPIC_LEVELS_MAX);
  /** `hashKey` of the topic. */
  wholeHash = 0;

  /**
   * Takes a valid topic name apart. One loop, as reading a character costs more than what is done
   * with it.
   */
  split(topicKey: string): void {
    const { starts, hashes } = this;
    const length = topicKey.length;
    let count = 0;
    let whole = 0;
    for (let at = 0; at <= length; at++) {
      let level = 0;
      for (let i = 0; at < length; at++, i++) {
        const code = topicKey.charCodeAt(at);
        if (code === SLASH) break;
        level = (level + Math.imul(MULTIPLIERS[i]!, code)) | 0;
      }
      whole = (whole + Math.imul(MULTIPLIERS[LEVEL_MULTIPLIERS + count]!, level)) | 0;
      hashes[count] = level;
      starts[++count] = at + 1;
    }
    this.count = count;
    this.wholeHash = whole;
  }
}
