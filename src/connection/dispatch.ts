/** From a frame that is neither PUBLISH nor an ack to its handler. */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { parsePacket } from '../protocol/codec.js';
import { type Connection, ConnectionState } from './connection.js';
import { handleConnect } from './handle-connect.js';
import { handleDisconnect } from './handle-disconnect.js';
import { handleSubscribe } from './handle-subscribe.js';
import { handleUnsubscribe } from './handle-unsubscribe.js';

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
  const packet = parsePacket(buffer, start, end, connection.protocolVersion);
  if (connection.state === ConnectionState.awaitConnect) {
    if (packet.type !== 'connect') throw notConnected();
    handleConnect(connection, packet);
    return;
  }
  if (connection.host.isStopping && packet.type !== 'disconnect') return;
  switch (packet.type) {
    case 'subscribe':
      handleSubscribe(connection, packet);
      return;
    case 'unsubscribe':
      handleUnsubscribe(connection, packet);
      return;
    case 'disconnect':
      handleDisconnect(connection);
      return;
    case 'connect':
      throw violation('MQTT-3.1.0-2', 'a second CONNECT');
    default:
      throw violation('2.2.1', `a client may not send ${packet.type.toUpperCase()}`);
  }
}

/** The error for a packet before CONNECT. */
export function notConnected(): ProtocolError {
  return violation('MQTT-3.1.0-1', 'the first packet is not CONNECT');
}

function violation(clause: string, message: string): ProtocolError {
  return new ProtocolError(clause, message, CloseReason.protocolViolation);
}
