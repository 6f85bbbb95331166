/**
 * Topic names and topic filters: validity, wildcards, and a plain matcher (MQTT 3.1.1, section
 * 4.7).
 *
 * A *topic key* is the latin1 view of the UTF-8 bytes of a name or filter: one character a byte,
 * unique per byte sequence [MQTT-4.7.3-4], and made without decoding. `/`, `+`, `#` and `$` are
 * ASCII, so all rules below work on keys as they do on ordinary strings.
 */
import { isUtf8 } from 'node:buffer';
import { STRING_BYTES_MAX, TOPIC_LEVELS_MAX } from '../base/limits.js';

/**
 * Character code of `#`, as of the others below. In a valid filter a wildcard is alone in its
 * level.
 */
export const HASH = 0x23;
export const PLUS = 0x2b;
export const SLASH = 0x2f;
const NUL = 0x00;
const DOLLAR = 0x24;

/** The topic key of an ordinary string. A lone surrogate becomes U+FFFD, as UTF-8 cannot say it. */
export function toTopicKey(text: string): string {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) >= 0x80) return Buffer.from(text, 'utf8').toString('latin1');
  }
  return text;
}

/** The ordinary string of a topic key; a leading U+FEFF is kept [MQTT-1.5.3-3]. */
export function fromTopicKey(key: string): string {
  return Buffer.from(key, 'latin1').toString('utf8');
}

/**
 * Whether the bytes [start, end) may be a topic name or filter: valid UTF-8 without surrogates
 * [MQTT-1.5.3-1] and without NUL [MQTT-1.5.3-2] [MQTT-4.7.3-2]. Wildcards are not looked at.
 */
export function isUtf8TopicBytes(buffer: Buffer, start: number, end: number): boolean {
  let seen = 0;
  for (let i = start; i < end; i++) {
    const byte = buffer[i]!;
    if (byte === NUL) return false;
    seen |= byte;
  }
  // Most topics are ASCII, and those are done here without a view of the buffer being made.
  return seen < 0x80 || isUtf8(buffer.subarray(start, end));
}

/**
 * Whether `topicKey` may be published to: 1 to 65,535 bytes [MQTT-4.7.3-1] [MQTT-4.7.3-3], no NUL
 * [MQTT-4.7.3-2], no wildcard [MQTT-3.3.2-2] [MQTT-4.7.1-1], at most TOPIC_LEVELS_MAX levels.
 */
export function isValidTopicName(topicKey: string): boolean {
  const length = topicKey.length;
  if (length === 0 || length > STRING_BYTES_MAX) return false;
  let levels = 1;
  for (let i = 0; i < length; i++) {
    const code = topicKey.charCodeAt(i);
    if (code === SLASH) levels++;
    else if (code === PLUS || code === HASH || code === NUL) return false;
  }
  return levels <= TOPIC_LEVELS_MAX;
}

/**
 * Whether `filterKey` may be subscribed to: 1 to 65,535 bytes [MQTT-4.7.3-1] [MQTT-4.7.3-3], no NUL
 * [MQTT-4.7.3-2], `#` only as the whole last level [MQTT-4.7.1-2], `+` only as a whole level
 * [MQTT-4.7.1-3], at most TOPIC_LEVELS_MAX levels.
 *
 * By searches instead of a look at each character: a filter of 200 takes a tenth of the time, and
 * each of 100,000 is looked at by every shard when their session moves.
 */
export function isValidTopicFilter(filterKey: string): boolean {
  const { length } = filterKey;
  if (length === 0 || length > STRING_BYTES_MAX || filterKey.includes('\0')) return false;
  for (let at = filterKey.indexOf('+'); at >= 0; at = filterKey.indexOf('+', at + 1)) {
    if (!opensLevel(filterKey, at)) return false;
    if (at < length - 1 && filterKey.charCodeAt(at + 1) !== SLASH) return false;
  }
  const hash = filterKey.indexOf('#');
  if (hash >= 0 && (hash < length - 1 || !opensLevel(filterKey, hash))) return false;
  let levels = 1;
  for (let at = filterKey.indexOf('/'); at >= 0; at = filterKey.indexOf('/', at + 1)) levels++;
  return levels <= TOPIC_LEVELS_MAX;
}

function opensLevel(key: string, at: number): boolean {
  return at === 0 || key.charCodeAt(at - 1) === SLASH;
}

/** Whether a valid filter holds `+` or `#`: one that does not matches exactly one topic name. */
export function hasWildcard(filterKey: string): boolean {
  return filterKey.includes('+') || filterKey.includes('#');
}

/**
 * Whether a valid filter begins with `+` or `#`, so that it does not match `$` topics
 * [MQTT-4.7.2-1].
 */
export function beginsWithWildcard(filterKey: string): boolean {
  const code = filterKey.charCodeAt(0);
  return code === PLUS || code === HASH;
}

/** Whether a topic is hidden from filters that begin with a wildcard [MQTT-4.7.2-1]. */
export function beginsWithDollar(topicKey: string): boolean {
  return topicKey.charCodeAt(0) === DOLLAR;
}

/**
 * Whether a valid filter matches a valid topic name, written as section 4.7 reads: what the trees
 * are tested against, and good enough where a handful of filters is looked through.
 */
export function matches(filterKey: string, topicKey: string): boolean {
  const filterLevels = filterKey.split('/');
  const topicLevels = topicKey.split('/');
  const beginsWithWildcard = filterLevels[0] === '+' || filterLevels[0] === '#';
  if (beginsWithWildcard && topicKey.startsWith('$')) return false;
  for (let i = 0; i < filterLevels.length; i++) {
    // `#` stands for any number of levels, none included: `a/#` matches `a`.
    if (filterLevels[i] === '#') return true;
    if (i >= topicLevels.length) return false;
    if (filterLevels[i] !== '+' && filterLevels[i] !== topicLevels[i]) return false;
  }
  return filterLevels.length === topicLevels.length;
}

/** As `matches`, without garbage: for a filter that is looked at for each of many topics. */
export function matchesKey(filterKey: string, topicKey: string): boolean {
  if (beginsWithDollar(topicKey) && beginsWithWildcard(filterKey)) return false;
  return matchesTail(filterKey, 0, topicKey, 0);
}

/** Where the level that begins at `start` ends: at the next `/`, or with the key. */
export function levelEnd(key: string, start: number): number {
  const slash = key.indexOf('/', start);
  return slash < 0 ? key.length : slash;
}

/**
 * Whether the levels of `filterKey` from `filterStart` on match those of `topicKey` from
 * `topicStart` on. Both starts are at the beginning of a level, or one past the end of a key that
 * has no more levels.
 */
export function matchesTail(
  filterKey: string,
  filterStart: number,
  topicKey: string,
  topicStart: number,
): boolean {
  const filterEnd = filterKey.length;
  const topicEnd = topicKey.length;
  if (filterStart > filterEnd) return topicStart > topicEnd;
  if (topicStart > topicEnd) return filterKey.charCodeAt(filterStart) === HASH;
  let t = topicStart;
  // A wildcard is alone in its level, so both walks are at the beginning of a level when one is
  // met.
  for (let f = filterStart; f < filterEnd; f++) {
    const code = filterKey.charCodeAt(f);
    if (code === PLUS) {
      while (t < topicEnd && topicKey.charCodeAt(t) !== SLASH) t++;
    } else if (code === HASH) {
      return true;
    } else if (t < topicEnd) {
      if (topicKey.charCodeAt(t) !== code) return false;
      t++;
    } else {
      // The topic has ended: what is left of the filter may only be `/#`.
      return code === SLASH && filterKey.charCodeAt(f + 1) === HASH;
    }
  }
  return t === topicEnd;
}
