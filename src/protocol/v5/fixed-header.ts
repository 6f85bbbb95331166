/** The first byte of a frame and the remaining length behind it in MQTT 5.0 [MQTT 5.0, 2.1]. */
import { CloseReason, ProtocolError } from '../../base/errors.js';
import { HEADER_ALLOWED, HEADER_RULES, headerError } from '../fixed-header.js';
import { PacketType } from '../packet.js';

/** By first byte of a frame: 1 when MQTT 5.0 allows it, else 0. It takes no liberty of 3.1's. */
export const HEADERS_ALLOWED_5: Uint8Array = HEADER_RULES.map((rule) =>
  rule === HEADER_ALLOWED ? 1 : 0,
);
HEADERS_ALLOWED_5[PacketType.auth << 4] = 1;

/** The error for a first byte that HEADERS_ALLOWED_5 does not allow [MQTT-2.1.3-1]. */
export function headerError5(header: number): ProtocolError {
  const hex = `0x${header.toString(16).padStart(2, '0')}`;
  switch (header >> 4) {
    case 0:
      return new ProtocolError('2.1.2', `packet type 0 is reserved (header ${hex})`);
    // 5.0 has the same statements under the same numbers.
    case PacketType.publish:
    case PacketType.pubrel:
    case PacketType.subscribe:
    case PacketType.unsubscribe:
    case PacketType.disconnect:
      return headerError(header);
    case PacketType.auth:
      return new ProtocolError('MQTT-3.15.1-1', `AUTH flags must be 0 (header ${hex})`);
    default:
      return new ProtocolError('MQTT-2.1.3-1', `reserved flags are set (header ${hex})`);
  }
}

/** The error for a remaining length that is no Variable Byte Integer in its shortest form. */
export function remainingLengthError(): ProtocolError {
  return new ProtocolError(
    'MQTT-1.5.5-1',
    'remaining length of more than 4 bytes, or not in its shortest form',
  );
}

/** The error for data that the protocol does not allow in a packet that could be read. */
export function protocolError(clause: string, message: string, reasonCode?: number): ProtocolError {
  return new ProtocolError(clause, message, CloseReason.protocolViolation, reasonCode);
}
