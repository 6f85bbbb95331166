/** The Piscina task that runs one shard. */
import type { ShardStart } from '../src/shard/control.js';
import { runShard } from '../src/shard/run-shard.js';

/** Resolves when the shard has shut down. A broken shard takes its thread with it. */
export default async function shardTask(start: ShardStart): Promise<void> {
  try {
    await runShard(start);
  } catch (error) {
    // A rejected task would leave the thread alive with the broken shard's sockets and timers.
    // Thrown where nobody catches it, the error ends the thread, and the pool rejects the task with
    // it all the same.
    setImmediate(() => {
      throw error;
    });
    await new Promise(() => {});
  }
}
