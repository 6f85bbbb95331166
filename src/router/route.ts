/**
 * Where the messages of one topic go: found once for a topic, kept in a bounded cache, looked up
 * once for a run. A change of an exact filter drops one route; one of a wildcard filter drops those
 * that it matches, when they are used next (route-changes.ts).
 */
import type { Rights } from '../access/rights.js';
import { CloseReason, ProtocolError } from '../base/errors.js';
import {
  LEFT_MATCH_SWEEPS_MAX,
  LEFT_MATCHES_MAX,
  ROUTE_CACHE_ENTRIES,
  ROUTE_CACHE_SUBSCRIBERS_MAX,
  ROUTE_CACHE_TOPIC_BYTES_MAX,
  ROUTE_CHANGES_KEPT,
  ROUTES_SWEPT_MAX,
} from '../base/limits.js';
import { MATCH_STEPS_PER_WORK } from '../base/turn-limits.js';
import { ReasonCode } from '../protocol/v5/index.js';
import type { Session } from '../sessions/session.js';
import type { MatchedGrant } from '../topics/grant.js';
import { ANY_STEPS, type MatchWalk } from '../topics/match-walk.js';
import type { TopicsProvider } from '../topics/provider.js';
import { MatchResult } from '../topics/subscription-tree.js';
import { hasWildcard, isUtf8TopicBytes, isValidTopicName } from '../topics/topic.js';
import type { RetainedMessage } from './retained-message.js';
import { RouteChanges } from './route-changes.js';
import { hashOfBytes, hashOfTopic, TopicPlaces } from './topic-places.js';

const NO_SUBSCRIBERS: readonly Session[] = [];
const NO_GRANTS: readonly MatchedGrant[] = [];
const DOLLAR = 0x24;
/** What `toString('latin1', start, end)` comes to, without the names of encodings on the way. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Buffer, start: number, end: number) => string;
};
/** Generation of a route that must be resolved before it is used. */
const STALE = -1;
/** A check against a change takes this part of a step of a match. */
const CHECKS_PER_STEP = 4;
/** Changes that any route is checked against, before it is resolved again. */
const CHECKS_MIN = 8;

/** One topic's destinations. Plain data; the arrays are replaced, never changed. */
export class Route {
  readonly topicKey: string;
  /** See `isPublishable`; false too for one that is made for a publisher that may not. */
  readonly isPublishable: boolean;
  /** The shard that keeps this topic's retained message. */
  readonly retainedOwner: number;
  generation = STALE;
  /** Local sessions with a matching filter, each once. */
  subscribers: readonly Session[] = NO_SUBSCRIBERS;
  /** What each of `subscribers` is granted. */
  grants: readonly MatchedGrant[] = NO_GRANTS;
  /** Subscription Identifiers of each of them that has any; null when none has. */
  identifiers: readonly (readonly number[] | undefined)[] | null = null;
  /** Those that go with what each of them publishes itself: see MatchResult. */
  ownIdentifiers: readonly (readonly number[] | undefined)[] | null = null;
  /** Other shards with a matching filter. */
  shardMask = 0;
  /** Those of them that keep what is for some subscriber in a store. */
  keptMask = 0;
  /** This shard does, or one of them. */
  isKept = false;
  /** Whoever was found last to be allowed to publish here. */
  publisherRights: Rights | null = null;
  /** Steps that it took to resolve it: checking whether it has to be again must not cost more. */
  matchSteps = 0;

  /** @param isRefused its publisher may not publish there, though others may. */
  constructor(topicKey: string, retainedOwner: number, isRefused = false) {
    this.topicKey = topicKey;
    this.isPublishable = !isRefused && isPublishable(topicKey);
    this.retainedOwner = retainedOwner;
  }

  /** Must be resolved before it is used again; keeps no session alive until then. */
  clear(): void {
    this.generation = STALE;
    // A delivery under way holds the arrays themselves.
    this.subscribers = NO_SUBSCRIBERS;
    this.grants = NO_GRANTS;
    this.identifiers = null;
    this.ownIdentifiers = null;
    this.publisherRights = null;
  }

  /** Whether bytes [start, start + length) are this topic. */
  isTopic(buffer: Buffer, start: number, length: number): boolean {
    const topicKey = this.topicKey;
    if (topicKey.length !== length) return false;
    for (let index = length - 1; index >= 0; index--) {
      if (topicKey.charCodeAt(index) !== buffer[start + index]) return false;
    }
    return true;
  }
}

/** Whether clients may publish to a topic: `$SYS/` is the server's own. */
export function isPublishable(topicKey: string): boolean {
  if (topicKey.charCodeAt(0) !== DOLLAR) return true;
  return topicKey !== '$SYS' && !topicKey.startsWith('$SYS/');
}

/** The shard that keeps the retained message of a topic. */
export function retainedOwnerOf(topicKey: string, shardCount: number): number {
  return (hashOfTopic(topicKey) >>> 0) % shardCount;
}

/** A match that goes on when its topic is asked for again. */
interface LeftMatch {
  readonly walk: MatchWalk;
  /** Which sweep was the last before it was gone on with. */
  usedAt: number;
}

/**
 * Routes by topic, in two generations of ROUTE_CACHE_ENTRIES: no list to maintain on a hit. A topic
 * gets in when it is asked for a second time: those that never come again cost a look-up and a
 * match, and no garbage that would outlive the turn.
 */
export class RouteCache {
  /** Some session's rights are bounded: those who may not read a topic are not on its route. */
  isRuled = false;
  readonly #topics: TopicsProvider<Session, RetainedMessage>;
  readonly #shardCount: number;
  readonly #match = new MatchResult<Session>();
  #young = new Map<string, Route>();
  #old = new Map<string, Route>();
  /** Subscribers of the young ones' routes, together. */
  #youngSubscribers = 0;
  readonly #places = new TopicPlaces();
  /** Number of the last change of a wildcard filter. */
  #generation = 0;
  readonly #changes = new RouteChanges();
  /** Checks against changes so far. */
  #checks = 0;
  /** Steps taken since the last `takeWork`: a small integer, which `matchSteps` is not for ever. */
  #stepsNotTaken = 0;
  /** Those that `sweep` is going through. */
  #swept: Iterator<Route> = this.#young.values();
  #sweepsOld = false;
  /** Matches that were left before their end, by topic. */
  readonly #left = new Map<string, LeftMatch>();
  #sweeps = 0;

  constructor(topics: TopicsProvider<Session, RetainedMessage>, shardCount: number) {
    this.#topics = topics;
    this.#shardCount = shardCount;
  }

  /** Whether a route that a caller kept may still be used. */
  isFresh(route: Route): boolean {
    return route.generation === this.#generation;
  }

  /**
   * Steps that matches have taken so far (SubscriptionTree.matchSteps): the difference between two
   * looks is what was done in between.
   */
  get matchSteps(): number {
    return this.#topics.matchSteps + this.#checks / CHECKS_PER_STEP;
  }

  /** Work that look-ups have caused since the last call, in the units of a share of a turn. */
  takeWork(): number {
    const steps = this.#stepsNotTaken;
    if (steps < MATCH_STEPS_PER_WORK) return 0;
    this.#stepsNotTaken = 0;
    return (steps / MATCH_STEPS_PER_WORK) | 0;
  }

  /**
   * The route of the topic in bytes [start, start + length), however many steps it takes.
   * @throws ProtocolError for a topic that is no valid Topic Name [MQTT-3.3.2-2, 1.5.3-1, 1.5.3-2].
   */
  find(buffer: Buffer, start: number, length: number): Route {
    return this.findWithin(buffer, start, length, ANY_STEPS)!;
  }

  /**
   * As `find`, but leaves off when a match has taken `stepsMax` steps. What was done is kept for
   * the next call with the same topic, which may come from another caller, and goes on with it.
   * @returns null when it was left.
   */
  findWithin(buffer: Buffer, start: number, length: number, stepsMax: number): Route | null {
    const end = start + length;
    const hash = hashOfBytes(buffer, start, end);
    const topicKey = latin1Slice.call(buffer, start, end);
    let known: Route | undefined;
    if (this.#places.mayBeKept(hash)) {
      const route = this.#young.get(topicKey);
      if (route !== undefined) {
        return route.generation === this.#generation ? route : this.#refresh(route, stepsMax);
      }
      known = this.#old.get(topicKey);
    }
    if (known === undefined) checkTopic(topicKey, buffer, start, length);
    return this.#keep(topicKey, hash, known, stepsMax);
  }

  /** The route of a topic known to be valid, however many steps it takes. */
  findKey(topicKey: string): Route {
    return this.findKeyWithin(topicKey, ANY_STEPS)!;
  }

  /** As `findWithin`, of a topic known to be valid. */
  findKeyWithin(topicKey: string, stepsMax: number): Route | null {
    const route = this.#young.get(topicKey);
    if (route !== undefined) return this.#refresh(route, stepsMax);
    return this.#keep(topicKey, hashOfTopic(topicKey), this.#old.get(topicKey), stepsMax);
  }

  /**
   * Gives up matches that nobody has gone on with for long, and lets go of what is in routes that
   * nobody uses. To be called every SWEEP_MS.
   */
  sweep(): void {
    this.#sweeps++;
    for (const [topicKey, left] of this.#left) {
      if (this.#sweeps - left.usedAt <= LEFT_MATCH_SWEEPS_MAX) continue;
      this.#topics.abandonMatch(left.walk);
      this.#left.delete(topicKey);
    }
    const checksEnd = this.#checks + ROUTE_CHANGES_KEPT;
    for (let routes = 0; routes < ROUTES_SWEPT_MAX && this.#checks < checksEnd; routes++) {
      const next = this.#swept.next();
      if (next.done) {
        this.#sweepsOld = !this.#sweepsOld;
        this.#swept = (this.#sweepsOld ? this.#old : this.#young).values();
        return;
      }
      const route = next.value;
      if (route.subscribers.length === 0 || this.#isSpared(route)) continue;
      if (!this.#sweepsOld) this.#youngSubscribers -= route.subscribers.length;
      route.clear();
    }
  }

  /** A subscription to this filter was added, changed or removed, here or on another shard. */
  invalidate(filterKey: string): void {
    if (hasWildcard(filterKey)) {
      this.#changes.note(++this.#generation, filterKey);
      return;
    }
    const young = this.#young.get(filterKey);
    if (young !== undefined) this.#youngSubscribers -= young.subscribers.length;
    (young ?? this.#old.get(filterKey))?.clear();
  }

  /** Anything may have changed. */
  invalidateAll(): void {
    this.#generation += ROUTE_CHANGES_KEPT + 1;
  }

  #keep(topicKey: string, hash: number, known: Route | undefined, stepsMax: number): Route | null {
    const route = known ?? new Route(topicKey, (hash >>> 0) % this.#shardCount);
    const isKept = topicKey.length <= ROUTE_CACHE_TOPIC_BYTES_MAX;
    if (known === undefined && (!isKept || this.#places.isFirstSight(hash))) {
      if (!this.#resolve(route, stepsMax)) return null;
      // Nobody may use it later: it is in no map, and would miss invalidations.
      route.generation = STALE;
      return route;
    }
    if (known !== undefined) this.#old.delete(topicKey);
    if (this.#young.size >= ROUTE_CACHE_ENTRIES) this.#growOld();
    this.#young.set(topicKey, route);
    this.#places.keep(hash);
    this.#youngSubscribers += route.subscribers.length;
    return this.#refresh(route, stepsMax);
  }

  #growOld(): void {
    // Connections keep the route they used last: one that leaves the cache is used by nobody.
    for (const route of this.#old.values()) route.clear();
    this.#old = this.#young;
    this.#young = new Map();
    this.#places.growOld();
    this.#youngSubscribers = 0;
    this.#swept = this.#old.values();
    this.#sweepsOld = true;
  }

  /** @returns a young route, resolved again if it must be; null when the match was left. */
  #refresh(route: Route, stepsMax: number): Route | null {
    if (this.#isSpared(route)) return route;
    const before = route.subscribers.length;
    if (!this.#resolve(route, stepsMax)) return null;
    this.#youngSubscribers += route.subscribers.length - before;
    if (this.#youngSubscribers > ROUTE_CACHE_SUBSCRIBERS_MAX) this.#growOld();
    return route;
  }

  /** Whether a route is what it was when it was resolved, as far as that is worth finding out. */
  #isSpared(route: Route): boolean {
    const last = this.#generation;
    const since = route.generation;
    if (since === last) return true;
    const changes = last - since;
    if (since === STALE || changes > CHECKS_MIN + CHECKS_PER_STEP * route.matchSteps) return false;
    this.#checks += changes;
    this.#stepsNotTaken += (changes / CHECKS_PER_STEP) | 0;
    if (!this.#changes.haveSpared(route.topicKey, since, last)) return false;
    route.generation = last;
    return true;
  }

  /** @returns false when the match was left. */
  #resolve(route: Route, stepsMax: number): boolean {
    const match = this.#match;
    const before = this.#topics.matchSteps;
    const left = this.#left.size === 0 ? undefined : this.#left.get(route.topicKey);
    const isDone =
      left === undefined
        ? this.#beginMatch(route.topicKey, stepsMax)
        : this.#goOnWith(route.topicKey, left, stepsMax);
    const steps = (this.#topics.matchSteps - before) | 0;
    this.#stepsNotTaken += steps;
    if (!isDone) return false;
    route.shardMask = match.shardMask;
    route.keptMask = match.keptMask;
    route.isKept = match.isKeptHere || match.keptMask !== 0;
    const areAny = match.identifiers.length > 0;
    route.identifiers = areAny ? match.identifiers.slice() : null;
    route.ownIdentifiers = areAny ? match.ownIdentifiers.slice() : null;
    if (match.count === 0) {
      route.subscribers = NO_SUBSCRIBERS;
      route.grants = NO_GRANTS;
    } else if (this.isRuled) {
      takeReaders(route, match);
      this.#stepsNotTaken += match.count;
    } else {
      route.subscribers = match.subscribers.slice(0, match.count);
      route.grants = match.grants.slice(0, match.count);
    }
    route.generation = this.#generation;
    // One that was left took a great many.
    route.matchSteps = left === undefined ? steps : ROUTE_CHANGES_KEPT;
    return true;
  }

  /** @returns false when the match was left. */
  #beginMatch(topicKey: string, stepsMax: number): boolean {
    const walk = this.#topics.matchWithin(topicKey, this.#match, stepsMax);
    if (walk === null) return true;
    this.#leave(topicKey, walk);
    return false;
  }

  #goOnWith(topicKey: string, left: LeftMatch, stepsMax: number): boolean {
    left.usedAt = this.#sweeps;
    if (!this.#topics.resumeMatch(left.walk, this.#match, stepsMax)) return false;
    this.#left.delete(topicKey);
    return true;
  }

  /** Keeps a match that was left. One that there is no room for begins anew when there is. */
  #leave(topicKey: string, walk: MatchWalk): void {
    if (this.#left.size < LEFT_MATCHES_MAX) {
      this.#left.set(topicKey, { walk, usedAt: this.#sweeps });
    } else {
      this.#topics.abandonMatch(walk);
    }
  }
}

/** Gives a route those of its subscribers that may read its topic. */
function takeReaders(route: Route, match: MatchResult<Session>): void {
  const places: number[] = [];
  for (let at = 0; at < match.count; at++) {
    const { rights } = match.subscribers[at]!;
    if (rights === null || rights.mayRead(route.topicKey)) places.push(at);
  }
  route.subscribers = places.map((at) => match.subscribers[at]!);
  route.grants = places.map((at) => match.grants[at]!);
  if (route.identifiers === null) return;
  route.identifiers = places.map((at) => match.identifiers[at]);
  route.ownIdentifiers = places.map((at) => match.ownIdentifiers[at]);
}

function checkTopic(topicKey: string, buffer: Buffer, start: number, length: number): void {
  if (!isUtf8TopicBytes(buffer, start, start + length)) {
    throw new ProtocolError('MQTT-1.5.3-1', 'topic name is not valid UTF-8 or holds U+0000');
  }
  if (!isValidTopicName(topicKey)) {
    const { malformedPacket } = CloseReason;
    const what = 'topic name holds a wildcard or too many levels';
    // To a 5.0 client these are two faults, the latter of a bound of ours.
    const code = hasWildcard(topicKey) ? ReasonCode.protocolError : ReasonCode.topicNameInvalid;
    throw new ProtocolError('MQTT-3.3.2-2', what, malformedPacket, code);
  }
}
