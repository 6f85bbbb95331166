/** CONNECT (MQTT 3.1.1, 3.1): who is it, may it, and which session is its own. */
import { randomUUID } from 'node:crypto';
import { ProtocolError } from '../base/errors.js';
import type { ConnectPacket } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import { isValidTopicName, toTopicKey } from '../topics/topic.js';
import type { Credentials } from './authenticator.js';
import { type Connection, ConnectionState, Pause } from './connection.js';

/**
 * Takes an accepted CONNECT packet up to the claim of its client id; handling stops until that is
 * granted.
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
  connection.state = ConnectionState.connecting;
  const verdict = authenticate(connection, packet);
  if (typeof verdict === 'boolean') {
    onVerdict(connection, packet, verdict);
    return;
  }
  connection.pause(Pause.connecting);
  verdict.then(
    (isAccepted) => onVerdict(connection, packet, isAccepted),
    (error) => onFailure(connection, error),
  );
}

function authenticate(connection: Connection, packet: ConnectPacket): boolean | Promise<boolean> {
  const { host, clientId, socket } = connection;
  const { username, password } = packet;
  const credentials: Credentials = {
    clientId,
    username,
    password,
    // Asks the kernel, so only if somebody wants to know.
    get remoteAddress() {
      return socket.remoteAddress ?? '';
    },
  };
  try {
    return host.authenticator.authenticate(credentials);
  } catch (error) {
    return Promise.reject(error);
  }
}

function onVerdict(connection: Connection, packet: ConnectPacket, isAccepted: boolean): void {
  if (connection.state !== ConnectionState.connecting) return;
  if (!isAccepted) {
    const { badUserNameOrPassword, notAuthorized } = ConnackCode;
    const returnCode = packet.username === null ? notAuthorized : badUserNameOrPassword;
    connection.refuse(returnCode, 'the authenticator said no');
    return;
  }
  connection.pause(Pause.connecting);
  connection.host.claim(connection, packet);
}

function onFailure(connection: Connection, error: unknown): void {
  if (connection.state !== ConnectionState.connecting) return;
  const detail = error instanceof Error ? error.message : String(error);
  connection.host.log('error', { clientId: connection.clientId, detail }, 'authenticator failed');
  connection.refuse(ConnackCode.serverUnavailable, 'the authenticator failed');
}
