/** What may go wrong with a connection, in words. */
import { ProtocolError } from '../base/errors.js';
import { Ending } from './resend.js';
import { tlsReason } from './tls-faults.js';
import { WebSocketCloseError, webSocketReason } from './ws-faults.js';

/** Codes of errors by which a socket says that the other side has closed it. */
const RESET_CODES: readonly unknown[] = ['ECONNRESET', 'EPIPE', 'ECONNABORTED'];

/** How a connection has ended, by the error of its socket; null for an end in order. */
export function endingBy(cause: Error | null): Ending {
  if (cause === null || cause instanceof WebSocketCloseError) return Ending.closed;
  return 'code' in cause && RESET_CODES.includes(cause.code) ? Ending.reset : Ending.other;
}

/** The error for a packet that only a client sends. */
export function ofClient(type: string): ProtocolError {
  const message = `${type.toUpperCase()} from a server, which only a client may send`;
  return new ProtocolError('2.2.1', message);
}

/** The error for a packet that may not come yet. */
export function beforeConnack(type: number): ProtocolError {
  return new ProtocolError('MQTT-3.2.0-1', `packet of type ${type} before CONNACK`);
}

/** Why a connection failed, in words; the code of an error without any (an AggregateError). */
export function reasonOf(error: Error): string {
  const words = tlsReason(error) ?? webSocketReason(error);
  if (words !== undefined) return words;
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}
