/** Keys of Maps that clients choose. */
import { createHash } from 'node:crypto';

/**
 * Longest string that V8 hashes; of a longer one it takes the length for the hash, so that a Map
 * with thousands of them, as long as each other, compares a key with all of theirs.
 */
const HASHED_LENGTH_MAX = 16_383;

/**
 * What to keep an MQTT string under in a Map: itself or, when it is too long to be hashed, its
 * SHA-256 behind a U+0000, which stands in no MQTT string [MQTT-1.5.3-2].
 */
export function tableKey(text: string): string {
  if (text.length <= HASHED_LENGTH_MAX) return text;
  return `\0${createHash('sha256').update(text).digest('base64')}`;
}
