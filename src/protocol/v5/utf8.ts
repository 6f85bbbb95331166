/** UTF-8 encoded strings of MQTT 5.0 [MQTT 5.0, 1.5.4], checked in place. */

/** What `checkUtf8` says of a string. */
export const Utf8Fault = {
  none: 0,
  /** Not UTF-8: cut short, overlong, a surrogate, past U+10FFFF [MQTT-1.5.4-1]. */
  illFormed: 1,
  /** It holds U+0000 [MQTT-1.5.4-2]. */
  nul: 2,
} as const;
export type Utf8Fault = (typeof Utf8Fault)[keyof typeof Utf8Fault];

/**
 * Checks that the bytes [start, end) are a UTF-8 encoded string of MQTT. Allocates nothing: Node's
 * `isUtf8` would need a view for each string. U+FEFF is a character like any other [MQTT-1.5.4-3].
 */
export function checkUtf8(bytes: Uint8Array, start: number, end: number): Utf8Fault {
  let at = start;
  while (at < end) {
    const byte = bytes[at];
    if (byte === 0) return Utf8Fault.nul;
    if (byte < 0x80) {
      at++;
      continue;
    }
    const length = sequenceLength(bytes, at, end);
    if (length === 0) return Utf8Fault.illFormed;
    at += length;
  }
  return Utf8Fault.none;
}

/**
 * Bytes of the character at `at`, whose first byte is not ASCII: 2 to 4; 0 when it is none. Table
 * 3-7 of the Unicode standard: only the second byte's range depends on the first one.
 */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at];
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (at + length > end) return 0;
  const second = bytes[at + 1];
  let low = 0x80;
  let high = 0xbf;
  if (first === 0xe0) low = 0xa0;
  else if (first === 0xed) high = 0x9f;
  else if (first === 0xf0) low = 0x90;
  else if (first === 0xf4) high = 0x8f;
  if (second < low || second > high) return 0;
  for (let next = at + 2; next < at + length; next++) {
    if ((bytes[next] & 0xc0) !== 0x80) return 0;
  }
  return length;
}
