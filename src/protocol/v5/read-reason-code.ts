/** One reason code of a packet. */
import type { PacketType } from '../packet.js';
import type { FieldReader } from './field-reader.js';
import { protocolError } from './fixed-header.js';
import { holderName } from './property-check.js';
import { isReasonCodeAllowed } from './reason-code.js';

/**
 * Reads a reason code and checks that a packet of this type may carry it.
 * @throws ProtocolError with `clause` when it may not.
 */
export function readReasonCode(reader: FieldReader, type: PacketType, clause: string): number {
  const code = reader.byte(clause, 'reason code');
  if (isReasonCodeAllowed(code, type, reader.sender)) return code;
  const hex = `0x${code.toString(16).padStart(2, '0')}`;
  throw protocolError(clause, `reason code ${hex} is not allowed in ${holderName(type)}`);
}
