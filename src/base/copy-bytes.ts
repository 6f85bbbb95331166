/** Copying without an object per call, where that is the faster way. */

/**
 * Up to here bytes are copied by a loop. Node 20's `Buffer.copy` makes a view of the source each
 * time: 190 ns however few the bytes, where the loop below takes 110 ns for 64 bytes and 220 ns for
 * 128.
 */
const LOOP_BYTES_MAX = 96;

/** Copies `source[start, end)` to `target` at `at`. The caller knows that it fits. */
export function copyBytes(
  source: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): void {
  if (end - start > LOOP_BYTES_MAX) {
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
