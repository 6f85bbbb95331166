/** What tells the other shards that this one has woken, tied to its event loop. */
import { findEventLoopFd } from '../base/event-loop-fd.js';
import { Wakes } from '../router/wakes.js';
import type { ShardStart } from './control.js';
import type { Shard } from './shard.js';

/**
 * After so many milliseconds, and twice as many each time, it is looked for: the event loop waits
 * for the doorbell, by which it is known, when it has come round once.
 */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 1_000;

/** Makes them. @param shard whose link is made already. */
export function makeWakes(shard: Shard, start: ShardStart): Wakes {
  const wakes = new Wakes(start.wakes, start.shardIndex, () => shard.link.liveMask);
  const find = (afterMs: number): void => {
    const fd = findEventLoopFd(start.doorbellReadFd);
    wakes.setEventLoop(fd);
    if (fd < 0 && afterMs < LAST_LOOK_MS) setTimeout(find, 2 * afterMs, 2 * afterMs).unref();
  };
  if (start.shardCount > 1) setTimeout(find, FIRST_LOOK_MS, FIRST_LOOK_MS).unref();
  return wakes;
}
