/**
 * How V8 collects garbage in a process that is a broker and nothing else. These flags hold for all
 * its threads, so a program that has a broker within it is left as it is.
 */
import { setFlagsFromString } from 'node:v8';

/**
 * To be called before there are shards.
 *
 * - Each shard collects its young generation by itself: it is small, and helpers compete with the
 *   shards for their cores. One that the system put off in the middle had its shard wait for 10 to
 *   20 ms, once in some hundred times.
 * - Objects are always made in the young generation. From where many have survived V8 has others
 *   begin in the old one, and it takes many to survive where a small generation is soon full: they
 *   are garbage there as soon as anywhere, but stay, and keep what they refer to, until everything
 *   is collected. 400,000 look-ups of a range in LMDB took 2,400 ms of collections, and 80 without.
 */
export function tuneCollector(): void {
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--no-allocation-site-pretenuring');
}
