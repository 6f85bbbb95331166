/** How far the retained messages for one session have come, whoever brings them. */
import { BROUGHT_BYTES_MAX } from '../base/limits.js';
import { PiecewiseMap } from '../base/piecewise-map.js';
import type { BegunFilter, ReplayGuard, ReplayPlace } from '../sessions/replay-guard.js';
import type { Session } from '../sessions/session.js';
import type { OwedFilter } from '../store/stored-replay.js';
import { type Grant, grantedQos } from '../topics/grant.js';
import { matchesKey } from '../topics/topic.js';
import type { Arrived } from './arrived-message.js';
import { bytesOfTopic, LiveTopics } from './live-topics.js';
import type { Opening } from './opening.js';
import { FILTERS_LOOKED_THROUGH, type Filters } from './replay-filters.js';
import { ReplayNotes, type ReplayRows } from './replay-notes.js';
import type { RetainedMessage } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';
import { type Unconfirmed, UnconfirmedSubscribes } from './unconfirmed-subscribes.js';

/** What is to be sent of one filter. */
export interface Asked {
  readonly grant: Grant;
  /** Which SUBSCRIBE of this replay has asked, 1 or more. */
  readonly since: number;
}

/** Retained messages of one shard that a filter matches. */
export type Matches = ReturnType<RetainedStore['match']>;

/** What a replay asks of its shard. */
export interface ReplayHost {
  /** Where it is noted what kept sessions are owed; null: nowhere. */
  readonly rows: ReplayRows | null;
  /** Sends what a topic retains on this shard, if anything. */
  bringOlder(replay: Replay, topicKey: string, asked: Asked): void;
  /** Goes on with a replay that was held. */
  goOn(replay: Replay): void;
  /** Forgets a replay. */
  end(replay: Replay): void;
  /** The SUBACK of a SUBSCRIBE waits for what others retain, and a newer message has come here. */
  keepNewer(opening: Opening, topicKey: string, message: RetainedMessage | null): void;
}

/** A filter, or a topic that is asked for again, and the filter subscribed to that it is of. */
interface Begun {
  readonly filterKey: string;
  readonly asked: Asked;
  readonly subscribed: string;
}

/** What one session is being sent; its own state machine: filter by filter, owner by owner. */
export class Replay implements ReplayGuard {
  /** Topics that have come live. */
  readonly #live = new LiveTopics();
  /** Topics of the current filter that were sent; null when they were too many to be noted. */
  #brought: Set<string> | null = new Set();
  #broughtBytes = 0;
  /** Of the current filter what was sent before is left out. */
  #skipsBrought = false;
  /** False while it is not known what another shard has sent of it. */
  #isPlaceKnown = true;
  readonly #host: ReplayHost;
  /** This shard, as a mask. */
  readonly #here: number;
  /**
   * What an owner has sent since it was last asked may be older than what has come live meanwhile.
   */
  isPartDoubtful = false;
  /** What owners name it by; another one when what was asked for is not wanted any more. */
  id: number;
  readonly session: Session;
  /** Filters still to come. A filter subscribed again moves to the end. */
  readonly filters = new PiecewiseMap<Asked>();
  /** Of them, those topics that are asked for again, each with the filter subscribed to. */
  readonly again = new Map<string, string>();
  /**
   * Where the next of them is looked for. A new iterator would go over the places of all those that
   * were removed: 300,000 filters took 25 seconds.
   */
  upcoming: Iterator<[filterKey: string, asked: Asked]> = this.filters.entries();
  /** How many SUBSCRIBEs there were. */
  subscribes = 0;
  /** Those that the other shards have not confirmed yet. */
  readonly unconfirmed: UnconfirmedSubscribes;
  /** What is to be sent of the current filter. */
  asked: Asked = { grant: 0, since: 0 };
  /** Shards to be asked for the current filter. */
  owners = 0;
  /** The current filter's messages here, when this shard's part is being read. */
  local: Matches | null = null;
  /** The shard that was asked, -1 if none; it has sent a part and waits when `isPartDone`. */
  askedShard = -1;
  isPartDone = false;
  filterKey = '';
  /** The filter subscribed to that the current one is of. */
  subscribed = '';
  /** What an owner has sent and the session was not given yet: one part at most. */
  readonly arrived: Arrived[] = [];
  /** What was being read when the client left: it comes first when the client is back. */
  interrupted: Begun | null = null;
  /** SUBACKs that have to go out before anything is sent. */
  #holds = 0;
  /** In the list of those that have a step to take. */
  isReady = false;
  /** What the store has of it; null: nothing. */
  readonly notes: ReplayNotes | null;

  constructor(id: number, session: Session, shardIndex: number, host: ReplayHost) {
    this.id = id;
    this.session = session;
    this.unconfirmed = new UnconfirmedSubscribes(session);
    this.#here = 1 << shardIndex;
    this.#host = host;
    const isNoted = host.rows !== null && !session.endsWithConnection;
    this.notes = isNoted ? new ReplayNotes(host.rows, session) : null;
  }

  /** The session is about to subscribe to these filters. */
  expect(filters: Filters): Unconfirmed {
    const since = ++this.subscribes;
    const unconfirmed = this.unconfirmed.add(filters, since);
    if (this.notes !== null) {
      for (const [filterKey] of filters) this.notes.promise(filterKey, since);
    }
    return unconfirmed;
  }

  isHeldBack(topicKey: string): boolean {
    return this.unconfirmed.isHeldBack(topicKey);
  }

  hold(): void {
    this.#holds++;
  }

  release(): void {
    if (this.#holds > 0 && --this.#holds === 0) this.#host.goOn(this);
  }

  get isHeld(): boolean {
    return this.#holds > 0;
  }

  wantsNewer(topicKey: string, isLocal: boolean): boolean {
    return this.unconfirmed.wants(topicKey, isLocal);
  }

  keepNewer(topicKey: string, message: RetainedMessage | null, isLocal: boolean): void {
    for (const opening of this.unconfirmed.wanting(topicKey, isLocal)) {
      this.#host.keepNewer(opening, topicKey, message);
    }
  }

  /** The filter that comes next. @param subscribed to, which it is of. */
  enterFilter(filterKey: string, asked: Asked, subscribed: string): void {
    this.filterKey = filterKey;
    this.asked = asked;
    this.subscribed = subscribed;
    this.#brought ??= new Set();
    if (this.#brought.size > 0) this.#brought.clear();
    this.#broughtBytes = 0;
    this.#skipsBrought = false;
  }

  /** The client is away: the current filter is to be left, and gone on with when it is back. */
  interrupt(): void {
    // Not acknowledged: the client asks again.
    if (this.notes !== null) this.#withdraw(this.notes);
    this.unconfirmed.clear();
    this.#holds = 0;
    if (!this.isReading) return;
    const { filterKey, asked, subscribed } = this;
    this.interrupted = { filterKey, asked, subscribed };
  }

  #withdraw(notes: ReplayNotes): void {
    for (const { filters, since } of this.unconfirmed.all) {
      for (const [filterKey] of filters)
        notes.withdraw(filterKey, since, this.#askedFor(filterKey));
    }
  }

  /** Which confirmed SUBSCRIBE has asked for what is not sent of a filter; undefined: none. */
  #askedFor(filterKey: string): number | undefined {
    const since = this.unbegunSince(filterKey);
    if (since > 0) return since;
    const { interrupted } = this;
    if (interrupted?.subscribed === filterKey) return interrupted.asked.since;
    return this.subscribed === filterKey ? this.asked.since : undefined;
  }

  /** The current filter is sent, but for what is asked for again. */
  finishFilter(): void {
    if (this.subscribed === '') return;
    this.notes?.finish(this.subscribed, this.asked.since, this.again.size > 0);
    this.subscribed = '';
  }

  /** Goes on with what was interrupted; anew where too much was sent to be noted. */
  goOn({ filterKey, asked, subscribed }: Begun): void {
    this.interrupted = null;
    this.filterKey = filterKey;
    this.asked = asked;
    this.subscribed = subscribed;
    this.#skipBrought();
  }

  /**
   * A shard has died. @param hasSuccessor one has what it has not sent: that is asked for it when
   * it is there. @returns whether it was asked.
   */
  loseOwner(shard: number, hasSuccessor: boolean): boolean {
    const wasAsked = this.askedShard === shard;
    if (!hasSuccessor) this.owners &= ~(1 << shard);
    if (!wasAsked) return false;
    this.askedShard = -1;
    this.isPartDone = false;
    if (!hasSuccessor) return true;
    this.owners |= 1 << shard;
    this.#skipBrought();
    return true;
  }

  #skipBrought(): void {
    this.#skipsBrought = this.#brought !== null;
    if (this.#brought !== null) return;
    this.#leaveToNotes();
    this.#brought = new Set();
    this.#broughtBytes = 0;
  }

  /** Forgets what was sent and has come live: the filter that was interrupted begins anew. */
  forgetPlace(): void {
    this.#brought = null;
    this.#leaveToNotes();
    this.#live.clear();
  }

  /** What was sent so far is forgotten here: the store knows what was at QoS 2. */
  #leaveToNotes(): void {
    if (this.notes !== null) this.notes.notedTo = this.subscribes;
  }

  /** Whether nothing is left to be sent, but for SUBSCRIBEs that are not confirmed. */
  get isDone(): boolean {
    return !this.isReading && this.interrupted === null && this.filters.size === 0;
  }

  /**
   * Topics that are asked for again beyond a bound are left to their filter, which then begins
   * anew.
   */
  place(): ReplayPlace {
    const begun: BegunFilter[] = [];
    const { interrupted } = this;
    if (interrupted !== null) {
      const { filterKey, subscribed, asked } = interrupted;
      begun.push([filterKey, subscribed, asked.grant, asked.since]);
    }
    let bytes = 0;
    const whole = new Set<string>();
    for (const [topicKey, subscribed] of this.again) {
      bytes += bytesOfTopic(topicKey);
      const { grant, since } = this.filters.get(topicKey) ?? { grant: 0, since: this.subscribes };
      if (bytes <= BROUGHT_BYTES_MAX) begun.push([topicKey, subscribed, grant, since]);
      else if (!whole.has(subscribed)) begun.push([subscribed, subscribed, grant, since]);
      if (bytes > BROUGHT_BYTES_MAX) whole.add(subscribed);
    }
    return {
      begun,
      brought: interrupted === null || this.#brought === null ? null : [...this.#brought],
      superseded: this.#live.all(),
      subscribes: this.subscribes,
      notedTo: this.notes?.notedTo ?? 0,
      generation: this.notes?.generation ?? 0,
    };
  }

  /** Which SUBSCRIBE has asked for a filter that has not begun; 0: none, or it has. */
  unbegunSince(filterKey: string): number {
    return this.again.has(filterKey) ? 0 : (this.filters.get(filterKey)?.since ?? 0);
  }

  /**
   * A filter of another shard's replay that has not begun; how far that has come will follow.
   * @param since which SUBSCRIBE has asked.
   */
  addMoved(filterKey: string, grant: Grant, since: number): void {
    this.#isPlaceKnown = false;
    this.filters.set(filterKey, { grant, since });
    // Its generation will follow.
    this.notes?.adopt(filterKey, since, this.notes.generation);
  }

  /** Takes over how far another shard's replay has come. */
  restore({ begun, brought, superseded, subscribes, notedTo, generation }: ReplayPlace): void {
    this.#isPlaceKnown = true;
    this.subscribes = Math.max(this.subscribes, subscribes);
    if (this.notes !== null) {
      this.notes.notedTo = Math.max(this.notes.notedTo, notedTo);
      this.notes.generation = generation;
    }
    for (const [filterKey, subscribed, grant, since] of begun) {
      this.notes?.adopt(subscribed, since, generation);
      if (brought !== null && this.interrupted === null) {
        this.interrupted = { filterKey, asked: { grant, since }, subscribed };
        continue;
      }
      this.filters.set(filterKey, { grant, since });
      if (filterKey !== subscribed) this.again.set(filterKey, subscribed);
    }
    for (const [topicKey, since] of superseded) this.#supersede(topicKey, since);
    for (const topicKey of brought ?? []) this.noteBrought(topicKey);
  }

  /** A filter of which something is still to be sent, as the store says: it knows what was. */
  addStored(owed: OwedFilter, grant: Grant): void {
    const { filterKey, since } = owed;
    this.#isPlaceKnown = true;
    // What is asked for next is of none that there may have been meanwhile.
    const subscribes = this.notes?.adoptStored(owed) ?? 0;
    this.subscribes = Math.max(this.subscribes, subscribes);
    if (!this.filters.has(filterKey)) this.filters.set(filterKey, { grant, since });
  }

  end(): void {
    this.#host.end(this);
  }

  /** A topic of the current filter was sent. */
  noteBrought(topicKey: string): void {
    this.#broughtBytes += bytesOfTopic(topicKey);
    if (this.#broughtBytes > BROUGHT_BYTES_MAX) this.#brought = null;
    else this.#brought?.add(topicKey);
  }

  /** Whether the current filter has more to come. */
  get isReading(): boolean {
    return (
      this.local !== null || this.askedShard >= 0 || this.owners !== 0 || this.arrived.length > 0
    );
  }

  /** Whether this shard's part of the current filter is still to come, or is coming. */
  get #isHereToCome(): boolean {
    return this.local !== null || (this.owners & this.#here) !== 0;
  }

  /** Gives the current filter up, but for what its owner may be sending. */
  leaveFilter(): void {
    this.local = null;
    this.askedShard = -1;
    this.isPartDone = false;
    this.owners = 0;
    this.arrived.length = 0;
  }

  /**
   * The older message comes first, with RETAIN, and then the newer: were it left out, nothing would
   * come as retained [MQTT-3.3.1-6].
   */
  beforeLive(topicKey: string): void {
    if (this.isHeldBack(topicKey)) return;
    const owed = this.#owed(topicKey);
    if (owed === null || this.notes?.wasSent(topicKey, owed.since) === true) return;
    this.#host.bringOlder(this, topicKey, owed);
  }

  /**
   * The filter of the highest QoS for which what this shard retains of a topic is still to be sent.
   * Null when there is none, when that is not known yet, or takes too long to find out.
   */
  #owed(topicKey: string): Asked | null {
    if (!this.#isPlaceKnown) return null;
    const superseded = this.#live.since(topicKey);
    const again = this.filters.get(topicKey);
    let owed = again !== undefined && again.since > superseded ? again : null;
    let left = FILTERS_LOOKED_THROUGH;
    const look = (filterKey: string, asked: Asked) => {
      if (asked.since <= superseded || !matchesKey(filterKey, topicKey)) return;
      if (owed === null || grantedQos(asked.grant) > grantedQos(owed.grant)) owed = asked;
    };
    const isKnown = this.#brought !== null && !this.#brought.has(topicKey);
    const { interrupted } = this;
    if (isKnown && this.#isHereToCome) look(this.filterKey, this.asked);
    if (isKnown && interrupted !== null) look(interrupted.filterKey, interrupted.asked);
    // Removed ones cost a look as well, but a Map has never more of them than a few for each other.
    if (this.filters.size <= left) {
      left -= this.filters.size;
      for (const [filterKey, asked] of this.filters) look(filterKey, asked);
    }
    for (const { filters, since } of this.unconfirmed.all) {
      left -= filters.length;
      if (left < 0) break;
      for (const [filterKey, grant] of filters) {
        if (this.session.subscriptions.has(filterKey)) look(filterKey, { grant, since });
      }
    }
    return owed;
  }

  /**
   * Topics beyond a bound are forgotten, all of them: what is read or asked for from here on is at
   * least as new as what has come live, and only a part that is on its way may be older.
   */
  onLive(topicKey: string, qos: number): void {
    if (qos < 0) {
      this.#live.delete(topicKey);
      this.notes?.forgetSent(topicKey);
      this.isPartDoubtful = true;
      return;
    }
    this.notes?.noteSent(topicKey, this.subscribes);
    this.#supersede(topicKey, this.subscribes);
  }

  #supersede(topicKey: string, since: number): void {
    if (this.#live.set(topicKey, since)) return;
    this.#leaveToNotes();
    this.isPartDoubtful = true;
  }

  /**
   * Whether the topic is left out of the current filter: a newer message of it has come live since
   * that was subscribed to, or it was sent before an interruption.
   */
  isLeftOut(topicKey: string): boolean {
    if (this.#skipsBrought && this.#brought?.has(topicKey) === true) return true;
    const { since } = this.asked;
    return this.isSuperseded(topicKey, since) || this.notes?.wasSent(topicKey, since) === true;
  }

  /** Whether a newer message has come live since this SUBSCRIBE. */
  isSuperseded(topicKey: string, since: number): boolean {
    return this.#live.since(topicKey) >= since;
  }

  /** Bytes of the topics remembered. */
  get supersededBytes(): number {
    return this.#live.bytes;
  }
}
