/** The beginning of a whole frame of MQTT 5.0. */
import { ProtocolError } from '../../base/errors.js';
import { FieldReader } from './field-reader.js';
import { HEADERS_ALLOWED_5, headerError5, remainingLengthError } from './fixed-header.js';
import type { Sender } from './property.js';
import {
  VariableByteIntegerFault,
  variableByteIntegerAt,
  variableByteIntegerEnd,
} from './variable-byte-integer.js';

/** Checks first byte and remaining length. @returns a reader of the body. @throws ProtocolError */
export function openFrame(buffer: Buffer, start: number, end: number, sender: Sender): FieldReader {
  if (start >= end) throw new ProtocolError('2.1', 'an empty frame');
  if (HEADERS_ALLOWED_5[buffer[start]] === 0) throw headerError5(buffer[start]);
  const bodyStart = variableByteIntegerEnd(buffer, start + 1, end);
  if (bodyStart === VariableByteIntegerFault.illFormed) throw remainingLengthError();
  if (bodyStart < 0) throw new ProtocolError('2.1.4', 'remaining length is missing');
  const length = variableByteIntegerAt(buffer, start + 1);
  if (length !== end - bodyStart) {
    throw new ProtocolError('2.1.4', `remaining length ${length}, but ${end - bodyStart} bytes`);
  }
  return new FieldReader(buffer, bodyStart, end, sender);
}
