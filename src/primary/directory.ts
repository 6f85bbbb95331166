/**
 * The directory of client ids: which shard holds the session of which client, and who waits for it.
 * Only the primary has it, so that two connections with one id on two shards cannot both win
 * [MQTT-3.1.4-2].
 *
 * Each client id has one entry, with the newest granted claim: its shard is the *holder*. Until the
 * holder says that the claim is settled (the old session has arrived, or there was none), later
 * claims for the id wait in order; so a session moves one step at a time and is never asked of a
 * shard that awaits it itself. A session that ends with its connection, and has none to wait for,
 * is in place when its shard reads the grant, in front of all that may be said of it later: it is
 * settled with the grant, which spares each connection a message.
 *
 * Pure data: answers go to a DirectoryOutput, nothing here knows of ports or threads.
 */
import { CLAIMS_WAITING_MAX, SHARDS_MAX } from '../base/limits.js';
import { tableKey } from '../base/table-key.js';
import type { Claim, ClaimRefusal, LoadedSession } from '../shard/control.js';

/**
 * Where the directory's answers go. They are called while the directory changes: they must not call
 * it back.
 */
export interface DirectoryOutput {
  /**
   * The client id is this claim's now; `from` holds the former session, -1 when there is none to
   * wait for.
   */
  grant(shardIndex: number, claim: number, from: number): void;
  /** The claim is not remembered. */
  refuse(shardIndex: number, claim: number, reason: ClaimRefusal): void;
  /** The holder lets go of `claim`: it discards the session or hands it to shard `to`. */
  release(
    shardIndex: number,
    clientId: string,
    claim: number,
    to: number,
    newClaim: number,
    discard: boolean,
  ): void;
}

interface Entry {
  readonly clientId: string;
  /** The newest granted claim. */
  claim: number;
  /** Whether the session outlives its connection: such sessions are counted. */
  isKept: boolean;
  /** It does, or did: there may be something of it in the store. */
  wasKept: boolean;
  /** Whose connection the claim is for, where that counts; null when it has left. */
  user: string | null;
  /** False from the grant until the session is in place. */
  isSettled: boolean;
  /** Its shard has died, and the successor will find the session in the store. */
  isOrphan: boolean;
  /**
   * Claims in order of arrival, at most CLAIMS_WAITING_MAX; null while there is none, as nearly
   * always.
   */
  waiting: Claim[] | null;
}

/** The shard that made a claim: claims are numbered shardIndex + SHARDS_MAX * n. */
export function shardOfClaim(claim: number): number {
  return claim % SHARDS_MAX;
}

export class Directory {
  readonly #output: DirectoryOutput;
  readonly #byClientId = new Map<string, Entry>();
  /** Granted and waiting claims: `settled` and `dropped` name nothing else. */
  readonly #byClaim = new Map<number, Entry>();

  /** Sessions that outlive their connection, those of connected clients among them. */
  #kept = 0;
  /** Users with connections, and how many. */
  readonly #users = new Map<string, number>();
  /**
   * Sessions that may outlive their connection. A client that wants one more is refused: the oldest
   * would have to go for it, and whoever makes many could have all others' sessions go, with the
   * messages that were acknowledged for them.
   */
  sessionsMax: number;
  /** Connections that a user may have; who wants one more is refused. 0: any number. */
  userConnectionsMax: (user: string) => number;

  /** There is memory for new sessions; those that there are may be taken over. */
  hasMemory: () => boolean = () => true;

  constructor(
    output: DirectoryOutput,
    sessionsMax = Number.POSITIVE_INFINITY,
    userConnectionsMax: (user: string) => number = () => 0,
  ) {
    this.#output = output;
    this.sessionsMax = sessionsMax;
    this.userConnectionsMax = userConnectionsMax;
  }

  /** Client ids with a session, or about to have one. */
  get size(): number {
    return this.#byClientId.size;
  }

  /** Sessions that outlive their connection. */
  get keptSessions(): number {
    return this.#kept;
  }

  /** Claims known, granted or waiting; for tests that nothing is left behind. */
  get claimCount(): number {
    return this.#byClaim.size;
  }

  /** The shard that holds this client id, -1 if none does. */
  holderOf(clientId: string): number {
    const entry = this.#byClientId.get(tableKey(clientId));
    return entry === undefined ? -1 : shardOfClaim(entry.claim);
  }

  /** A shard has found these sessions in its store: nobody has claimed their client ids since. */
  load(sessions: readonly LoadedSession[]): void {
    for (const { clientId, claim } of sessions) {
      const key = tableKey(clientId);
      let entry = this.#byClientId.get(key);
      if (entry === undefined) {
        // There may be a hundred thousand of them before the broker listens.
        entry = {
          clientId,
          claim,
          isKept: false,
          wasKept: true,
          user: null,
          isSettled: true,
          isOrphan: false,
          waiting: null,
        };
        this.#byClientId.set(key, entry);
      }
      entry.claim = claim;
      entry.isOrphan = false;
      this.#byClaim.set(claim, entry);
      this.#setKept(entry, true);
      if (!entry.isSettled || entry.waiting !== null) this.settle([claim]);
    }
  }

  /** Client ids whose sessions the successor of a dead shard is to find in the store. */
  orphansOf(shardIndex: number): string[] {
    const orphans: string[] = [];
    for (const { clientId, claim, isOrphan } of this.#byClientId.values()) {
      if (isOrphan && shardOfClaim(claim) === shardIndex) orphans.push(clientId);
    }
    return orphans;
  }

  /** The successor has found what there was: who waits for others begins anew. */
  allLoaded(shardIndex: number): void {
    for (const entry of [...this.#byClientId.values()]) {
      if (!entry.isOrphan || shardOfClaim(entry.claim) !== shardIndex) continue;
      entry.isOrphan = false;
      this.#vacate(entry);
    }
  }

  /** CONNECTs want these client ids, in this order. */
  claim(claims: readonly Claim[]): void {
    for (const claim of claims) this.#claimOne(claim);
  }

  /** The holder has these sessions in place: whoever waits next may have them. */
  settle(claims: readonly number[]): void {
    for (const claim of claims) {
      const entry = this.#byClaim.get(claim);
      // A claim that is no longer the newest was released meanwhile: the new holder settles the
      // entry.
      if (entry === undefined || entry.claim !== claim) continue;
      entry.isSettled = true;
      const next = this.#takeNext(entry);
      if (next !== undefined) this.#handOver(entry, next);
    }
  }

  /** These sessions are gone, or the connections that waited for them are. */
  drop(claims: readonly number[]): void {
    for (const claim of claims) {
      const entry = this.#byClaim.get(claim);
      if (entry === undefined) continue;
      this.#byClaim.delete(claim);
      if (entry.claim === claim) this.#vacate(entry);
      else keepWaiting(entry, (waiting) => waiting.claim !== claim);
    }
  }

  /** The connections of these claims are gone, and their sessions are kept. */
  leave(claims: readonly number[]): void {
    for (const claim of claims) {
      const entry = this.#byClaim.get(claim);
      if (entry?.claim === claim) this.#setUser(entry, null);
    }
  }

  /** Connections of a user that are counted, those that are about to be among them. */
  connectionsOf(user: string): number {
    return this.#users.get(tableKey(user)) ?? 0;
  }

  /**
   * A shard has died with its sessions. Who waited for it to settle proceeds without a former
   * session. Who was granted a session `from` it is told by `peer-dead` that none will come, and
   * settles by itself.
   * @param isStored sessions that outlive their connections are on disk: they wait for a successor,
   *   which takes away what there is of one that has ended with the shard.
   */
  shardDied(shardIndex: number, isStored = false): void {
    for (const entry of this.#byClientId.values()) {
      if (entry.waiting !== null) {
        keepWaiting(entry, (waiting) => {
          if (shardOfClaim(waiting.claim) !== shardIndex) return true;
          this.#byClaim.delete(waiting.claim);
          return false;
        });
      }
      if (shardOfClaim(entry.claim) === shardIndex) {
        this.#byClaim.delete(entry.claim);
        if (isStored && entry.wasKept) this.#orphan(entry);
        else this.#vacate(entry);
      }
    }
  }

  #claimOne(claim: Claim): void {
    const entry = this.#byClientId.get(tableKey(claim.clientId));
    const isNext = entry === undefined || entry.isSettled;
    const refusal = isNext ? this.#refusalOf(entry, claim) : undefined;
    if (refusal !== undefined) {
      this.#output.refuse(shardOfClaim(claim.claim), claim.claim, refusal);
    } else if (entry === undefined) {
      const { clientId, claim: number } = claim;
      const created: Entry = {
        clientId,
        claim: number,
        isKept: false,
        wasKept: false,
        user: null,
        ...{ isSettled: false, isOrphan: false },
        waiting: null,
      };
      this.#byClientId.set(tableKey(clientId), created);
      this.#byClaim.set(number, created);
      this.#begin(created, claim);
    } else if (entry.isSettled) {
      this.#byClaim.set(claim.claim, entry);
      this.#handOver(entry, claim);
    } else if (entry.waiting !== null && entry.waiting.length >= CLAIMS_WAITING_MAX) {
      // The newest is refused, not the oldest: those that wait keep their order, and whether one of
      // them discards the session [MQTT-3.1.2-6] still takes effect.
      this.#output.refuse(shardOfClaim(claim.claim), claim.claim, 'claims');
    } else {
      this.#byClaim.set(claim.claim, entry);
      if (entry.waiting === null) entry.waiting = [claim];
      else entry.waiting.push(claim);
    }
  }

  /** Gives a settled entry to the next claim, whose number is in #byClaim already. */
  #handOver(entry: Entry, next: Claim): void {
    const former = entry.claim;
    const holder = shardOfClaim(former);
    const to = shardOfClaim(next.claim);
    this.#byClaim.delete(former);
    entry.claim = next.claim;
    entry.isSettled = false;
    this.#setKept(entry, next.isKept);
    this.#setUser(entry, next.user);
    if (holder === to) {
      this.#output.grant(to, next.claim, holder);
      return;
    }
    this.#output.release(holder, entry.clientId, former, to, next.claim, next.discard);
    this.#output.grant(to, next.claim, holder);
  }

  /** The holder's session is gone and its claim forgotten: the next in line starts anew. */
  #vacate(entry: Entry): void {
    this.#setKept(entry, false);
    this.#setUser(entry, null);
    const next = this.#takeNext(entry);
    if (next === undefined) {
      this.#byClientId.delete(tableKey(entry.clientId));
      return;
    }
    this.#begin(entry, next);
  }

  /** There is no session of this id: the claim begins one. */
  #begin(entry: Entry, { claim, isKept, user }: Claim): void {
    entry.claim = claim;
    entry.isSettled = false;
    this.#setKept(entry, isKept);
    this.#setUser(entry, user);
    this.#output.grant(shardOfClaim(claim), claim, -1);
    if (!isKept) this.settle([claim]);
  }

  /** Why a claim is not granted; undefined: it may be. */
  #refusalOf(entry: Entry | undefined, { isKept, user }: Claim): ClaimRefusal | undefined {
    if (entry === undefined && !this.hasMemory()) return 'memory';
    const mayKeep = !isKept || entry?.isKept === true || this.#kept < this.sessionsMax;
    if (!mayKeep) return 'sessions';
    // One takes the place of the other.
    if (user === null || entry?.user === user) return undefined;
    const max = this.userConnectionsMax(user);
    return max === 0 || this.connectionsOf(user) < max ? undefined : 'user';
  }

  #orphan(entry: Entry): void {
    entry.isOrphan = true;
    entry.isSettled = false;
    this.#setUser(entry, null);
  }

  #setUser(entry: Entry, user: string | null): void {
    if (entry.user === user) return;
    if (entry.user !== null) this.#countUser(entry.user, -1);
    if (user !== null) this.#countUser(user, 1);
    entry.user = user;
  }

  #countUser(user: string, change: number): void {
    const count = this.connectionsOf(user) + change;
    if (count === 0) this.#users.delete(tableKey(user));
    else this.#users.set(tableKey(user), count);
  }

  #setKept(entry: Entry, isKept: boolean): void {
    this.#kept += Number(isKept) - Number(entry.isKept);
    entry.isKept = isKept;
    if (isKept) entry.wasKept = true;
  }

  /** Takes the next claim in line; those that may not have a session are refused. */
  #takeNext(entry: Entry): Claim | undefined {
    for (let next = takeFirst(entry); next !== undefined; next = takeFirst(entry)) {
      const refusal = this.#refusalOf(entry, next);
      if (refusal === undefined) return next;
      this.#byClaim.delete(next.claim);
      this.#output.refuse(shardOfClaim(next.claim), next.claim, refusal);
    }
    return undefined;
  }
}

/** Removes and returns the claim that waits longest. */
function takeFirst(entry: Entry): Claim | undefined {
  const first = entry.waiting?.shift();
  if (entry.waiting?.length === 0) entry.waiting = null;
  return first;
}

/** Keeps the waiting claims that `isKept` accepts, in their order. */
function keepWaiting(entry: Entry, isKept: (claim: Claim) => boolean): void {
  if (entry.waiting === null) return;
  const kept = entry.waiting.filter(isKept);
  entry.waiting = kept.length === 0 ? null : kept;
}
