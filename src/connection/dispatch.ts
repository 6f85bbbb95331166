/** From a frame that is neither PUBLISH nor an ack to its handler. */
import { parsePacket } from '../protocol/codec.js';
import { openSubscribe, openUnsubscribe } from '../protocol/frame-check.js';
import { PacketType } from '../protocol/packet.js';
import { type Connection, ConnectionState } from './connection.js';
import { dispatchConnect } from './dispatch-connect.js';
import { dispatchFrame5 } from './dispatch5.js';
import { handleDisconnect } from './handle-disconnect.js';
import { handleSubscribe } from './handle-subscribe.js';
import { handleUnsubscribe } from './handle-unsubscribe.js';
import { notForClients, secondConnect } from './packet-errors.js';

/**
 * Handles the whole frame [start, end).
 * @throws ProtocolError for a packet that a client may not send, or not now; ConnectRefusedError.
 */
export function dispatchFrame(
  connection: Connection,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  const { host, state, protocolVersion } = connection;
  if (state === ConnectionState.awaitConnect) {
    dispatchConnect(connection, buffer, start, end);
    return;
  }
  if (protocolVersion === 5) {
    dispatchFrame5(connection, buffer, start, end);
    return;
  }
  // These are not parsed in one go: see long-packet.ts.
  const type = buffer[start]! >> 4;
  if (type === PacketType.subscribe || type === PacketType.unsubscribe) {
    if (host.isStopping) return;
    if (type === PacketType.subscribe) {
      handleSubscribe(connection, openSubscribe(buffer, start, end, protocolVersion));
    } else handleUnsubscribe(connection, openUnsubscribe(buffer, start, end, protocolVersion));
    return;
  }
  const packet = parsePacket(buffer, start, end, protocolVersion);
  if (host.isStopping && packet.type !== 'disconnect') return;
  switch (packet.type) {
    case 'disconnect':
      handleDisconnect(connection);
      return;
    case 'connect':
      throw secondConnect();
    default:
      throw notForClients(packet.type);
  }
}
