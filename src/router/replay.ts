/** How far the retained messages for one session have come, whoever brings them. */
import { BROUGHT_BYTES_MAX, SUPERSEDED_BYTES_MAX } from '../base/limits.js';
import type { ReplayGuard, ReplayPlace, Session } from '../sessions/session.js';
import { type Grant, grantedQos } from '../topics/grant.js';
import { matchesKey } from '../topics/topic.js';
import type { Opening } from './opening.js';
import type { RetainedFrame, RetainedMessage } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';

/** What a topic in a Set or Map takes beside its characters. */
const TOPIC_OVERHEAD_BYTES = 64;
/** A topic that comes live is looked for among no more filters than these. */
const FILTERS_LOOKED_THROUGH = 64;

/** Filters of a SUBSCRIBE, with what each is granted. */
export type Filters = readonly (readonly [filterKey: string, grant: Grant])[];

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
  /** Sends what a topic retains on this shard, if anything. */
  bringOlder(replay: Replay, topicKey: string, grant: Grant): void;
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

/** A message that an owner has sent. */
export interface Arrived extends RetainedFrame {
  readonly topicKey: string;
}

/** A SUBSCRIBE whose SUBACK waits for other shards. */
export interface Unconfirmed {
  readonly filters: Filters;
  readonly since: number;
  /**
   * Of them those that the session did not have, or that were unconfirmed too; null: it has too
   * many filters to hold anything back, or too many hold something back already.
   */
  readonly fresh: Set<string> | null;
  /** Of the filters those unsubscribed since; null: none, or there are too many. */
  left: Set<string> | null;
  /** What other shards are asked for before the SUBACK; null: nothing. */
  opening: Opening | null;
}

/** What one session is being sent; its own state machine: filter by filter, owner by owner. */
export class Replay implements ReplayGuard {
  /**
   * Topics of which a newer message has come live than the replay may bring, each with the last
   * SUBSCRIBE before it.
   */
  readonly #superseded = new Map<string, number>();
  #supersededBytes = 0;
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
  readonly filters = new Map<string, Asked>();
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
  readonly unconfirmed: Unconfirmed[] = [];
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
  /** Those of `unconfirmed` that hold anything back: few, where there may be 16,000. */
  readonly #holding: Unconfirmed[] = [];
  /** SUBACKs that have to go out before anything is sent. */
  #holds = 0;
  /** In the list of those that have a step to take. */
  isReady = false;

  constructor(id: number, session: Session, shardIndex: number, host: ReplayHost) {
    this.id = id;
    this.session = session;
    this.#here = 1 << shardIndex;
    this.#host = host;
  }

  /** The session is about to subscribe to these filters. */
  expect(filters: Filters): Unconfirmed {
    const { subscriptions } = this.session;
    let fresh: Set<string> | null = null;
    const most = Math.max(filters.length, subscriptions.size, this.#holding.length + 1);
    if (most <= FILTERS_LOOKED_THROUGH) {
      fresh = new Set();
      for (const [filterKey] of filters) {
        if (!subscriptions.has(filterKey) || this.#isFresh(filterKey)) fresh.add(filterKey);
      }
    }
    const since = ++this.subscribes;
    const unconfirmed = { filters, since, fresh, left: null, opening: null };
    this.unconfirmed.push(unconfirmed);
    if (fresh !== null) this.#holding.push(unconfirmed);
    return unconfirmed;
  }

  #isFresh(filterKey: string): boolean {
    return this.#holding.some(({ fresh }) => fresh?.has(filterKey) === true);
  }

  /** A filter is unsubscribed: an earlier SUBSCRIBE begins nothing any more. */
  noteLeft(filterKey: string): void {
    for (const unconfirmed of this.#holding) {
      if (!unconfirmed.filters.some(([each]) => each === filterKey)) continue;
      unconfirmed.left ??= new Set();
      unconfirmed.left.add(filterKey);
    }
  }

  /** The SUBACK of a SUBSCRIBE has gone out. */
  confirm(filters: Filters): Unconfirmed | null {
    const at = this.unconfirmed.findIndex((each) => each.filters === filters);
    if (at < 0) return null;
    const [confirmed] = this.unconfirmed.splice(at, 1) as [Unconfirmed];
    const held = this.#holding.indexOf(confirmed);
    if (held >= 0) this.#holding.splice(held, 1);
    // What is published from here on comes live, whatever later SUBSCRIBEs of it wait for.
    for (const [filterKey] of filters) {
      if (confirmed.left?.has(filterKey) === true) continue;
      for (const { fresh } of this.#holding) fresh?.delete(filterKey);
    }
    return confirmed;
  }

  isHeldBack(topicKey: string): boolean {
    const { subscriptions } = this.session;
    if (this.unconfirmed.length === 0 || subscriptions.size > FILTERS_LOOKED_THROUGH) return false;
    let isFound = false;
    for (const filterKey of subscriptions.keys()) {
      if (!matchesKey(filterKey, topicKey)) continue;
      if (!this.#isFresh(filterKey)) return false;
      isFound = true;
    }
    return isFound;
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
    return this.#holding.some(({ opening }) => opening?.wants(topicKey, isLocal) === true);
  }

  keepNewer(topicKey: string, message: RetainedMessage | null, isLocal: boolean): void {
    for (const { opening } of this.#holding) {
      if (opening === null || !opening.wants(topicKey, isLocal)) continue;
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
    this.unconfirmed.length = 0;
    this.#holding.length = 0;
    this.#holds = 0;
    if (!this.isReading) return;
    const { filterKey, asked, subscribed } = this;
    this.interrupted = { filterKey, asked, subscribed };
  }

  /** Goes on with what was interrupted; anew where too much was sent to be noted. */
  goOn({ filterKey, asked, subscribed }: Begun): void {
    this.interrupted = null;
    this.filterKey = filterKey;
    this.asked = asked;
    this.subscribed = subscribed;
    this.#skipsBrought = this.#brought !== null;
    if (this.#brought !== null) return;
    this.#brought = new Set();
    this.#broughtBytes = 0;
  }

  /** Forgets what was sent and has come live: the filter that was interrupted begins anew. */
  forgetPlace(): void {
    this.#brought = null;
    this.#superseded.clear();
    this.#supersededBytes = 0;
  }

  /** Whether nothing is left to be sent, but for SUBSCRIBEs that are not confirmed. */
  get isDone(): boolean {
    return !this.isReading && this.interrupted === null && this.filters.size === 0;
  }

  /** Whether this filter is to be sent, and has not begun. */
  isUnbegun(filterKey: string): boolean {
    return this.filters.has(filterKey) && !this.again.has(filterKey);
  }

  /**
   * Topics that are asked for again beyond a bound are left to their filter, which then begins
   * anew.
   */
  place(): ReplayPlace {
    const begun: [filterKey: string, subscribed: string, grant: Grant][] = [];
    const { interrupted } = this;
    if (interrupted !== null) {
      begun.push([interrupted.filterKey, interrupted.subscribed, interrupted.asked.grant]);
    }
    let bytes = 0;
    const whole = new Set<string>();
    for (const [topicKey, subscribed] of this.again) {
      bytes += topicKey.length + TOPIC_OVERHEAD_BYTES;
      const grant = this.filters.get(topicKey)?.grant ?? 0;
      if (bytes <= BROUGHT_BYTES_MAX) begun.push([topicKey, subscribed, grant]);
      else if (!whole.has(subscribed)) begun.push([subscribed, subscribed, grant]);
      if (bytes > BROUGHT_BYTES_MAX) whole.add(subscribed);
    }
    const superseded = [...this.#superseded].filter(([topicKey, since]) => {
      return !this.#isAskedSince(topicKey, since);
    });
    return {
      begun,
      brought: interrupted === null || this.#brought === null ? null : [...this.#brought],
      superseded: superseded.map(([topicKey]) => topicKey),
    };
  }

  /**
   * Whether a filter that a topic matches is still to be sent, and was asked for behind this
   * SUBSCRIBE; true when that takes too long to find out.
   */
  #isAskedSince(topicKey: string, before: number): boolean {
    if (before === this.subscribes) return false;
    if (this.filters.size > FILTERS_LOOKED_THROUGH) return true;
    for (const [filterKey, { since }] of this.filters) {
      if (since > before && matchesKey(filterKey, topicKey)) return true;
    }
    const { interrupted } = this;
    if (interrupted === null || interrupted.asked.since <= before) return false;
    return matchesKey(interrupted.filterKey, topicKey);
  }

  /** A filter of another shard's replay that has not begun; how far that has come will follow. */
  addMoved(filterKey: string, grant: Grant): void {
    this.#isPlaceKnown = false;
    this.filters.set(filterKey, { grant, since: this.subscribes });
  }

  /** Takes over how far another shard's replay has come. */
  restore({ begun, brought, superseded }: ReplayPlace): void {
    const since = this.subscribes;
    this.#isPlaceKnown = true;
    for (const [filterKey, subscribed, grant] of begun) {
      if (brought !== null && this.interrupted === null) {
        this.interrupted = { filterKey, asked: { grant, since }, subscribed };
        continue;
      }
      this.filters.set(filterKey, { grant, since });
      if (filterKey !== subscribed) this.again.set(filterKey, subscribed);
    }
    for (const topicKey of superseded) this.onLive(topicKey, true);
    for (const topicKey of brought ?? []) this.noteBrought(topicKey);
  }

  end(): void {
    this.#host.end(this);
  }

  /** A topic of the current filter was sent. */
  noteBrought(topicKey: string): void {
    this.#broughtBytes += topicKey.length + TOPIC_OVERHEAD_BYTES;
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
    if (owed !== null) this.#host.bringOlder(this, topicKey, owed.grant);
  }

  /**
   * The filter of the highest QoS for which what this shard retains of a topic is still to be sent.
   * Null when there is none, when that is not known yet, or takes too long to find out.
   */
  #owed(topicKey: string): Asked | null {
    if (!this.#isPlaceKnown) return null;
    const superseded = this.#superseded.get(topicKey) ?? 0;
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
    for (const { filters, since } of this.unconfirmed) {
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
  onLive(topicKey: string, isDelivered: boolean): void {
    const bytes = topicKey.length + TOPIC_OVERHEAD_BYTES;
    if (!isDelivered) {
      if (this.#superseded.delete(topicKey)) this.#supersededBytes -= bytes;
      this.isPartDoubtful = true;
      return;
    }
    if (!this.#superseded.has(topicKey)) {
      if (this.#supersededBytes + bytes > SUPERSEDED_BYTES_MAX) {
        this.#superseded.clear();
        this.#supersededBytes = 0;
        this.isPartDoubtful = true;
      }
      this.#supersededBytes += bytes;
    }
    this.#superseded.set(topicKey, this.subscribes);
  }

  /**
   * Whether the topic is left out of the current filter: a newer message of it has come live since
   * that was subscribed to, or it was sent before an interruption.
   */
  isLeftOut(topicKey: string): boolean {
    if (this.#skipsBrought && this.#brought?.has(topicKey) === true) return true;
    return this.isSuperseded(topicKey, this.asked.since);
  }

  /** Whether a newer message has come live since this SUBSCRIBE. */
  isSuperseded(topicKey: string, since: number): boolean {
    return (this.#superseded.get(topicKey) ?? 0) >= since;
  }

  /** Bytes of the topics remembered. */
  get supersededBytes(): number {
    return this.#supersededBytes;
  }
}
