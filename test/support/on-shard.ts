/** Connections to a shard that the test chooses. */
import type { Broker } from './broker.js';
import type { RawClient } from './raw-client.js';
import { eventually } from './waiting.js';

/** Settings under which a connection may be silent for as long as the test takes. */
export const MAY_BE_SILENT = { connectTimeout: 600 } as const;

/**
 * Opens a connection that this shard has taken; no packet is sent. Those that other shards got
 * meanwhile stay open: placement is by fewest connections. Nobody else may connect meanwhile.
 */
export async function openOn(broker: Broker, shardIndex: number): Promise<RawClient> {
  const taken = () => broker.server.stats().shards.map((shard) => shard.connectionsOpened);
  for (;;) {
    const before = taken();
    const client = await broker.raw();
    const hasMore = () => taken().findIndex((count, index) => count > before[index]!);
    await eventually(() => hasMore() >= 0, 'a shard to take the connection');
    if (hasMore() === shardIndex) return client;
  }
}

/** As many of them, one for each of these shards. */
export async function openOnEach(
  broker: Broker,
  shardIndexes: readonly number[],
): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const shardIndex of shardIndexes) clients.push(await openOn(broker, shardIndex));
  return clients;
}
