/** SUBSCRIBE (MQTT 3.1.1, 3.8). */
import { Counter } from '../base/counters.js';
import { LOGGED_FILTERS_MAX } from '../base/limits.js';
import { subackFrame } from '../protocol/ack-frame.js';
import type { QoS, SubscribePacket } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import type { Session } from '../sessions/session.js';
import { hasWildcard, isValidTopicFilter, toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';
import { FILTERS_PER_PART, handleInParts } from './long-packet.js';
import type { OwedReply } from './reply-queue.js';

type Subscription = readonly [filterKey: string, qos: QoS];

/** Connections that were refused a filter for their number: the log says it once of each. */
const refusedConnections = new WeakSet<Connection>();

/**
 * Subscribes; the SUBACK has a return code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1],
 * and goes out when every shard routes them. What is retained follows it. A filter that the client
 * may not have beside those that it has is refused; one that it has is always renewed.
 */
export function handleSubscribe(connection: Connection, packet: SubscribePacket): void {
  const owed = connection.owe();
  handleInParts(connection, subscribeInParts(connection, packet, owed));
}

/** Subscribes to some of the filters with each step; answers when all of them are confirmed. */
function* subscribeInParts(
  connection: Connection,
  packet: SubscribePacket,
  owed: OwedReply,
): Generator<void> {
  const { host } = connection;
  const session = connection.session!;
  const { subscriptions } = packet;
  const room = new Room(connection, subscriptions.length);
  const answer = new Answer(connection, packet.packetId, session, owed);
  for (let at = 0; at < subscriptions.length; ) {
    const end = Math.min(at + FILTERS_PER_PART, subscriptions.length);
    const accepted: Subscription[] = [];
    for (; at < end; at++) {
      const { filter, qos } = subscriptions[at]!;
      const filterKey = toTopicKey(filter);
      const isAccepted = isValidTopicFilter(filterKey) && room.take(filterKey);
      if (isAccepted) accepted.push([filterKey, qos]);
      answer.returnCodes.push(isAccepted ? qos : SUBACK_FAILURE);
    }
    answer.awaitPart(accepted);
    host.subscribe(session, accepted, () => answer.onPartConfirmed());
    if (at < subscriptions.length) yield;
  }
  if (room.refused > 0) noteRefused(connection, room.refused);
  if (host.isDebugLogged) {
    const granted = answer.returnCodes.slice(0, LOGGED_FILTERS_MAX);
    const filters = subscriptions.slice(0, LOGGED_FILTERS_MAX).map(({ filter }) => filter);
    const { clientId } = connection;
    const count = subscriptions.length;
    host.log('debug', { clientId, count, filters: filters.join(' '), granted }, 'subscribed');
  }
  answer.onAllAsked();
}

/** The SUBACK of one SUBSCRIBE, and what follows it. */
class Answer {
  readonly returnCodes: number[] = [];
  readonly #connection: Connection;
  readonly #packetId: number;
  readonly #owed: OwedReply;
  readonly #session: Session;
  readonly #parts: (readonly Subscription[])[] = [];
  #confirmedParts = 0;
  #isAllAsked = false;

  constructor(connection: Connection, packetId: number, session: Session, owed: OwedReply) {
    this.#owed = owed;
    this.#connection = connection;
    this.#packetId = packetId;
    this.#session = session;
  }

  awaitPart(accepted: readonly Subscription[]): void {
    this.#parts.push(accepted);
  }

  onPartConfirmed(): void {
    this.#confirmedParts++;
    this.#sendIfConfirmed();
  }

  onAllAsked(): void {
    this.#isAllAsked = true;
    this.#sendIfConfirmed();
  }

  #sendIfConfirmed(): void {
    if (!this.#isAllAsked || this.#confirmedParts < this.#parts.length) return;
    const connection = this.#connection;
    connection.answer(this.#owed, subackFrame(this.#packetId, this.returnCodes), () => {
      // To one that has sent DISCONNECT it is owed, if it comes back to its session.
      if (connection.isClosed) return;
      for (const part of this.#parts) connection.host.replayRetained(this.#session, part);
    });
  }
}

/** What a client may subscribe to beside what it has, in one SUBSCRIBE. */
class Room {
  readonly #session: Session;
  /** Filters of the SUBSCRIBE that are new; null where it does not matter, far from the limits. */
  readonly #added: Set<string> | null;
  #left: number;
  #wildcardsLeft: number;
  /** Filters that there was no room for. */
  refused = 0;

  constructor({ host, session }: Connection, filters: number) {
    this.#session = session!;
    const { maxSubscriptions, maxWildcardSubscriptions } = host.config;
    this.#left = host.isShortOfMemory ? 0 : maxSubscriptions - session!.subscriptions.size;
    this.#wildcardsLeft = maxWildcardSubscriptions - session!.wildcardSubscriptions;
    this.#added = filters > Math.min(this.#left, this.#wildcardsLeft) ? new Set() : null;
  }

  /** @returns false when the client may not have this filter. */
  take(filterKey: string): boolean {
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
  const { host, clientId } = connection;
  host.counters.add(Counter.refusedSubscriptions, refused);
  // That memory is short is said by its guard.
  if (host.isShortOfMemory || refusedConnections.has(connection)) return;
  refusedConnections.add(connection);
  const { maxSubscriptions, maxWildcardSubscriptions } = host.config;
  host.log(
    'warn',
    { clientId, refused, maxSubscriptions, maxWildcardSubscriptions },
    'filters refused: the client has as many subscriptions as maxSubscriptions or ' +
      'maxWildcardSubscriptions allows; raise it',
  );
}
