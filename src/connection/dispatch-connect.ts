/** The first packet of a connection: which version it asks for, and with that how it is read. */
import { ConnectRefusedError, ProtocolError } from '../base/errors.js';
import { parsePacket } from '../protocol/codec.js';
import { PacketType } from '../protocol/packet.js';
import { ConnackCode } from '../protocol/return-code.js';
import { ConnectVersion, connectVersionOf, parsePacket5, Sender } from '../protocol/v5/index.js';
import { type ConnectRequest, exceeds, requestOf, requestOf5 } from './connect-request.js';
import type { Connection } from './connection.js';
import { handleConnect } from './handle-connect.js';
import { notConnected } from './packet-errors.js';

/**
 * Handles the first frame [start, end), which must be CONNECT.
 * @throws ProtocolError for another packet, or for one that is not as its version has it;
 *   ConnectRefusedError.
 */
export function dispatchConnect(
  connection: Connection,
  buffer: Buffer,
  start: number,
  end: number,
): void {
  if (buffer[start] >> 4 !== PacketType.connect) throw notConnected();
  const is5 = connectVersionOf(buffer, start, end) === ConnectVersion.mqtt5;
  const read = is5 ? readConnect5 : readConnect;
  handleConnect(connection, read(connection, buffer, start, end));
}

function readConnect(
  { profile }: Connection,
  buffer: Buffer,
  start: number,
  end: number,
): ConnectRequest {
  const packet = parsePacket(buffer, start, end, 4);
  if (packet.type !== 'connect') throw notConnected();
  const { config } = profile;
  const { keepAliveSeconds } = packet;
  if (exceeds(keepAliveSeconds, config.maxKeepAliveSeconds)) {
    const message = `a keep alive of ${keepAliveSeconds} s is not allowed here (maxKeepAlive)`;
    throw new ConnectRefusedError(ConnackCode.identifierRejected, message);
  }
  return requestOf(packet, config);
}

function readConnect5(
  connection: Connection,
  buffer: Buffer,
  start: number,
  end: number,
): ConnectRequest {
  // Whatever is wrong with the rest of it, the answer is for a 5.0 client.
  connection.protocolVersion = 5;
  if (connection.host.scan.isShortened) {
    throw new ProtocolError('MQTT-1.5.5-1', 'remaining length not in its shortest form');
  }
  const packet = parsePacket5(buffer, start, end, Sender.client);
  if (packet.type !== 'connect') throw notConnected();
  return requestOf5(packet, connection.profile.config);
}
