/**
 * Rewrites runs of PUBLISH frames: header bytes, packet ids, QoS. The input is trusted, since a
 * scan has checked it. `target` must have room for the bytes copied; source and target must not
 * overlap.
 */

import { invariant } from '../base/assert.js';
import { copyBytes } from '../base/copy-bytes.js';
import { RecordError } from '../base/errors.js';
import { PACKET_ID_MAX, REMAINING_LENGTH_MAX, STRING_BYTES_MAX } from '../base/limits.js';
import { PUBLISH, QOS_MASK } from './fixed-header.js';

/** The end of the whole frame that begins at `position`, always behind it. Trusted input. */
export function frameEnd(buffer: Buffer, position: number): number {
  let byte = buffer[position + 1];
  let at = position + 2;
  if (byte < 0x80) return at + byte;
  let length = byte & 0x7f;
  // A length goes on for four bytes at most: beyond, it could turn negative.
  for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
    byte = buffer[at++];
    length |= (byte & 0x7f) << shift;
  }
  return at + length;
}

/**
 * Where the body (behind the remaining length) of the frame at `position` begins. Trusted input.
 */
export function bodyOf(buffer: Buffer, position: number): number {
  let at = position + 1;
  while (buffer[at] >= 0x80) at++;
  return at + 1;
}

/**
 * Copies the run [start, end) of `source` to `target` at `at`, every frame's first byte set to
 * `header`, which must have the QoS of the run (or the other of 1 and 2).
 * @returns the end in `target`: `at + end - start`.
 * @throws RecordError when the last frame does not end where the run does.
 */
export function copyRunWithHeader(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
  header: number,
): number {
  copyRun(source, start, end, target, at);
  const stop = at + end - start;
  let position = at;
  for (; position < stop; position = frameEnd(target, position)) target[position] = header;
  if (position !== stop) throw notARun();
  return stop;
}

/**
 * Copies at most `count` frames of the QoS 1 or 2 run [start, end) to `target` at `at`, every first
 * byte set to `header` (QoS 1 or 2), the packet ids to `firstPacketId` and the following ones; 1
 * follows 65,535.
 * @param isWhole `count` is the number of all frames: it spares looking for the end of the last.
 * @returns the position in `source` behind the last frame copied; as many bytes were written.
 * @throws RecordError when the frames do not end where they should, or are not `count` though
 *   `isWhole`.
 */
export function copyRunWithIds(
  source: Buffer,
  start: number,
  end: number,
  count: number,
  isWhole: boolean,
  target: Buffer,
  at: number,
  header: number,
  firstPacketId: number,
): number {
  let sourceEnd = isWhole ? end : start;
  for (let left = count; left > 0 && sourceEnd < end; left--) {
    sourceEnd = frameEnd(source, sourceEnd);
  }
  if (sourceEnd > end) throw notARun();
  copyRun(source, start, sourceEnd, target, at);
  const idOffset = topicFieldBytes(source, start);
  const stop = at + sourceEnd - start;
  let packetId = firstPacketId;
  let position = at;
  while (position < stop) {
    target[position] = header;
    const next = frameEnd(target, position);
    const id = bodyOf(target, position) + idOffset;
    target[id] = packetId >> 8;
    target[id + 1] = packetId;
    packetId = packetId === PACKET_ID_MAX ? 1 : packetId + 1;
    position = next;
  }
  if (position !== stop || (isWhole && packetId !== idBehind(firstPacketId, count))) {
    throw notARun();
  }
  return sourceEnd;
}

/**
 * Copies the QoS 1 or 2 run [start, end) to `target` at `at` as QoS 0: without packet ids, DUP and
 * RETAIN. `target` needs room for `end - start` bytes though fewer remain.
 * @returns the end in `target`; each frame is two bytes shorter, or three, as its length may take
 *   one less.
 * @throws RecordError when the last frame does not end where the run does.
 */
export function copyRunAsQos0(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): number {
  // The run is copied whole, then closed up in place: copyWithin makes no object, copying a part of
  // another buffer does (60 ns a small frame instead of 400). What lies between two packet ids
  // stays together and moves at once, unless the remaining length between them loses a byte.
  copyRun(source, start, end, target, at);
  const idOffset = topicFieldBytes(source, start);
  const stop = at + end - start;
  let from = at;
  let out = at;
  let position = at;
  while (position < stop) {
    const next = frameEnd(target, position);
    const body = bodyOf(target, position);
    const id = body + idOffset;
    const length = next - body - 2;
    if (body - position - 1 === remainingLengthBytes(length)) {
      target[position] = PUBLISH;
      writeRemainingLength(target, position + 1, length);
    } else {
      target.copyWithin(out, from, position);
      out += position - from;
      target[out++] = PUBLISH;
      out = writeRemainingLength(target, out, length);
      from = body;
    }
    if (out !== from) target.copyWithin(out, from, id);
    out += id - from;
    from = id + 2;
    position = next;
  }
  if (position !== stop) throw notARun();
  target.copyWithin(out, from, stop);
  return out + stop - from;
}

/** The packet id that follows `count` ids from `firstPacketId` on; 1 follows 65,535. */
function idBehind(firstPacketId: number, count: number): number {
  return ((firstPacketId - 1 + count) % PACKET_ID_MAX) + 1;
}

/** What was scanned here cannot be so; what another shard has sent may have been damaged. */
export function notARun(): RecordError {
  return new RecordError('the frames of a run do not end where it does');
}

/** Copies [start, end) of `source` to `target` at `at`. */
function copyRun(source: Buffer, start: number, end: number, target: Buffer, at: number): void {
  invariant(end - start <= target.length - at, 'the target has room for the run');
  copyBytes(source, start, end, target, at);
}

/** Bytes of the topic of the frame at `position`, with the two length bytes before it. */
function topicFieldBytes(buffer: Buffer, position: number): number {
  const body = bodyOf(buffer, position);
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
