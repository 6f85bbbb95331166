/** UNSUBSCRIBE (3.10). */
import { CloseReason } from '../base/errors.js';
import { LOGGED_FILTERS_MAX } from '../base/limits.js';
import { ackFrame } from '../protocol/ack-frame.js';
import type { FilterPacket } from '../protocol/filter-cursor.js';
import { PacketType } from '../protocol/packet.js';
import { ReasonCode } from '../protocol/v5/index.js';
import { layOutWholeWindow } from '../router/lay-out-window.js';
import type { Session } from '../sessions/session.js';
import { fromTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';
import { unsuback5 } from './filter-acks5.js';
import { beginPart, CHECKED_BYTES_PER_PART, handleInParts } from './long-packet.js';

/**
 * Unsubscribes: nothing new is delivered behind the UNSUBACK [MQTT-3.10.4-2], which is sent also
 * for no match.
 */
export function handleUnsubscribe(connection: Connection, packet: FilterPacket): void {
  handleInParts(connection, packet.filters, unsubscribeInParts(connection, packet));
}

function* unsubscribeInParts(connection: Connection, packet: FilterPacket): Generator<void> {
  const { host, clientId } = connection;
  const session = connection.session!;
  const { filters, packetId } = packet;
  const named: string[] = [];
  while (!filters.checkSome(CHECKED_BYTES_PER_PART)) yield;
  const is5 = connection.protocolVersion === 5;
  const reasonCodes: number[] = [];
  while (true) {
    beginPart(filters);
    while (!filters.isPartRead) {
      const filterKey = filters.next();
      const wasSubscribed = host.unsubscribe(session, filterKey);
      // There is no place for it in 3.x.
      if (is5) {
        const { success, noSubscriptionExisted } = ReasonCode;
        reasonCodes.push(wasSubscribed ? success : noSubscriptionExisted);
      }
      if (host.isDebugLogged && named.length < LOGGED_FILTERS_MAX) named.push(filterKey);
    }
    if (filters.isAtEnd) break;
    yield;
  }
  if (host.isDebugLogged) {
    const { count } = filters;
    const fields = { clientId, count, filters: named.map(fromTopicKey).join(' ') };
    host.log('debug', fields, 'unsubscribed');
  }
  const unsuback = is5
    ? unsuback5(connection, packetId, reasonCodes)
    : ackFrame(PacketType.unsuback, packetId);
  if (session.kept !== null) host.durable?.wait(connection);
  if (unsuback !== null) appendBehindMessages(connection, session, unsuback);
  else connection.close(CloseReason.packetTooLarge, { detail: 'it takes no UNSUBACK so long' });
}

/**
 * Sends it behind all messages that may be sent by then: what they wait for may be the write to
 * disk that it waits for.
 */
function appendBehindMessages(connection: Connection, session: Session, unsuback: Buffer): void {
  const { host } = connection;
  const layOut = () => layOutWholeWindow(session, host.arena, host.stamp);
  if (connection.replies === null) {
    layOut();
    connection.append(unsuback);
    return;
  }
  const owed = connection.owe();
  owed.beforeSent = layOut;
  connection.answer(owed, unsuback, () => {});
}
