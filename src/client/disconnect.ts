/** DISCONNECT, which in MQTT 5.0 either side sends and gives a reason in [MQTT 5.0, 3.14]. */
import { ServerDisconnectedError } from '../base/reason-errors.js';
import { DISCONNECT } from '../protocol/ack-frame.js';
import { PacketType } from '../protocol/packet.js';
import {
  type DisconnectPacket5,
  encodePacket5,
  isReasonCodeAllowed,
  NO_PROPERTIES,
  type Properties,
  ReasonCode,
  Sender,
} from '../protocol/v5/index.js';
import type { ProtocolLevel } from './handshake.js';
import { reasonIn, reasonWords } from './reasons.js';

/**
 * Our DISCONNECT.
 * @param reasonCode that a client may send; any other is sent as Unspecified error. In 3.x there is
 *   none, and no properties.
 * @throws ArgumentError for properties that it may not have.
 */
export function disconnectFrame(
  version: ProtocolLevel,
  reasonCode: number = ReasonCode.success,
  properties: Properties = NO_PROPERTIES,
): Buffer {
  if (version !== 5) return DISCONNECT;
  const isAllowed = isReasonCodeAllowed(reasonCode, PacketType.disconnect, Sender.client);
  const code = isAllowed ? reasonCode : ReasonCode.unspecifiedError;
  return encodePacket5({ type: 'disconnect', reasonCode: code, properties }, Sender.client);
}

/** The error for a DISCONNECT of the server. */
export function serverDisconnected(
  { reasonCode, properties }: DisconnectPacket5,
  uri: string,
): ServerDisconnectedError {
  const reason = reasonIn(reasonCode, properties);
  return new ServerDisconnectedError(
    `connection to ${uri} ended by the server: ${reasonWords(reason, PacketType.disconnect)}`,
    reason,
    properties.serverReference ?? null,
  );
}

/** Reasons of a server that lie in what goes on with it, not in what was sent to it. */
const OF_SERVER: readonly number[] = [
  ReasonCode.success,
  ReasonCode.serverBusy,
  ReasonCode.serverShuttingDown,
  ReasonCode.keepAliveTimeout,
  ReasonCode.sessionTakenOver,
  ReasonCode.messageRateTooHigh,
  ReasonCode.quotaExceeded,
  ReasonCode.administrativeAction,
  ReasonCode.useAnotherServer,
  ReasonCode.serverMoved,
  ReasonCode.connectionRateExceeded,
  ReasonCode.maximumConnectTime,
];

/** Whether a DISCONNECT of the server may be an answer to what was sent last. */
export function isAboutPackets(reasonCode: number): boolean {
  return !OF_SERVER.includes(reasonCode);
}
