/**
 * Rewrites PUBLISH frames: header bytes, packet ids, QoS. The input is trusted (a scan has checked it),
 * and `target` must have room: nothing here looks at its length.
 */

import { invariant } from '../base/assert.js';
import { REMAINING_LENGTH_MAX, STRING_BYTES_MAX } from '../base/limits.js';
import { PUBLISH, QOS_MASK } from './fixed-header.js';

/** The end of the whole frame that begins at `position`. Trusted input. */
export function frameEnd(buffer: Buffer, position: number): number {
  let at = position + 1;
  let byte = buffer[at++];
  let length = byte & 0x7f;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    byte = buffer[at++];
    length |= (byte & 0x7f) << shift;
  }
  return at + length;
}

/** Where the body (behind the remaining length) of the frame at `position` begins. Trusted input. */
function bodyOf(buffer: Buffer, position: number): number {
  let at = position + 1;
  while (buffer[at] >= 0x80) at++;
  return at + 1;
}

/**
 * Copies the run [start, end) of `source` to `target` at `at`, every frame's first byte set to `header`,
 * which must have the QoS of the run.
 * @returns the end in `target`: `at + end - start`.
 */
export function copyRunWithHeader(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
  header: number,
): number {
  source.copy(target, at, start, end);
  const stop = at + end - start;
  for (let position = at; position < stop; position = frameEnd(target, position)) {
    target[position] = header;
  }
  return stop;
}

/**
 * Copies at most `count` frames of the QoS 1 or 2 run [start, end) to `target` at `at`, every first byte
 * set to `header` (whose QoS must be the run's or the other of 1 and 2), the packet ids to
 * `firstPacketId` and the following ones; 1 follows 65,535.
 * @returns the position in `source` behind the last frame copied; as many bytes were written.
 */
export function copyRunWithIds(
  source: Buffer,
  start: number,
  end: number,
  count: number,
  target: Buffer,
  at: number,
  header: number,
  firstPacketId: number,
): number {
  let sourceEnd = start;
  for (let left = count; left > 0 && sourceEnd < end; left--)
    sourceEnd = frameEnd(source, sourceEnd);
  source.copy(target, at, start, sourceEnd);
  const body = bodyOf(source, start);
  const idOffset = 2 + ((source[body] << 8) | source[body + 1]);
  const stop = at + sourceEnd - start;
  let packetId = firstPacketId;
  for (let position = at; position < stop; position = frameEnd(target, position)) {
    target[position] = header;
    const id = bodyOf(target, position) + idOffset;
    target[id] = packetId >> 8;
    target[id + 1] = packetId;
    packetId = packetId === 0xffff ? 1 : packetId + 1;
  }
  return sourceEnd;
}

/**
 * Copies the QoS 1 or 2 run [start, end) to `target` at `at` as QoS 0: without packet ids, DUP and RETAIN.
 * @returns the end in `target`; two or three bytes a frame fewer than the source has are written.
 */
export function copyRunAsQos0(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): number {
  const topicBytes = topicFieldBytes(source, bodyOf(source, start));
  let out = at;
  for (let position = start; position < end; ) {
    const body = bodyOf(source, position);
    const next = frameEnd(source, position);
    const id = body + topicBytes;
    target[out++] = PUBLISH;
    out = writeRemainingLength(target, out, next - body - 2);
    source.copy(target, out, body, id);
    out += topicBytes;
    source.copy(target, out, id + 2, next);
    out += next - id - 2;
    position = next;
  }
  return out;
}

/** Bytes of the topic with the two length bytes before it. */
function topicFieldBytes(buffer: Buffer, body: number): number {
  return 2 + ((buffer[body] << 8) | buffer[body + 1]);
}

/** Writes a remaining length in its shortest form. @returns the position behind it. */
export function writeRemainingLength(target: Buffer, at: number, length: number): number {
  let out = at;
  let rest = length;
  while (rest >= 0x80) {
    target[out++] = (rest & 0x7f) | 0x80;
    rest >>= 7;
  }
  target[out++] = rest;
  return out;
}

/** Bytes that a remaining length takes in its shortest form, 1 to 4. */
export function remainingLengthBytes(length: number): number {
  if (length < 0x80) return 1;
  if (length < 0x4000) return 2;
  return length < 0x20_0000 ? 3 : 4;
}

/**
 * Makes one PUBLISH frame.
 * @param topicKey the latin1 view of the topic's UTF-8 bytes.
 * @param packetId written when the QoS in `header` is not 0, else ignored.
 * @throws Error when topic or packet would be longer than MQTT can say: the caller's to prevent.
 */
export function encodePublish(
  topicKey: string,
  payload: Uint8Array,
  header: number,
  packetId: number,
): Buffer {
  const idBytes = (header & QOS_MASK) !== 0 ? 2 : 0;
  const topicLength = topicKey.length;
  const length = 2 + topicLength + idBytes + payload.length;
  invariant(topicLength <= STRING_BYTES_MAX, 'a topic is at most 65,535 bytes');
  invariant(length <= REMAINING_LENGTH_MAX, 'a packet is at most 268,435,455 bytes');
  const frame = Buffer.allocUnsafe(1 + remainingLengthBytes(length) + length);
  frame[0] = header;
  let at = writeRemainingLength(frame, 1, length);
  frame[at++] = topicLength >> 8;
  frame[at++] = topicLength;
  at += frame.write(topicKey, at, topicLength, 'latin1');
  if (idBytes !== 0) {
    frame[at++] = packetId >> 8;
    frame[at++] = packetId;
  }
  frame.set(payload, at);
  return frame;
}
