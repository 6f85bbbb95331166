/** The death of a shard, by an authenticator of the broker: see lethal-authenticator.ts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Broker, unique } from './broker.js';
import { openOn } from './on-shard.js';
import { connect } from './packets.js';
import { within } from './waiting.js';

/** Kills a shard; resolves when its successor is there. */
export async function killShard(broker: Broker, shardIndex: number): Promise<void> {
  const died = within(once(broker.server, 'shardDied'), 'the shard to die');
  const started = within(once(broker.server, 'shardStarted'), 'its successor');
  const lethal = await openOn(broker, shardIndex);
  lethal.send(connect({ clientId: unique('lethal') }));
  assert.equal((await died)[0], shardIndex);
  await started;
}
