/** Errors for packets that a client may not send, or not now. */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { ConnectionState } from './connection-state.js';

/** The error for a packet before CONNECT. */
export function notConnected(): ProtocolError {
  return violation('MQTT-3.1.0-1', 'the first packet is not CONNECT');
}

/** The error for a packet before its connection is open. */
export function notOpen(state: ConnectionState): ProtocolError {
  if (state !== ConnectionState.awaitAuth) return notConnected();
  return violation('MQTT-3.1.2-30', 'neither AUTH nor DISCONNECT before CONNACK');
}

/** The error for a CONNECT that is not the first packet. */
export function secondConnect(): ProtocolError {
  return violation('MQTT-3.1.0-2', 'a second CONNECT');
}

/** The error for a packet that only a server sends. */
export function notForClients(type: string): ProtocolError {
  return violation('2.2.1', `a client may not send ${type.toUpperCase()}`);
}

/** An error for what may not be, in a packet that could be read. */
export function violation(clause: string, message: string): ProtocolError {
  return new ProtocolError(clause, message, CloseReason.protocolViolation);
}
