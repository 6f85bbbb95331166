/** CONNECT (MQTT 3.1.1, 3.1): who is it, may it, and which session is its own. */
import { randomUUID } from 'node:crypto';
import { ProtocolError } from '../base/errors.js';
import { LOG_TEXT_LENGTH_MAX } from '../base/limits.js';
import type { ConnectPacket } from '../protocol/packet.js';
import { isValidTopicName, toTopicKey } from '../topics/topic.js';
import { Authentication } from './authentication.js';
import { type Connection, ConnectionState } from './connection.js';

/**
 * Takes an accepted CONNECT packet up to the question to the authenticator, behind which its client
 * id is claimed; handling stops until that is granted.
 * @throws ProtocolError for a will that could not be published.
 */
export function handleConnect(connection: Connection, packet: ConnectPacket): void {
  if (packet.will !== null && !isValidTopicName(toTopicKey(packet.will.topic))) {
    throw new ProtocolError('4.7.3', 'will topic holds too many levels');
  }
  connection.protocolVersion = packet.protocolVersion;
  // An empty client id comes with clean session only, and gets one of ours [MQTT-3.1.3-6].
  const clientId = packet.clientId === '' ? `surgemq-${randomUUID()}` : packet.clientId;
  connection.clientId = clientId;
  connection.username = shortened(packet.username);
  connection.state = ConnectionState.connecting;
  new Authentication(connection, packet).ask();
}

/** A text for the log, in a string of its own: a part of a long one would keep the whole. */
function shortened(text: string | null): string | null {
  if (text === null || text.length <= LOG_TEXT_LENGTH_MAX) return text;
  return `${Buffer.from(text.slice(0, LOG_TEXT_LENGTH_MAX)).toString()}…`;
}
