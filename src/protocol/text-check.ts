/** UTF-8 encoded strings of MQTT 3.1 and 3.1.1 [MQTT 3.1.1, 1.5.3], checked in place. */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../base/errors.js';

/**
 * Checks that the bytes [start, end) are UTF-8 [MQTT-1.5.3-1] without U+0000 [MQTT-1.5.3-2].
 * @param what names the field in the error.
 * @returns whether they are ASCII.
 * @throws ProtocolError when they are not.
 */
export function checkText(bytes: Buffer, start: number, end: number, what: string): boolean {
  let seen = 0;
  let hasNul = false;
  for (let index = start; index < end; index++) {
    const byte = bytes[index]!;
    seen |= byte;
    if (byte === 0) hasNul = true;
  }
  // Without surrogates and overlong forms, as isUtf8 has it.
  if (seen >= 0x80 && !isUtf8(bytes.subarray(start, end))) {
    throw new ProtocolError('MQTT-1.5.3-1', `${what} is not valid UTF-8`);
  }
  if (hasNul) throw new ProtocolError('MQTT-1.5.3-2', `${what} contains U+0000`);
  return seen < 0x80;
}
