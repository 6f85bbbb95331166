/** CONNECT (3.1): who is it, may it, and which session is its own. */
import { randomUUID } from 'node:crypto';
import { CloseReason, ProtocolError } from '../base/errors.js';
import { isValidTopicName, toTopicKey } from '../topics/topic.js';
import { shortened } from './admit.js';
import { Authentication } from './authentication.js';
import type { ConnectRequest } from './connect-request.js';
import { type Connection, ConnectionState } from './connection.js';
import { EnhancedAuthentication } from './enhanced-authentication.js';

/**
 * Takes an accepted CONNECT up to the question to the authenticator, behind which its client
 * id is claimed; handling stops until that is granted.
 * @throws ProtocolError for a will that could not be published, ConnectRefusedError for one that
 *   the server has been set not to take.
 */
export function handleConnect(connection: Connection, request: ConnectRequest): void {
  const { will, username } = request;
  connection.protocolVersion = request.protocolVersion;
  connection.maximumPacketSize = request.maximumPacketSize;
  connection.wantsReasons = request.requestProblemInformation;
  connection.isBridge = request.isBridge;
  if (will !== null && !isValidTopicName(toTopicKey(will.topic))) {
    const { malformedPacket } = CloseReason;
    throw new ProtocolError('4.7.3', 'will topic holds too many levels', malformedPacket, 0x90);
  }
  // An empty client id of 3.1.1 comes with clean session only, and gets one of ours
  // [MQTT-3.1.3-6].
  const clientId = request.clientId === '' ? `surgemq-${randomUUID()}` : request.clientId;
  connection.clientId = clientId;
  connection.username = shortened(username);
  connection.state = ConnectionState.connecting;
  const { authenticationMethod, authenticationData } = request;
  if (authenticationMethod === null) {
    new Authentication(connection, request).ask();
  } else {
    connection.enhanced = new EnhancedAuthentication(connection, request, authenticationMethod);
    connection.enhanced.begin(authenticationData);
  }
}
