/** What a shard does when another one dies, and when that has a successor. */
import { deliverPendingOf, missedOn, noteArrived, noteSuccessor } from './deliver-pending.js';
import type { Shard } from './shard.js';

/** A peer died: what it has acknowledged is in its ring. */
export function dropPeer(shard: Shard, index: number): void {
  const { durable } = shard;
  shard.turn.drainDead(index);
  // Before it is forgotten whose they were.
  durable?.orphaned.onDeath(index);
  durable?.orphaned.add(index, shard.topics.filtersKeptBy(index));
  // Of these the successor has heard nothing, and soon they are nowhere else.
  const leaving = new Set<string>();
  for (const { subscriptions } of shard.takeover.leavingTo(index)) {
    for (const filterKey of subscriptions.keys()) leaving.add(filterKey);
  }
  durable?.orphaned.add(index, leaving);
  durable?.dropPeer(index);
  shard.link.dropPeer(index);
  if (shard.deadPeers.drop(index)) shard.line.say({ kind: 'peer-welcomed', shardIndex: index });
  shard.routes.invalidateAll();
  shard.interest.dropPeer(index);
  shard.backpressure.dropPeer(index);
  shard.patience.dropPeer(index);
  shard.takeover.dropPeer(index);
  shard.replays.dropPeer(index);
  shard.members.dropPeer(index);
  const letGo = () => {
    shard.takeover.letGo(index);
    // Sessions that were about to leave for it are behind what their clients have left: then the
    // successor may look for them.
    shard.router.made.whenPublished(() => {
      shard.whenDurable(() => shard.line.say({ kind: 'peer-dropped', shardIndex: index }));
    });
  };
  if (durable === null) letGo();
  else shard.interest.tellOrphaned(index, leaving, letGo);
  shard.turn.schedule();
}

/**
 * The successor of a dead peer: it has to learn what is subscribed to here. The primary hears of
 * the welcome when it has: clients are sent there then.
 */
export function welcomePeer(
  shard: Shard,
  index: number,
  ring: SharedArrayBuffer,
  doorbellWriteFd: number,
): void {
  shard.deadPeers.whenForgotten(index, () => {
    if (shard.store !== null) noteSuccessor(shard.store, index);
    shard.link.replacePeer(index, ring, doorbellWriteFd);
    shard.takeover.welcomePeer(index);
    // What the dead one was handing over is found in the store, where all that it has said is.
    shard.takeover.recover(index, missedOn(shard, index));
    shard.members.welcomePeer(index);
    shard.interest.welcomePeer(
      index,
      shard.topics.localFilters(),
      () => {
        shard.takeover.onPeerTold(index);
        shard.replays.welcomePeer();
      },
      () => shard.line.say({ kind: 'peer-welcomed', shardIndex: index }),
    );
    shard.turn.schedule();
  });
}

/**
 * A successor has found in the store what there was, and what was on its way to its predecessor:
 * what that one had for sessions here is delivered, and whoever has waited publishes.
 */
export function onPeerLoaded(shard: Shard, index: number): void {
  const { durable, store, shardIndex } = shard;
  store?.awaitedLoads.delete(index);
  if (store?.awaitedLoads.size === 0) {
    noteArrived(shard, store);
    takeUp(shard);
    shard.sessionWatch.takeUp();
  }
  if (durable === null || store === null || index === shardIndex) return;
  if (!durable.orphaned.hasShard(index)) return;
  const deaths = durable.orphaned.deathsOf(index);
  shard.whenDurable(() => {
    store.reader.renew();
    deliverPendingOf(shard, store, index);
    shard.members.onPeerLoaded(index);
    // Those of one that has died since wait for the next.
    if (durable.orphaned.deathsOf(index) === deaths) durable.orphaned.remove(index);
    takeUp(shard);
  });
}

/** Wills that were too early for sessions which have been found now are published. */
function takeUp({ router, turn }: Shard): void {
  router.made.takeUp();
  turn.schedule();
}
