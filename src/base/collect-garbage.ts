/** V8's collector, asked for: Node has a flag for it, and no API. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let found: (() => void) | null | undefined;

/**
 * Collects all garbage of this thread now, which takes about 0.5 ms for each MiB that is in use.
 * @returns false where the runtime does not let it be asked for.
 */
export function collectGarbage(): boolean {
  if (found === undefined) found = find();
  if (found === null) return false;
  found();
  return true;
}

function find(): (() => void) | null {
  try {
    setFlagsFromString('--expose-gc');
    const gc: unknown = runInNewContext('gc');
    // What is run later does not see it.
    setFlagsFromString('--no-expose-gc');
    return typeof gc === 'function' ? () => void gc() : null;
  } catch {
    return null;
  }
}
