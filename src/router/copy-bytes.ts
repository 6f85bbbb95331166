/** Copying without an object per call. */

/**
 * Below this, bytes are copied by a loop: Node 20's `Buffer.copy` makes a view of the source each time,
 * which costs more than a short loop does.
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
  for (let from = start, to = at; from < end; from++, to++) target[to] = source[from];
}
