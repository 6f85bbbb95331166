/** SUBSCRIBE (MQTT 3.1.1, 3.8). */
import { Counter } from '../base/counters.js';
import { LOGGED_FILTERS_MAX } from '../base/limits.js';
import { subackFrame } from '../protocol/ack-frame.js';
import type { QoS, SubscribePacket } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import type { Session } from '../sessions/session.js';
import { hasWildcard, isValidTopicFilter, toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';
import { endIfAnswered } from './handle-disconnect.js';

/** Connections that were refused a filter for their number: the log says it once of each. */
const refusedConnections = new WeakSet<Connection>();

/**
 * Subscribes; the SUBACK has a return code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1],
 * and goes out when every shard routes them. What is retained follows it. A filter that the client
 * may not have beside those that it has is refused; one that it has is always renewed.
 */
export function handleSubscribe(connection: Connection, packet: SubscribePacket): void {
  const { host } = connection;
  const session = connection.session!;
  connection.subacksOwed++;
  const accepted: [filterKey: string, qos: QoS][] = [];
  const room = new Room(connection, packet.subscriptions.length);
  let refused = 0;
  const returnCodes = packet.subscriptions.map(({ filter, qos }) => {
    const filterKey = toTopicKey(filter);
    if (!isValidTopicFilter(filterKey)) return SUBACK_FAILURE;
    if (!room.take(filterKey)) {
      refused++;
      return SUBACK_FAILURE;
    }
    accepted.push([filterKey, qos]);
    return qos;
  });
  if (refused > 0) noteRefused(connection, refused);
  if (host.isDebugLogged) {
    const granted = returnCodes.slice(0, LOGGED_FILTERS_MAX);
    const filters = packet.subscriptions.slice(0, LOGGED_FILTERS_MAX).map(({ filter }) => filter);
    const { clientId } = connection;
    const count = returnCodes.length;
    host.log('debug', { clientId, count, filters: filters.join(' '), granted }, 'subscribed');
  }
  host.subscribe(session, accepted, () => {
    connection.subacksOwed--;
    if (connection.isClosed) return;
    connection.append(subackFrame(packet.packetId, returnCodes));
    if (connection.isOpen) host.replayRetained(session, accepted);
    else endIfAnswered(connection);
  });
}

/** What a client may subscribe to beside what it has, in one SUBSCRIBE. */
class Room {
  readonly #session: Session;
  /** Filters of the SUBSCRIBE that are new; null where it does not matter, far from the limits. */
  readonly #added: Set<string> | null;
  #left: number;
  #wildcardsLeft: number;

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
    if (this.#left <= 0 || (isWildcard && this.#wildcardsLeft <= 0)) return false;
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
