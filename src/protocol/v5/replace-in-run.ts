/** Replaces a piece in every frame of a run of PUBLISH frames: the work of a PublishForm. */
import { copyBytes } from '../../base/copy-bytes.js';
import { PACKET_ID_MAX } from '../../base/limits.js';
import { bodyOf, frameEnd, notARun } from '../publish-frame.js';
import { variableByteIntegerBytes, writeVariableByteInteger } from './variable-byte-integer.js';

/** What is replaced in the body of each frame, by what. One is used again and again. */
export interface Replacement {
  /** Bytes at the begin of each body that stay. */
  keptBytes: number;
  /** Bytes behind them that go. */
  cutBytes: number;
  /** [0, insertBytes) takes their place. */
  insert: Buffer;
  insertBytes: number;
  /** Where in `insert` the packet id stands, below 0 for none. */
  packetIdAt: number;
  /** Frames of the run that `replacedLength` has seen last. */
  frames: number;
}

/**
 * Bytes that the run [start, end) takes when it has been replaced in.
 * @throws RecordError when its frames do not end where it does, or before what is to be cut.
 */
export function replacedLength(
  source: Buffer,
  start: number,
  end: number,
  replacement: Replacement,
): number {
  const { keptBytes, cutBytes, insertBytes } = replacement;
  let total = 0;
  let frames = 0;
  let position = start;
  while (position < end) {
    frames++;
    const next = frameEnd(source, position);
    const length = next - bodyOf(source, position);
    if (length < keptBytes + cutBytes) throw notARun();
    total += wholeLength(length - cutBytes + insertBytes);
    position = next;
  }
  if (position !== end) throw notARun();
  replacement.frames = frames;
  return total;
}

/** Bytes of a frame with this remaining length. */
export function wholeLength(remainingLength: number): number {
  return 1 + variableByteIntegerBytes(remainingLength) + remainingLength;
}

/**
 * Writes the run [start, end) of `source`, replaced in, to `target` at `at`.
 *
 * The run is copied whole, and closed up or pulled apart in place, as in `copyRunAsQos0`: what lies
 * between two pieces stays together and moves at once, which costs a third of copying its parts.
 * So that all moves go to the left and none hits what is still to be moved, a run that grows is
 * first copied to the end of its room: all of its frames grow, or all shrink.
 * @param replacedBytes what `replacedLength` has returned for it. `target` needs room for as much,
 *   and for the run as it is.
 * @param header first byte of every frame. @param firstPacketId 1 follows 65,535.
 * @returns the end in `target`.
 */
export function replaceInRun(
  source: Buffer,
  start: number,
  end: number,
  replacement: Replacement,
  replacedBytes: number,
  target: Buffer,
  at: number,
  header: number,
  firstPacketId: number,
): number {
  const { keptBytes, cutBytes, insert, insertBytes, packetIdAt } = replacement;
  const copyAt = at + Math.max(0, replacedBytes - (end - start));
  copyBytes(source, start, end, target, copyAt);
  /** From a position in the source to where it was copied. */
  const shift = copyAt - start;
  let packetId = firstPacketId;
  let out = at;
  /** Begin of what has not been moved to its place yet, in the source. */
  let from = start;
  let position = start;
  while (position < end) {
    const next = frameEnd(source, position);
    const body = bodyOf(source, position);
    const keptEnd = body + keptBytes;
    const length = next - body - cutBytes + insertBytes;
    if (variableByteIntegerBytes(length) === body - position - 1) {
      target.copyWithin(out, from + shift, keptEnd + shift);
      const headAt = out + position - from;
      target[headAt] = header;
      writeVariableByteInteger(target, headAt + 1, length);
      out += keptEnd - from;
    } else {
      target.copyWithin(out, from + shift, position + shift);
      out += position - from;
      target[out] = header;
      out = writeVariableByteInteger(target, out + 1, length);
      target.copyWithin(out, body + shift, keptEnd + shift);
      out += keptBytes;
    }
    copyBytes(insert, 0, insertBytes, target, out);
    if (packetIdAt >= 0) {
      target[out + packetIdAt] = packetId >> 8;
      target[out + packetIdAt + 1] = packetId;
      packetId = packetId === PACKET_ID_MAX ? 1 : packetId + 1;
    }
    out += insertBytes;
    from = keptEnd + cutBytes;
    position = next;
  }
  target.copyWithin(out, from + shift, end + shift);
  return out + end - from;
}
