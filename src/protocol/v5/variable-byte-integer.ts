/** Variable Byte Integers of MQTT 5.0, in one to four bytes [MQTT 5.0, 1.5.5]. */
import { remainingLengthBytes, writeRemainingLength } from '../publish-frame.js';

/** Greatest value of a Variable Byte Integer. */
export const VARIABLE_BYTE_INTEGER_MAX = 268_435_455;

/** What `variableByteIntegerEnd` says of bytes that are none. */
export const VariableByteIntegerFault = {
  /** The bytes end before it does. */
  cutShort: -1,
  /** It goes on behind its fourth byte, or takes more bytes than it needs [MQTT-1.5.5-1]. */
  illFormed: -2,
} as const;

/**
 * The position behind the Variable Byte Integer at `at`, checked within [at, end).
 * @returns a VariableByteIntegerFault, below 0, when there is none.
 */
export function variableByteIntegerEnd(bytes: Uint8Array, at: number, end: number): number {
  const last = at + 3;
  let position = at;
  for (;;) {
    if (position >= end) return VariableByteIntegerFault.cutShort;
    const byte = bytes[position];
    if (byte < 0x80) break;
    if (position === last) return VariableByteIntegerFault.illFormed;
    position++;
  }
  if (position > at && bytes[position] === 0) return VariableByteIntegerFault.illFormed;
  return position + 1;
}

/** The value of the checked Variable Byte Integer at `at`, 0 to VARIABLE_BYTE_INTEGER_MAX. */
export function variableByteIntegerAt(bytes: Uint8Array, at: number): number {
  let byte = bytes[at];
  let value = byte & 0x7f;
  for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
    byte = bytes[at + shift / 7];
    value |= (byte & 0x7f) << shift;
  }
  return value;
}

/** Bytes that a value takes, 1 to 4: the fewest that will do [MQTT-1.5.5-1]. */
export const variableByteIntegerBytes: (value: number) => number = remainingLengthBytes;

/** Writes a value in the fewest bytes. @returns the position behind it. */
export const writeVariableByteInteger: (target: Buffer, at: number, value: number) => number =
  writeRemainingLength;
