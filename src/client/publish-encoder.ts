/** Encodes PUBLISH frames from what a caller gives, and makes nothing else. */
import { ArgumentError } from '../base/errors.js';
import { REMAINING_LENGTH_MAX } from '../base/limits.js';
import { remainingLengthBytes, writeRemainingLength } from '../protocol/publish-frame.js';
import type { Payload } from './message.js';
import { isPayload } from './text.js';

/** Below this many bytes a loop copies faster than `TypedArray.set`, whose call costs 40 ns. */
const LOOP_BYTES = 32;
/** The same for text, whose `write` costs 180 ns. */
const LOOP_CHARACTERS = 24;

/** Bytes of a payload. @throws ArgumentError for what is none. */
export function payloadBytes(payload: Payload): number {
  if (typeof payload === 'string') return Buffer.byteLength(payload);
  if (!isPayload(payload)) {
    throw new ArgumentError('a payload is a string or a Uint8Array; anything else: convert it');
  }
  return payload.length;
}

/**
 * Bytes of the whole frame.
 * @param propertyBytes of the Property Length and the properties; 0 in 3.x.
 * @param bytesMax most that is allowed, at most REMAINING_LENGTH_MAX + 5.
 * @throws ArgumentError when it is longer.
 */
export function publishFrameBytes(
  field: Buffer,
  payloadLength: number,
  qos: number,
  propertyBytes: number,
  bytesMax: number = REMAINING_LENGTH_MAX + 5,
): number {
  const length = field.length + (qos === 0 ? 0 : 2) + propertyBytes + payloadLength;
  const bytes = 1 + (length > REMAINING_LENGTH_MAX ? 5 : remainingLengthBytes(length)) + length;
  if (bytes > bytesMax) {
    throw new ArgumentError(
      `cannot publish ${payloadLength} bytes: the packet would have ${bytes}, at most ` +
        `${bytesMax} are allowed (maxOutgoingPacketBytes)`,
    );
  }
  return bytes;
}

/**
 * Writes one frame to `target` at `at`, which must have room for `publishFrameBytes`.
 * @param packetId written when the QoS in `header` is not 0.
 * @param properties with the Property Length before them; empty in 3.x.
 * @returns the position behind it.
 */
export function writePublish(
  target: Buffer,
  at: number,
  header: number,
  field: Buffer,
  packetId: number,
  properties: Buffer,
  payload: Payload,
  payloadLength: number,
): number {
  const idBytes = (header & 6) === 0 ? 0 : 2;
  const fieldLength = field.length;
  target[at] = header;
  const propertyBytes = properties.length;
  const length = fieldLength + idBytes + propertyBytes + payloadLength;
  let out = writeRemainingLength(target, at + 1, length);
  if (fieldLength < LOOP_BYTES) {
    for (let i = 0; i < fieldLength; i++) target[out + i] = field[i];
  } else {
    target.set(field, out);
  }
  out += fieldLength;
  if (idBytes !== 0) {
    target[out++] = packetId >> 8;
    target[out++] = packetId;
  }
  for (let i = 0; i < propertyBytes; i++) target[out + i] = properties[i];
  out += propertyBytes;
  if (typeof payload === 'string') {
    writeText(target, out, payload, payloadLength);
  } else if (payloadLength < LOOP_BYTES) {
    for (let i = 0; i < payloadLength; i++) target[out + i] = payload[i];
  } else {
    target.set(payload, out);
  }
  return out + payloadLength;
}

/** Writes text that is `length` bytes long in UTF-8. */
function writeText(target: Buffer, at: number, text: string, length: number): void {
  if (length !== text.length) {
    target.write(text, at, length, 'utf8');
  } else if (length > LOOP_CHARACTERS) {
    // As many bytes as characters: it is ASCII, for which latin1 is the same, and a third faster.
    target.write(text, at, length, 'latin1');
  } else {
    for (let i = 0; i < length; i++) target[at + i] = text.charCodeAt(i);
  }
}
