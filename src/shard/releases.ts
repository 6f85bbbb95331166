/**
 * Sessions that another shard has claimed, before they are on their way there, and those that were
 * leaving for a shard that has died. The latter stay until all shards know of their filters, as
 * these send what is for them still; then they are in the store alone, for whoever succeeds it.
 */
import type { DelayedWills } from '../sessions/delayed-wills.js';
import type { Session } from '../sessions/session.js';
import type { Departures } from './departures.js';
import type { SessionRegistry } from './session-registry.js';

/** A client id that another shard has claimed, while what its connection has sent is on its way. */
interface Release {
  /** Undefined: it has none any more. */
  readonly session: Session | undefined;
  /** What was there when it was claimed, and may have ended by that. */
  readonly former: Session | undefined;
  readonly to: number;
  /** The claimer has died, and what it has claimed is lost with it. */
  isLost: boolean;
  /** All shards know of its filters. */
  isTold: boolean;
}

/** One a shard. */
export class Releases {
  readonly #registry: Pick<SessionRegistry, 'leaveStored'>;
  readonly #departures: Departures;
  readonly #wills: Pick<DelayedWills, 'waitNoLonger'>;
  readonly #releases = new Set<Release>();
  /** They were leaving for shards that have died. */
  #left: { readonly session: Session; readonly to: number }[] = [];

  constructor(
    registry: Pick<SessionRegistry, 'leaveStored'>,
    departures: Departures,
    wills: Pick<DelayedWills, 'waitNoLonger'>,
  ) {
    this.#registry = registry;
    this.#departures = departures;
    this.#wills = wills;
  }

  /** @returns what offers it to shard `to`, by that claim: to be called once. */
  add(
    session: Session | undefined,
    former: Session | undefined,
    to: number,
    claim: number,
  ): () => void {
    const release: Release = { session, former, to, isLost: false, isTold: false };
    this.#releases.add(release);
    return () => this.#offer(release, claim);
  }

  #offer(release: Release, claim: number): void {
    const { session, to, isLost, isTold } = release;
    this.#releases.delete(release);
    if (!isLost) this.#departures.offer(session, to, claim);
    else if (session === undefined) return;
    else if (isTold) this.#registry.leaveStored(session);
    else this.#left.push({ session, to });
  }

  /** Sessions that are let go of for that shard, which has not got them yet. */
  *leavingTo(index: number): Generator<Session> {
    for (const { session, to } of this.#releases) {
      if (to === index && session !== undefined) yield session;
    }
    yield* this.#departures.leavingTo(index);
  }

  /** A peer died: what was to be handed to it stays, until `letGo`. */
  dropPeer(index: number): void {
    for (const release of [...this.#releases]) {
      if (release.to !== index) continue;
      release.isLost = true;
      // The successor looks for the client id, and would publish its will once more.
      if (release.former !== undefined) this.#wills.waitNoLonger(release.former);
    }
    for (const session of this.#departures.dropPeer(index)) this.#left.push({ session, to: index });
  }

  /** All know what was leaving for a dead peer. */
  letGo(index: number): void {
    for (const release of this.#releases) if (release.to === index) release.isTold = true;
    const left = this.#left;
    this.#left = left.filter(({ to }) => to !== index);
    for (const { session, to } of left) if (to === index) this.#registry.leaveStored(session);
  }
}
