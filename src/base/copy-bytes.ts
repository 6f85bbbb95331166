/** Copying without an object per call, where that is the faster way, and in and out of rings. */
import { SHARED_COPY_BYTES } from './limits.js';

/**
 * Up to here bytes are copied by a loop. Node 20's `Buffer.copy` makes a view of the source each
 * time: 190 ns however few the bytes, where the loop below takes 110 ns for 64 bytes and 220 ns for
 * 128.
 */
const LOOP_BYTES_MAX = 96;
/** Below this the two copies that a detour takes are no quicker. */
const DETOUR_BYTES_MIN = 512;
const WORD_BYTES = 8;

/** Bytes on a detour: in ordinary memory a copy is quick however it lies. */
let between: Buffer | null = null;

/**
 * From here on this thread copies into shared memory and out of it by a detour where that is
 * quicker: V8 copies by words of eight bytes, and where source and target do not lie alike in
 * their words, by single bytes: 0.5 ns each, eight times as long, which was 40 % of a shard's time.
 * Of no use where `Buffer.copy` is not V8's, as in Node 22 and newer.
 */
export function takeDetours(): void {
  between ??= Buffer.allocUnsafeSlow(SHARED_COPY_BYTES + WORD_BYTES);
}

/** Copies `source[start, end)` to `target` at `at`. The caller knows that it fits. */
export function copyBytes(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): void {
  const length = end - start;
  if (length > LOOP_BYTES_MAX) {
    if (between !== null && length >= DETOUR_BYTES_MIN) {
      if (isShared(source)) {
        copyShared(between, source.byteOffset + start, source, start, end, target, at);
        return;
      }
      if (isShared(target)) {
        copyShared(between, target.byteOffset + at, source, start, end, target, at);
        return;
      }
    }
    source.copy(target, at, start, end);
    return;
  }
  let from = start;
  let to = at;
  // Four at a time: half the time of one at a time.
  for (const last = end - 3; from < last; from += 4, to += 4) {
    const byte0 = source[from];
    const byte1 = source[from + 1];
    const byte2 = source[from + 2];
    const byte3 = source[from + 3];
    target[to] = byte0;
    target[to + 1] = byte1;
    target[to + 2] = byte2;
    target[to + 3] = byte3;
  }
  while (from < end) target[to++] = source[from++];
}

function isShared(bytes: Buffer): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}

/**
 * The same, of which one is shared memory. @param place where it begins there: between the two it
 * lies alike in its words.
 */
function copyShared(
  detour: Buffer,
  place: number,
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): void {
  if (((source.byteOffset + start - target.byteOffset - at) & (WORD_BYTES - 1)) === 0) {
    source.copy(target, at, start, end);
    return;
  }
  // A piece is a multiple of words: the next one lies as the first does.
  const first = place & (WORD_BYTES - 1);
  let to = at;
  for (let from = start; from < end; from += SHARED_COPY_BYTES) {
    const length = Math.min(SHARED_COPY_BYTES, end - from);
    source.copy(detour, first, from, from + length);
    detour.copy(target, to, first, first + length);
    to += length;
  }
}
