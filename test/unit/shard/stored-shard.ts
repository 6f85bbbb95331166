/** A whole shard that keeps what it has in a temporary store. */
import { MessageChannel } from 'node:worker_threads';
import type { Shard } from '../../../src/shard/shard.js';
import { StoreReader } from '../../../src/store/store-reader.js';
import { type Context, TemporaryStore } from '../store/temporary-store.js';
import { makeShard, type WholeShard } from './whole-shard.js';

/** Above the numbers of sessions that tests give themselves. */
const BASE = 1_024;

export interface StoredShard {
  readonly whole: WholeShard;
  readonly shard: Shard;
  readonly store: TemporaryStore;
}

/**
 * Makes one; it goes with the test.
 * @param store that others have left. @param workers that there are, this one among them.
 */
export async function makeStoredShard(
  context: Context,
  store: TemporaryStore = new TemporaryStore(context),
  workers = 2,
): Promise<StoredShard> {
  const { folder, words } = store;
  const { port1, port2: port } = new MessageChannel();
  store.writer.attach(port1);
  const start = { port, words, folder, durability: 'fsync', base: BASE } as const;
  const reader = new StoreReader(start);
  const whole = await makeShard('silent', { workers }, { start, reader });
  const { shard } = whole;
  context.after(async () => {
    shard.isClosed = true;
    await shard.store!.journal.close();
    await reader.close();
    whole.close();
  });
  return { whole, shard, store };
}
