/**
 * Checks a block of properties where it lies [MQTT 5.0, 2.2.2]. Nothing is allocated unless there
 * is a fault to tell of.
 */
import { CloseReason, ProtocolError } from '../../base/errors.js';
import { PacketType } from '../packet.js';
import {
  FOREIGN,
  HOLDERS,
  INDEX_OF,
  MAXIMA,
  MINIMA,
  NO_PROPERTY,
  PROPERTIES,
  type PropertyHolder,
  PropertyId,
  PropertyType,
  REPEATS,
  type Sender,
  TYPES,
} from './property.js';
import { checkUtf8, Utf8Fault } from './utf8.js';
import {
  VariableByteIntegerFault,
  variableByteIntegerAt,
  variableByteIntegerEnd,
} from './variable-byte-integer.js';

/** What can be wrong with a property: the low byte of what `checkProperties` returns. */
const Fault = {
  unknown: 1,
  notAllowed: 2,
  duplicate: 3,
  wrongSender: 4,
  cutShort: 5,
  notShortest: 6,
  illFormedText: 7,
  nul: 8,
  outOfRange: 9,
  wildcard: 10,
  empty: 11,
  dataWithoutMethod: 12,
  noMethod: 13,
} as const;
type Fault = (typeof Fault)[keyof typeof Fault];

/** What `checkProperties` returns for a block that may be. */
export const PROPERTIES_OK = 0;

const METHOD_BIT = 1 << INDEX_OF[PropertyId.authenticationMethod];
const DATA_BIT = 1 << INDEX_OF[PropertyId.authenticationData];
const RESPONSE_TOPIC_INDEX = INDEX_OF[PropertyId.responseTopic];
const PLUS_SIGN = 0x2b;
const NUMBER_SIGN = 0x23;

/**
 * Checks the properties [start, end) of `bytes`, the bytes behind the Property Length: identifiers,
 * what this packet may carry from this sender, duplicates, values, UTF-8.
 * @returns PROPERTIES_OK, or a number for `propertyError`. Allocates nothing.
 */
export function checkProperties(
  bytes: Uint8Array,
  start: number,
  end: number,
  holder: PropertyHolder,
  sender: Sender,
): number {
  const foreign = FOREIGN[sender];
  let seen = 0;
  let at = start;
  while (at < end) {
    const id = bytes[at];
    const index = INDEX_OF[id];
    // Identifiers from 128 on, of two bytes and more, do not exist.
    if (index === NO_PROPERTY) return faultOf(Fault.unknown, id);
    if (((HOLDERS[index] >>> holder) & 1) === 0) return faultOf(Fault.notAllowed, id);
    if (((foreign[index] >>> holder) & 1) !== 0) return faultOf(Fault.wrongSender, id);
    const bit = 1 << index;
    if ((seen & bit) !== 0 && ((REPEATS[index] >>> holder) & 1) === 0) {
      return faultOf(Fault.duplicate, id);
    }
    seen |= bit;
    at = valueEnd(bytes, at + 1, end, index);
    if (at < 0) return faultOf(-at as Fault, id);
  }
  if (holder === PacketType.auth && (seen & METHOD_BIT) === 0) {
    return faultOf(Fault.noMethod, PropertyId.authenticationMethod);
  }
  if (holder === PacketType.connect && (seen & (DATA_BIT | METHOD_BIT)) === DATA_BIT) {
    return faultOf(Fault.dataWithoutMethod, PropertyId.authenticationData);
  }
  return PROPERTIES_OK;
}

function faultOf(fault: Fault, id: number): number {
  return fault | (id << 8);
}

/** Checks the value at `at` of the property in row `index`. @returns its end, or minus a Fault. */
function valueEnd(bytes: Uint8Array, at: number, end: number, index: number): number {
  switch (TYPES[index]) {
    case PropertyType.byte:
      return at < end ? ranged(bytes[at], index, at + 1) : -Fault.cutShort;
    case PropertyType.twoByteInteger:
      if (at + 2 > end) return -Fault.cutShort;
      return ranged((bytes[at] << 8) | bytes[at + 1], index, at + 2);
    case PropertyType.fourByteInteger:
      if (at + 4 > end) return -Fault.cutShort;
      // The only rule there is: not 0.
      return ranged(
        bytes[at] | bytes[at + 1] | bytes[at + 2] | bytes[at + 3] ? 1 : 0,
        index,
        at + 4,
      );
    case PropertyType.variableByteInteger: {
      const behind = variableByteIntegerEnd(bytes, at, end);
      if (behind === VariableByteIntegerFault.cutShort) return -Fault.cutShort;
      if (behind === VariableByteIntegerFault.illFormed) return -Fault.notShortest;
      return ranged(variableByteIntegerAt(bytes, at), index, behind);
    }
    case PropertyType.binaryData:
      return fieldEnd(bytes, at, end);
    case PropertyType.utf8String:
      return index === RESPONSE_TOPIC_INDEX ? topicEnd(bytes, at, end) : textEnd(bytes, at, end);
    default: {
      const nameEnd = textEnd(bytes, at, end);
      return nameEnd < 0 ? nameEnd : textEnd(bytes, nameEnd, end);
    }
  }
}

function ranged(value: number, index: number, behind: number): number {
  return value < MINIMA[index] || value > MAXIMA[index] ? -Fault.outOfRange : behind;
}

/** The end of a field of two length bytes and so many bytes. */
function fieldEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return -Fault.cutShort;
  const behind = at + 2 + ((bytes[at] << 8) | bytes[at + 1]);
  return behind > end ? -Fault.cutShort : behind;
}

function textEnd(bytes: Uint8Array, at: number, end: number): number {
  const behind = fieldEnd(bytes, at, end);
  if (behind < 0) return behind;
  const fault = checkUtf8(bytes, at + 2, behind);
  if (fault === Utf8Fault.none) return behind;
  return fault === Utf8Fault.nul ? -Fault.nul : -Fault.illFormedText;
}

/** Text that is a Topic Name: not empty [MQTT-4.7.3-1], without wildcards [MQTT-3.3.2-14]. */
function topicEnd(bytes: Uint8Array, at: number, end: number): number {
  const behind = textEnd(bytes, at, end);
  if (behind < 0) return behind;
  if (behind === at + 2) return -Fault.empty;
  for (let index = at + 2; index < behind; index++) {
    if (bytes[index] === PLUS_SIGN || bytes[index] === NUMBER_SIGN) return -Fault.wildcard;
  }
  return behind;
}

/** The name of a packet type, or of the Will Properties, as it stands in a text. */
export function holderName(holder: PropertyHolder): string {
  const names = Object.entries(PacketType);
  const [name] = names.find(([, type]) => type === holder) ?? ['Will Properties'];
  return holder === 0 ? name : name.toUpperCase();
}

/**
 * The error for what `checkProperties` has returned other than PROPERTIES_OK.
 * @param holder as it was given to `checkProperties`.
 */
export function propertyError(fault: number, holder: PropertyHolder): ProtocolError {
  const id = fault >> 8;
  const rule = PROPERTIES[INDEX_OF[id]];
  const where = `in ${holderName(holder)}`;
  const malformed = (clause: string, text: string) =>
    new ProtocolError(clause, `${text} ${where}`, CloseReason.malformedPacket);
  const violation = (clause: string, text: string, reasonCode?: number) =>
    new ProtocolError(clause, `${text} ${where}`, CloseReason.protocolViolation, reasonCode);
  switch (fault & 0xff) {
    case Fault.unknown:
      return malformed('2.2.2.2', `unknown property 0x${id.toString(16).padStart(2, '0')}`);
    case Fault.notAllowed:
      return malformed('2.2.2.2', `${rule.name} is not allowed`);
    case Fault.duplicate:
      return violation(rule.clause, `${rule.name} more than once`);
    case Fault.wrongSender: {
      const side = rule.onlyFrom.sender === 0 ? 'client' : 'server';
      return violation(rule.onlyFrom.clause, `${rule.name}, which only a ${side} sends,`);
    }
    case Fault.cutShort:
      return malformed('2.2.2.1', `${rule.name} is longer than the properties`);
    case Fault.notShortest:
      return malformed('MQTT-1.5.5-1', `${rule.name} is no Variable Byte Integer`);
    case Fault.illFormedText:
      return malformed('MQTT-1.5.4-1', `${rule.name} is not valid UTF-8`);
    case Fault.nul:
      return malformed('MQTT-1.5.4-2', `${rule.name} contains U+0000`);
    case Fault.wildcard:
      return violation('MQTT-3.3.2-14', `${rule.name} contains a wildcard`);
    case Fault.empty:
      return violation('MQTT-4.7.3-1', `${rule.name} is empty`);
    case Fault.dataWithoutMethod:
      return violation('3.1.2.11.10', `${rule.name} without an Authentication Method`);
    case Fault.noMethod:
      return violation('3.15.2.2.2', `no ${rule.name}`);
    default: {
      const isAlias = id === PropertyId.topicAlias;
      return violation(rule.clause, `${rule.name} is out of its range`, isAlias ? 0x94 : undefined);
    }
  }
}
