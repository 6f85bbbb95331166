/** What a 5.0 client is told before its connection is closed [MQTT 5.0, 3.14, 4.13]. */
import { CloseReason } from '../base/errors.js';
import { PacketType } from '../protocol/packet.js';
import {
  fitToMaximumPacketSize,
  isReasonCodeAllowed,
  ReasonCode,
  Sender,
} from '../protocol/v5/index.js';
import { refusal5 } from './connack5.js';
import { type Connection, ConnectionState } from './connection.js';
import { reasonStringOf, serverReferenceOf } from './reasons5.js';

/** The reason code for each reason to close; null: nobody listens, or it has been said. */
const REASON_CODES: Readonly<Record<CloseReason, ReasonCode | null>> = {
  [CloseReason.clientDisconnected]: null,
  [CloseReason.connectionLost]: null,
  [CloseReason.connectRefused]: null,
  [CloseReason.handshakeFailed]: null,
  [CloseReason.connectTimeout]: null,
  [CloseReason.malformedPacket]: ReasonCode.malformedPacket,
  [CloseReason.protocolViolation]: ReasonCode.protocolError,
  [CloseReason.packetTooLarge]: ReasonCode.packetTooLarge,
  [CloseReason.authenticationFailed]: ReasonCode.notAuthorized,
  [CloseReason.notAuthorized]: ReasonCode.notAuthorized,
  [CloseReason.admissionEnded]: ReasonCode.maximumConnectTime,
  [CloseReason.keepAliveTimeout]: ReasonCode.keepAliveTimeout,
  [CloseReason.takenOver]: ReasonCode.sessionTakenOver,
  [CloseReason.kicked]: ReasonCode.administrativeAction,
  [CloseReason.listenerRemoved]: ReasonCode.administrativeAction,
  [CloseReason.unresponsive]: ReasonCode.implementationSpecificError,
  [CloseReason.unfinishedPacket]: ReasonCode.quotaExceeded,
  [CloseReason.quotaExceeded]: ReasonCode.quotaExceeded,
  [CloseReason.proxyHeader]: null,
  [CloseReason.addressLimit]: null,
  [CloseReason.slowConsumer]: ReasonCode.quotaExceeded,
  [CloseReason.workerDied]: ReasonCode.serverBusy,
  [CloseReason.serverShutdown]: ReasonCode.serverShuttingDown,
};

/**
 * The last packet to a 5.0 client that is closed for `reason`: DISCONNECT, or a CONNACK where none
 * has been sent.
 * @param reasonCode where it is not the one that goes with `reason`. @param detail for people.
 * @returns null when there is nothing to be said, or the client takes no packet that says it.
 */
export function farewell5(
  connection: Connection,
  reason: CloseReason,
  reasonCode: number | undefined,
  detail: string,
): Buffer | null {
  const ownCode = REASON_CODES[reason];
  if (ownCode === null) return null;
  const code = codeFor(connection, reasonCode ?? ownCode);
  if (connection.state < ConnectionState.open) {
    return refusal5(connection, connackCodeOf(code), detail);
  }
  const properties = {
    reasonString: reasonStringOf(detail),
    serverReference: serverReferenceOf(connection, code),
  };
  // An error may have a code that is for CONNACK alone.
  const isAllowed = isReasonCodeAllowed(code, PacketType.disconnect, Sender.server);
  const told = isAllowed ? code : ReasonCode.protocolError;
  const packet = { type: 'disconnect', reasonCode: told, properties } as const;
  return fitToMaximumPacketSize(packet, connection.maximumPacketSize, Sender.server);
}

/** Who is to go somewhere else is told where, and that is said with a code of its own. */
function codeFor({ host }: Connection, code: number): number {
  const isElsewhere =
    code === ReasonCode.serverShuttingDown && host.config.serverReference !== null;
  return isElsewhere ? ReasonCode.useAnotherServer : code;
}

/** The code for a CONNACK, which knows fewer of them than DISCONNECT. */
function connackCodeOf(code: number): number {
  if (isReasonCodeAllowed(code, PacketType.connack, Sender.server)) return code;
  if (code === ReasonCode.serverShuttingDown) return ReasonCode.serverUnavailable;
  return ReasonCode.unspecifiedError;
}
