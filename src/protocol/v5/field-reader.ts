/** Reads the fields of one MQTT 5.0 packet in order, each held against the bytes that are left. */
import { ProtocolError } from '../../base/errors.js';
import { protocolError } from './fixed-header.js';
import { decodeProperties, NO_PROPERTIES, type Properties } from './properties.js';
import type { PropertyHolder, Sender } from './property.js';
import { checkProperties, holderName, PROPERTIES_OK, propertyError } from './property-check.js';
import { uint16At } from './property-find.js';
import { checkUtf8, Utf8Fault } from './utf8.js';
import { variableByteIntegerAt, variableByteIntegerEnd } from './variable-byte-integer.js';

const NUL_CLAUSE = 'MQTT-1.5.4-2';
const UTF8_CLAUSE = 'MQTT-1.5.4-1';

/** A field is named in errors by `what`; a packet that ends before it breaks `clause`. */
export class FieldReader {
  readonly buffer: Buffer;
  readonly end: number;
  readonly sender: Sender;
  position: number;

  /** @param sender of the packet, whose properties are checked for it. */
  constructor(buffer: Buffer, position: number, end: number, sender: Sender) {
    this.buffer = buffer;
    this.position = position;
    this.end = end;
    this.sender = sender;
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.end - this.position;
  }

  byte(clause: string, what: string): number {
    this.#need(1, clause, what);
    return this.buffer[this.position++];
  }

  uint16(clause: string, what: string): number {
    this.#need(2, clause, what);
    this.position += 2;
    return uint16At(this.buffer, this.position - 2);
  }

  /** Not 0 [MQTT-2.2.1-3] [MQTT-2.2.1-4]. */
  packetId(): number {
    const packetId = this.uint16('2.2.1', 'packet id');
    if (packetId === 0) throw protocolError('MQTT-2.2.1-3', 'packet id 0');
    return packetId;
  }

  /** Binary Data: two length bytes and so many bytes, copied to memory of their own. */
  binary(clause: string, what: string): Buffer {
    const start = this.#field(clause, what);
    return this.#copy(start);
  }

  /** A UTF-8 Encoded String. */
  text(clause: string, what: string): string {
    const start = this.#field(clause, what);
    const fault = checkUtf8(this.buffer, start, this.position);
    if (fault === Utf8Fault.nul) throw new ProtocolError(NUL_CLAUSE, `${what} contains U+0000`);
    if (fault !== Utf8Fault.none) {
      throw new ProtocolError(UTF8_CLAUSE, `${what} is not valid UTF-8`);
    }
    return this.buffer.toString('utf8', start, this.position);
  }

  /** A Topic Name, without wildcards; what may be empty is the caller's to say. */
  topic(wildcardClause: string, what: string): string {
    const topic = this.text('MQTT-3.3.2-1', what);
    if (/[+#]/.test(topic)) throw protocolError(wildcardClause, `${what} contains a wildcard`);
    return topic;
  }

  /** A Topic Filter, of whose syntax only its length is looked at. */
  filter(clause: string): string {
    const filter = this.text(clause, 'topic filter');
    if (filter === '') throw protocolError('MQTT-4.7.3-1', 'topic filter is empty');
    return filter;
  }

  /** Property Length and properties. */
  properties(holder: PropertyHolder): Properties {
    const start = this.propertyBlock(holder);
    return start === this.position
      ? NO_PROPERTIES
      : decodeProperties(this.buffer, start, this.position);
  }

  /** The same, checked and left where it is. @returns where it begins, behind its length. */
  propertyBlock(holder: PropertyHolder): number {
    const start = variableByteIntegerEnd(this.buffer, this.position, this.end);
    if (start < 0) {
      throw new ProtocolError('MQTT-2.2.2-1', `no Property Length in ${holderName(holder)}`);
    }
    const length = variableByteIntegerAt(this.buffer, this.position);
    this.position = start;
    this.#need(length, '2.2.2.1', 'the last property');
    this.position += length;
    const fault = checkProperties(this.buffer, start, this.position, holder, this.sender);
    if (fault !== PROPERTIES_OK) throw propertyError(fault, holder);
    return start;
  }

  /** All bytes that are left, copied. */
  rest(): Buffer {
    const start = this.position;
    this.position = this.end;
    return this.#copy(start);
  }

  atEnd(clause: string): void {
    if (this.left === 0) return;
    throw new ProtocolError(clause, `${this.left} bytes too many in the packet`);
  }

  #need(bytes: number, clause: string, what: string): void {
    if (this.left >= bytes) return;
    throw new ProtocolError(clause, `the packet ends before ${what} does`);
  }

  /** Goes behind a field with a length. @returns where its content begins. */
  #field(clause: string, what: string): number {
    const length = this.uint16(clause, what);
    this.#need(length, clause, what);
    this.position += length;
    return this.position - length;
  }

  /** Memory of its own: a piece of Node's pool would hold 8 KiB for as long as it lives. */
  #copy(start: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.position - start);
    this.buffer.copy(copy, 0, start, this.position);
    return copy;
  }
}
