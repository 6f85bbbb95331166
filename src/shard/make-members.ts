/** The members and groups of Shared Subscriptions of a shard, tied to its other parts. */

import { LIMIT_LOG_INTERVAL_MS, MEMBER_IDENTITY_MAX } from '../base/limits.js';
import { Members } from '../router/members.js';
import type { Shard } from './shard.js';

/** When shards have last said so, in coarse milliseconds. */
const saidAt = new WeakMap<Shard, number>();

/** Says that a member gets nothing, if that was not said just now. */
function sayLong(shard: Shard, clientId: string): void {
  const { now } = shard;
  if (now - (saidAt.get(shard) ?? Number.NEGATIVE_INFINITY) < LIMIT_LOG_INTERVAL_MS) return;
  saidAt.set(shard, now);
  const fields = { clientId, charactersMax: MEMBER_IDENTITY_MAX };
  const what = 'a member of a shared subscription gets nothing of it: its client id, user name and';
  shard.log('warn', fields, `${what} the rules it was let in with are too long to be told`);
}

/** Makes them. The shard's registry may be made later. */
export function makeMembers(shard: Shard, shardIndex: number, shardCount: number): Members {
  const { link, topics, routes, interest, counters, config, queuedTotal } = shard;
  const { delivery } = shard.router;
  const members = new Members({
    shardIndex,
    shardCount,
    link,
    topics,
    routes,
    interest,
    counters,
    delivery,
    queuedTotal,
    pressure: shard.backpressure,
    strategy: config.sharedStrategy,
    rightsOf: (who, clientId) => shard.access.rightsOf(who, clientId),
    rows: shard.store?.groups ?? null,
    absentQueues: () => shard.registry.absentQueues,
    makeSession: () => shard.registry.makeGroupSession(),
    schedule: () => shard.schedule(),
    onLongIdentity: ({ clientId }) => sayLong(shard, clientId),
  });
  delivery.groups = members;
  return members;
}
