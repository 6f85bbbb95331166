/** SUBACK and UNSUBACK of MQTT 5.0 (3.9, 3.11). */
import { PacketType } from '../protocol/packet.js';
import {
  filterAckFrame5,
  fitToMaximumPacketSize,
  isErrorCode,
  ReasonCode,
  Sender,
} from '../protocol/v5/index.js';
import type { Connection } from './connection.js';

/** What is said to people of filters that are refused. */
const REASONS: Readonly<Record<number, string>> = {
  [ReasonCode.topicFilterInvalid]: 'a filter is none, or longer than is taken here',
  [ReasonCode.quotaExceeded]:
    'the client has as many subscriptions as it may, or asks for too many at once',
  [ReasonCode.sharedSubscriptionsNotSupported]: 'no shared subscriptions here',
};

/**
 * The SUBACK with a reason code for each filter, with a Reason String where one is refused and the
 * client wants to be told [MQTT-3.1.2-29].
 * @returns null when it is longer than the client takes [MQTT-3.1.2-24].
 */
export function suback5(
  connection: Connection,
  packetId: number,
  reasonCodes: readonly number[],
): Buffer | null {
  const { maximumPacketSize, wantsReasons } = connection;
  const refusal = wantsReasons ? reasonCodes.find(isErrorCode) : undefined;
  if (refusal === undefined) {
    return fitting(connection, filterAckFrame5(PacketType.suback, packetId, reasonCodes));
  }
  const properties = { reasonString: REASONS[refusal] };
  const packet = { type: 'suback', packetId, reasonCodes, properties } as const;
  return fitToMaximumPacketSize(packet, maximumPacketSize, Sender.server);
}

/** The UNSUBACK with a reason code for each filter; null as above. */
export function unsuback5(
  connection: Connection,
  packetId: number,
  reasonCodes: readonly number[],
): Buffer | null {
  return fitting(connection, filterAckFrame5(PacketType.unsuback, packetId, reasonCodes));
}

function fitting({ maximumPacketSize }: Connection, frame: Buffer): Buffer | null {
  return frame.length <= maximumPacketSize ? frame : null;
}
