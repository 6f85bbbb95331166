/** SUBSCRIBE (3.8). */
import { rulesLookedAt } from '../access/rights.js';
import { Counter } from '../base/counters.js';
import { CloseReason, ProtocolError } from '../base/errors.js';
import { LOGGED_FILTERS_MAX, RULES_PER_PART } from '../base/limits.js';
import { WORK_PER_LOOK } from '../base/turn-limits.js';
import { subackFrame } from '../protocol/ack-frame.js';
import type { FilterPacket } from '../protocol/filter-cursor.js';
import type { QoS } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import {
  isShareFilter,
  parseShareFilter,
  RETAIN_HANDLING_SHIFT,
  ReasonCode,
  RetainHandling,
  SubscriptionOption,
} from '../protocol/v5/index.js';
import type { ReplayGuard } from '../sessions/replay-guard.js';
import type { Session } from '../sessions/session.js';
import { type Grant, grantedQos, makeGrant } from '../topics/grant.js';
import { fromTopicKey, hasWildcard, isValidTopicFilter } from '../topics/topic.js';
import type { Servable } from './busy-connections.js';
import type { ClientProfile } from './client-profile.js';
import type { Connection } from './connection.js';
import { suback5 } from './filter-acks5.js';
import { beginPart, CHECKED_BYTES_PER_PART, handleInParts } from './long-packet.js';
import { isFilterTaken } from './publish-limits.js';
import type { OwedReply } from './reply-queue.js';

/**
 * Parts of a SUBSCRIBE whose replay begins in one go behind the SUBACK. To begin that of 100,000
 * filters takes 100 ms: that of so many begins before, in turn with other busy connections, and is
 * held until the SUBACK is out.
 */
const PARTS_REPLAYED_AT_ONCE = 8;

type Subscription = readonly [filterKey: string, grant: Grant];

/** Connections that were refused a filter for their number: the log says it once of each. */
const refusedConnections = new WeakSet<Connection>();

/**
 * Subscribes; the SUBACK has a return code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1],
 * and goes out when every shard routes them. What is retained follows it. A filter that the client
 * may not have beside those that it has is refused; one that it has is always renewed.
 * @param identifier of the subscriptions in MQTT 5.0, 0 for none.
 */
export function handleSubscribe(
  connection: Connection,
  packet: FilterPacket,
  identifier = 0,
): void {
  const owed = connection.owe();
  const parts = subscribeInParts(connection, packet, identifier, owed);
  handleInParts(connection, packet.filters, parts);
}

/** Subscribes to some of the filters with each step; answers when all of them are confirmed. */
function* subscribeInParts(
  connection: Connection,
  packet: FilterPacket,
  identifier: number,
  owed: OwedReply,
): Generator<void> {
  const { host } = connection;
  const session = connection.session!;
  const { filters } = packet;
  const named: string[] = [];
  while (!filters.checkSome(CHECKED_BYTES_PER_PART)) yield;
  const room = new Room(connection, filters.count);
  const answer = new Answer(connection, packet, session, owed);
  while (true) {
    const accepted: Subscription[] = [];
    let replayed: Subscription[] = connection.protocolVersion === 5 ? [] : accepted;
    let hasShared = false;
    beginPart(filters);
    // What access rules take is part of it, too: the clock is looked at behind it.
    rulesLookedAt.count = 0;
    while (!filters.isPartRead && rulesLookedAt.count < RULES_PER_PART) {
      const filterKey = filters.next();
      if (host.isDebugLogged && named.length < LOGGED_FILTERS_MAX) named.push(filterKey);
      const refusal = refusalOf(connection, filterKey, room);
      if (refusal !== 0) {
        answer.add(refusal);
        continue;
      }
      const { options } = filters;
      const grant = grantOf(connection, filterKey, options, identifier);
      const subscription: Subscription = [filterKey, grant];
      hasShared ||= isShareFilter(filterKey);
      if (replayed !== accepted && wantsRetained(session, accepted, filterKey, options)) {
        replayed.push(subscription);
      }
      accepted.push(subscription);
      answer.add(grantedQos(subscription[1]));
    }
    if (accepted.length > 0) {
      // To a group nothing comes as retained.
      if (hasShared) replayed = replayed.filter(([filterKey]) => !isShareFilter(filterKey));
      answer.awaitPart(replayed);
      host.subscribe(session, accepted, replayed, () => answer.onPartConfirmed());
    }
    if (filters.isAtEnd) break;
    yield;
  }
  if (room.refused > 0) noteRefused(connection, room.refused);
  if (host.isDebugLogged) {
    const granted = answer.returnCodes.slice(0, named.length);
    const { clientId } = connection;
    const { count } = filters;
    const fields = { clientId, count, filters: named.map(fromTopicKey).join(' '), granted };
    host.log('debug', fields, 'subscribed');
  }
  answer.onAllAsked();
}

/** Whether a client may subscribe to this, which may be a group of a Shared Subscription. */
function isSubscribable({ config }: ClientProfile, filterKey: string): boolean {
  if (!isShareFilter(filterKey)) {
    return isValidTopicFilter(filterKey) && isFilterTaken(config, filterKey);
  }
  const parts = parseShareFilter(filterKey);
  return parts !== null && isValidTopicFilter(parts.filter) && isFilterTaken(config, parts.filter);
}

/** Why a filter is not subscribed to, as SUBACK says it; 0: it may be. */
function refusalOf(connection: Connection, filterKey: string, room: Room): number {
  const is5 = connection.protocolVersion === 5;
  if (!isSubscribable(connection.profile, filterKey))
    return is5 ? ReasonCode.topicFilterInvalid : SUBACK_FAILURE;
  const { rights } = connection.session!;
  if (rights !== null && !rights.maySubscribe(filterKey)) {
    connection.host.access.onForbidden(connection, 'subscribe', filterKey, 1);
    return is5 ? ReasonCode.notAuthorized : SUBACK_FAILURE;
  }
  if (!room.take(filterKey)) return is5 ? ReasonCode.quotaExceeded : SUBACK_FAILURE;
  return 0;
}

/**
 * What a subscription with these options is granted. All those of a bridge have No Local and Retain
 * As Published, which 3.x cannot ask for: or else what it brings would go back where it came from.
 */
function grantOf(
  connection: Connection,
  filterKey: string,
  options: number,
  identifier: number,
): Grant {
  const { isBridge, profile } = connection;
  const qos = Math.min(options & SubscriptionOption.qos, profile.config.maxQos) as QoS;
  const isShared = isShareFilter(filterKey);
  const asksNoLocal = (options & SubscriptionOption.noLocal) !== 0;
  if (isShared && asksNoLocal) throw noLocalIsShared();
  const noLocal = asksNoLocal || (isBridge && !isShared);
  const retainAsPublished = isBridge || (options & SubscriptionOption.retainAsPublished) !== 0;
  return makeGrant(qos, noLocal, retainAsPublished, identifier);
}

function noLocalIsShared(): ProtocolError {
  const message = 'No Local with a Shared Subscription';
  const { protocolViolation } = CloseReason;
  return new ProtocolError('MQTT-3.8.3-4', message, protocolViolation, ReasonCode.protocolError);
}

/**
 * Whether what is retained is sent to a filter, by its Retain Handling [MQTT-3.3.1-9]
 * [MQTT-3.3.1-10] [MQTT-3.3.1-11]; 3.x has always.
 * @param accepted those before it in the same part, which are not subscribed to yet.
 */
function wantsRetained(
  session: Session,
  accepted: readonly Subscription[],
  filterKey: string,
  options: number,
): boolean {
  const handling = (options & SubscriptionOption.retainHandling) >> RETAIN_HANDLING_SHIFT;
  if (handling === RetainHandling.always) return true;
  if (handling === RetainHandling.never || session.subscriptions.has(filterKey)) return false;
  return !accepted.some(([other]) => other === filterKey);
}

/** The SUBACK of one SUBSCRIBE, and what follows it. */
class Answer implements Servable {
  readonly polledMs = 0;
  /** One for each filter, as far as they are handled. */
  readonly returnCodes: number[] = [];
  readonly #connection: Connection;
  readonly #packetId: number;
  readonly #owed: OwedReply;
  readonly #session: Session;
  readonly #parts: (readonly Subscription[])[] = [];
  #confirmedParts = 0;
  /** Parts whose replay has begun. */
  #replayedParts = 0;
  /** What sends nothing meanwhile. */
  #held: ReplayGuard | null = null;
  #isAllAsked = false;

  constructor(connection: Connection, packet: FilterPacket, session: Session, owed: OwedReply) {
    this.#owed = owed;
    this.#connection = connection;
    this.#packetId = packet.packetId;
    this.#session = session;
  }

  /** The return code of the next filter. */
  add(returnCode: number): void {
    this.returnCodes.push(returnCode);
  }

  /** @param replayed those of the part that are sent what is retained. */
  awaitPart(replayed: readonly Subscription[]): void {
    this.#parts.push(replayed);
  }

  onPartConfirmed(): void {
    this.#confirmedParts++;
    this.#goOnIfConfirmed();
  }

  onAllAsked(): void {
    this.#isAllAsked = true;
    this.#goOnIfConfirmed();
  }

  /** Begins the replay of a share of the parts; answers behind the last. */
  serve(milliseconds: number): boolean {
    const { isClosed, host } = this.#connection;
    if (isClosed) return false;
    host.share.begin(this, milliseconds);
    while (this.#replayedParts < this.#parts.length) {
      this.#replayPart();
      if (host.share.spend(WORK_PER_LOOK)) return true;
    }
    this.#send();
    return false;
  }

  #goOnIfConfirmed(): void {
    if (!this.#isAllAsked || this.#confirmedParts < this.#parts.length) return;
    if (this.#parts.length <= PARTS_REPLAYED_AT_ONCE) {
      this.#send();
      return;
    }
    this.#held = this.#session.replay;
    this.#held?.hold();
    this.#connection.host.onBusy(this);
  }

  #send(): void {
    const connection = this.#connection;
    const suback =
      connection.protocolVersion === 5
        ? suback5(connection, this.#packetId, this.returnCodes)
        : subackFrame(this.#packetId, this.returnCodes);
    if (suback === null) {
      connection.close(CloseReason.packetTooLarge, { detail: 'it takes no SUBACK so long' });
      return;
    }
    connection.answer(this.#owed, suback, () => {
      // To one that has sent DISCONNECT it is owed, if it comes back to its session.
      if (connection.isClosed) return;
      while (this.#replayedParts < this.#parts.length) this.#replayPart();
      this.#held?.release();
    });
  }

  #replayPart(): void {
    const part = this.#parts[this.#replayedParts++]!;
    this.#connection.host.replayRetained(this.#session, part);
  }
}

/** What a client may subscribe to beside what it has, in one SUBSCRIBE. */
class Room {
  readonly #session: Session;
  /** Filters of the SUBSCRIBE that are new; null where it does not matter, far from the limits. */
  readonly #added: Set<string> | null;
  #left: number;
  #wildcardsLeft: number;
  /** Of the filters of this SUBSCRIBE. */
  #filtersLeft: number;
  /** Filters that there was no room for. */
  refused = 0;

  constructor({ host, session, profile }: Connection, filters: number) {
    this.#session = session!;
    const { maxSubscriptions, maxWildcardSubscriptions, maxFiltersPerSubscribe } = profile.config;
    this.#filtersLeft = maxFiltersPerSubscribe || filters;
    this.#left = host.isShortOfMemory ? 0 : maxSubscriptions - session!.subscriptions.size;
    this.#wildcardsLeft = maxWildcardSubscriptions - session!.wildcardSubscriptions;
    this.#added = filters > Math.min(this.#left, this.#wildcardsLeft) ? new Set() : null;
  }

  /** @returns false when the client may not have this filter. */
  take(filterKey: string): boolean {
    if (--this.#filtersLeft < 0) {
      this.refused++;
      return false;
    }
    if (this.#added === null || this.#added.has(filterKey)) return true;
    if (this.#session.subscriptions.has(filterKey)) return true;
    const isWildcard = hasWildcard(filterKey);
    if (this.#left <= 0 || (isWildcard && this.#wildcardsLeft <= 0)) {
      this.refused++;
      return false;
    }
    this.#left--;
    if (isWildcard) this.#wildcardsLeft--;
    this.#added.add(filterKey);
    return true;
  }
}

function noteRefused(connection: Connection, refused: number): void {
  const { host, clientId, profile } = connection;
  host.counters.add(Counter.refusedSubscriptions, refused);
  // That memory is short is said by its guard.
  if (host.isShortOfMemory || refusedConnections.has(connection)) return;
  refusedConnections.add(connection);
  const { maxSubscriptions, maxWildcardSubscriptions, maxFiltersPerSubscribe } = profile.config;
  const limits = { maxSubscriptions, maxWildcardSubscriptions, maxFiltersPerSubscribe };
  host.log(
    'warn',
    { clientId, refused, ...limits },
    'filters refused: the client has as many subscriptions as maxSubscriptions or ' +
      'maxWildcardSubscriptions allows, or more at once than maxFiltersPerSubscribe; raise it',
  );
}
