/** From a frame of MQTT 5.0 that is neither PUBLISH nor a short ack to its handler. */
import { CloseReason } from '../base/errors.js';
import { PacketType } from '../protocol/packet.js';
import { openSubscribe5, openUnsubscribe5, parsePacket5, Sender } from '../protocol/v5/index.js';
import { type Connection, ConnectionState } from './connection.js';
import { handleAuth } from './enhanced-authentication.js';
import { handleAck5 } from './handle-acks5.js';
import { handleDisconnect } from './handle-disconnect.js';
import { handleSubscribe } from './handle-subscribe.js';
import { handleUnsubscribe } from './handle-unsubscribe.js';
import { notForClients, notOpen, secondConnect } from './packet-errors.js';

/**
 * Handles the whole frame [start, end) of a connection whose CONNECT has come.
 * @throws ProtocolError for a packet that a client may not send, or not now.
 */
export function dispatchFrame5(
  connection: Connection,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  const type = buffer[start]! >> 4;
  const { state } = connection;
  const isLeaving = type === PacketType.disconnect;
  if (state === ConnectionState.awaitAuth && type !== PacketType.auth && !isLeaving) {
    throw notOpen(state);
  }
  // It may be of a version that is not parsed here.
  if (type === PacketType.connect) throw secondConnect();
  // As in 3.x, these are not parsed in one go.
  if (type === PacketType.subscribe || type === PacketType.unsubscribe) {
    if (connection.host.isStopping) return;
    if (type === PacketType.subscribe) {
      const packet = openSubscribe5(buffer, start, end);
      handleSubscribe(connection, packet, packet.properties.subscriptionIdentifiers?.[0]);
    } else handleUnsubscribe(connection, openUnsubscribe5(buffer, start, end));
    return;
  }
  const packet = parsePacket5(buffer, start, end, Sender.client);
  switch (packet.type) {
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      handleAck5(connection, type, packet);
      return;
    case 'disconnect':
      if (state === ConnectionState.awaitAuth) {
        connection.close(CloseReason.clientDisconnected);
        return;
      }
      handleDisconnect(connection, packet.reasonCode, packet.properties.sessionExpiryInterval);
      return;
    case 'auth':
      handleAuth(connection, packet);
      return;
    default:
      throw notForClients(packet.type);
  }
}
