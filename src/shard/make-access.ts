/** The access rules of a shard, tied to its other parts. */
import { AccessTable } from '../access/access-table.js';
import type { Config } from '../base/config.js';
import type { Materials } from '../base/materials.js';
import { DelayedWills, type PublishWill } from '../sessions/delayed-wills.js';
import type { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { Shard } from './shard.js';
import { ShardAccess } from './shard-access.js';

/** Makes them, of a configuration and its files, which are checked. */
export function accessTableOf(config: Config, materials: Materials): AccessTable {
  const { aclFile: path, rules, users } = config;
  // A file that is not there allows nothing.
  const aclFile = path === null ? null : (materials.get(path) ?? '');
  return new AccessTable({ aclFile, rules, users });
}

/** Makes what gives the sessions in `store` their rights. */
export function makeAccess(
  shard: Shard,
  store: SessionStore<Session>,
  table: AccessTable,
): ShardAccess {
  const { routes, counters, line, ticker } = shard;
  return new ShardAccess(
    {
      ...{ store, routes, counters, line },
      clock: ticker,
      members: {
        onRightsChanged: (session) => shard.members.onRightsChanged(session),
        onIdentityChanged: (session) => shard.members.onIdentityChanged(session),
        revise: () => shard.members.revise(),
      },
      unsubscribe: (session, filterKey) => shard.unsubscribe(session, filterKey),
      schedule: () => shard.schedule(),
    },
    table,
  );
}

/** Makes what publishes the delayed wills of a shard. */
export function makeWills(shard: Shard): DelayedWills {
  const publish: PublishWill = (run, topicKey, session, published) => {
    const leftBy = session.delayedWill?.leftBy ?? null;
    const { rights } = session;
    const own = leftBy === null ? rights : shard.access.rightsOf(leftBy, session.clientId);
    if (own?.mayPublish(topicKey) === false) {
      shard.access.onForbidden(session, 'will', topicKey, 1);
      published();
    } else {
      shard.router.publishRun(run, topicKey, published);
    }
    shard.schedule();
  };
  const onSent = (session: Session, sessionEndsAt: number): void => {
    // Of one that is here its row has said so since it came.
    if (session.outlet !== null) return;
    const leftMs = sessionEndsAt - shard.deadlines.now;
    const awayMs = Number.isFinite(leftMs) ? session.expiryMs - leftMs : 0;
    shard.store?.rows.save(session, undefined, awayMs);
  };
  return new DelayedWills(publish, onSent, (session) => shard.store?.rows.forgetWill(session));
}
