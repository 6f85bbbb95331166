/** Properties as an object, for packets that are not hot and for programs. */
import { ArgumentError } from '../../base/errors.js';
import { STRING_BYTES_MAX } from '../../base/limits.js';
import { ByteWriter } from './byte-writer.js';
import {
  INDEX_OF,
  PROPERTIES,
  type PropertyHolder,
  PropertyId,
  type PropertyRule,
  PropertyType,
  Sender,
} from './property.js';
import { checkProperties, holderName, PROPERTIES_OK, propertyError } from './property-check.js';
import { propertyEnd, uint16At, uint32At } from './property-find.js';
import { variableByteIntegerAt } from './variable-byte-integer.js';

/** Name and value of a User Property. */
export type UserProperty = readonly [name: string, value: string];

/** The properties of one packet, or of a Will; what is not there is absent or undefined. */
export interface Properties {
  /** 0: bytes; 1: the payload is UTF-8. */
  readonly payloadFormatIndicator?: 0 | 1 | undefined;
  /** Seconds, 0 to 4,294,967,295. */
  readonly messageExpiryInterval?: number | undefined;
  readonly contentType?: string | undefined;
  /** A Topic Name, without wildcards. */
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Buffer | undefined;
  /** 1 to 268,435,455 each; SUBSCRIBE has at most one. */
  readonly subscriptionIdentifiers?: readonly number[] | undefined;
  /** Seconds; 4,294,967,295 is never. */
  readonly sessionExpiryInterval?: number | undefined;
  readonly assignedClientIdentifier?: string | undefined;
  /** Seconds, 0 to 65,535. */
  readonly serverKeepAlive?: number | undefined;
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Buffer | undefined;
  readonly requestProblemInformation?: boolean | undefined;
  /** Seconds, 0 to 4,294,967,295. */
  readonly willDelayInterval?: number | undefined;
  readonly requestResponseInformation?: boolean | undefined;
  readonly responseInformation?: string | undefined;
  readonly serverReference?: string | undefined;
  readonly reasonString?: string | undefined;
  /** 1 to 65,535. */
  readonly receiveMaximum?: number | undefined;
  /** 0 to 65,535. */
  readonly topicAliasMaximum?: number | undefined;
  /** 1 to 65,535. */
  readonly topicAlias?: number | undefined;
  readonly maximumQos?: 0 | 1 | undefined;
  readonly retainAvailable?: boolean | undefined;
  /** In their order; the same name may stand more than once. */
  readonly userProperties?: readonly UserProperty[] | undefined;
  /** Bytes, 1 to 4,294,967,295. */
  readonly maximumPacketSize?: number | undefined;
  readonly wildcardSubscriptionAvailable?: boolean | undefined;
  readonly subscriptionIdentifiersAvailable?: boolean | undefined;
  readonly sharedSubscriptionAvailable?: boolean | undefined;
}

/** No properties. Shared: frozen. */
export const NO_PROPERTIES: Properties = Object.freeze({});

type PropertyValue = NonNullable<Properties[keyof Properties]>;

/**
 * The properties [start, end) of `bytes`, which `checkProperties` has passed. Nothing in the result
 * is a view of `bytes`.
 */
export function decodeProperties(bytes: Buffer, start: number, end: number): Properties {
  if (start === end) return NO_PROPERTIES;
  const properties: { [key: string]: PropertyValue } = {};
  const userProperties: UserProperty[] = [];
  const subscriptionIdentifiers: number[] = [];
  let at = start;
  while (at < end) {
    const id = bytes[at++];
    const behind = propertyEnd(bytes, at, id);
    if (id === PropertyId.userProperties) {
      const valueAt = at + 2 + uint16At(bytes, at);
      userProperties.push([textAt(bytes, at), textAt(bytes, valueAt)]);
      properties.userProperties = userProperties;
    } else if (id === PropertyId.subscriptionIdentifiers) {
      subscriptionIdentifiers.push(variableByteIntegerAt(bytes, at));
      properties.subscriptionIdentifiers = subscriptionIdentifiers;
    } else {
      const rule = PROPERTIES[INDEX_OF[id]];
      properties[rule.key] = valueAt(bytes, at, behind, rule);
    }
    at = behind;
  }
  return properties;
}

function textAt(bytes: Buffer, at: number): string {
  return bytes.toString('utf8', at + 2, at + 2 + uint16At(bytes, at));
}

function valueAt(bytes: Buffer, at: number, end: number, rule: PropertyRule): PropertyValue {
  switch (rule.type) {
    case PropertyType.byte:
      return rule.isBoolean ? bytes[at] === 1 : bytes[at];
    case PropertyType.twoByteInteger:
      return uint16At(bytes, at);
    case PropertyType.fourByteInteger:
      return uint32At(bytes, at);
    case PropertyType.binaryData: {
      // Memory of its own: a piece of Node's pool would hold 8 KiB for as long as it lives.
      const copy = Buffer.allocUnsafeSlow(end - at - 2);
      bytes.copy(copy, 0, at + 2, end);
      return copy;
    }
    default:
      return textAt(bytes, at);
  }
}

/**
 * The bytes of properties, without the Property Length before them: in the order of identifiers,
 * the User Properties last and in theirs.
 * @throws ArgumentError (a TypeError) that names the property whose value may not be, or that this
 *   packet does not carry from this sender.
 */
export function encodeProperties(
  properties: Properties,
  holder: PropertyHolder,
  sender: Sender,
): Buffer {
  checkKeys(properties, holder, sender);
  const writer = new ByteWriter();
  for (const rule of PROPERTIES) {
    const value = properties[rule.key];
    if (value === undefined || rule.key === 'userProperties') continue;
    const values = rule.key === 'subscriptionIdentifiers' ? listOf(rule, value, holder) : [value];
    for (const single of values) {
      writer.byte(rule.id);
      writeValue(writer, rule, single);
    }
  }
  writeUserProperties(writer, properties.userProperties);
  const bytes = Buffer.from(writer.bytes);
  // What holds between properties.
  const fault = checkProperties(bytes, 0, bytes.length, holder, sender);
  if (fault !== PROPERTIES_OK) throw new ArgumentError(propertyError(fault, holder).message);
  return bytes;
}

/** What is no property, or none of this packet. */
function checkKeys(properties: Properties, holder: PropertyHolder, sender: Sender): void {
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(PropertyId, key)) throw new ArgumentError(`'${key}' is no MQTT property`);
    const { name, holders, onlyFrom } =
      PROPERTIES[INDEX_OF[PropertyId[key as PropertyRule['key']]]];
    if (((holders >>> holder) & 1) === 0) {
      throw new ArgumentError(`${name} (${key}) is not allowed in ${holderName(holder)}`);
    }
    if (((onlyFrom.holders >>> holder) & 1) !== 0 && onlyFrom.sender !== sender) {
      const side = sender === Sender.client ? 'client' : 'server';
      throw new ArgumentError(`${name} (${key}): no ${side} sends it in ${holderName(holder)}`);
    }
  }
}

function fault(rule: PropertyRule, wanted: string, value: unknown): ArgumentError {
  const found = typeof value === 'string' ? `'${value.slice(0, 40)}'` : String(value);
  return new ArgumentError(`${rule.name} (${rule.key}) must be ${wanted}, not ${found}`);
}

function listOf(
  rule: PropertyRule,
  value: PropertyValue,
  holder: PropertyHolder,
): readonly PropertyValue[] {
  if (!Array.isArray(value)) throw fault(rule, 'a list of numbers', value);
  if (value.length > 1 && ((rule.repeats >>> holder) & 1) === 0) {
    throw fault(rule, `a list of one in ${holderName(holder)}`, value);
  }
  return value;
}

function writeValue(writer: ByteWriter, rule: PropertyRule, value: unknown): void {
  switch (rule.type) {
    case PropertyType.byte:
      writer.byte(rule.isBoolean ? Number(booleanOf(rule, value)) : numberOf(rule, value));
      break;
    case PropertyType.twoByteInteger:
      writer.uint16(numberOf(rule, value));
      break;
    case PropertyType.fourByteInteger:
      writer.uint32(numberOf(rule, value));
      break;
    case PropertyType.variableByteInteger:
      writer.variableByteInteger(numberOf(rule, value));
      break;
    case PropertyType.binaryData:
      if (!(value instanceof Uint8Array)) throw fault(rule, 'a Buffer', value);
      if (value.length > STRING_BYTES_MAX) throw fault(rule, 'at most 65,535 bytes', value.length);
      writer.field(value);
      break;
    default:
      writer.field(textOf(rule, value));
  }
}

function booleanOf(rule: PropertyRule, value: unknown): boolean {
  if (typeof value !== 'boolean') throw fault(rule, 'true or false', value);
  return value;
}

function numberOf(rule: PropertyRule, value: unknown): number {
  const { min, max } = rule;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw fault(rule, `a whole number of ${min} to ${max}`, value);
}

/** Text that MQTT allows [MQTT-1.5.4-1] [MQTT-1.5.4-2]; a Response Topic is a Topic Name too. */
function textOf(rule: PropertyRule, value: unknown): string {
  if (typeof value !== 'string') throw fault(rule, 'a string', value);
  if (/\p{Surrogate}|\0/u.test(value)) {
    throw fault(rule, 'without U+0000 and halves of surrogate pairs', value);
  }
  const length = Buffer.byteLength(value);
  if (length > STRING_BYTES_MAX) throw fault(rule, 'at most 65,535 bytes of UTF-8', length);
  if (rule.id === PropertyId.responseTopic && (value === '' || /[+#]/.test(value))) {
    throw fault(rule, 'a topic without wildcards', value);
  }
  return value;
}

function writeUserProperties(writer: ByteWriter, pairs: Properties['userProperties']): void {
  if (pairs === undefined) return;
  const rule = PROPERTIES[INDEX_OF[PropertyId.userProperties]];
  if (!Array.isArray(pairs)) throw fault(rule, 'a list of pairs of strings', pairs);
  for (const pair of pairs as readonly unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) throw fault(rule, 'a pair of strings', pair);
    writer.byte(rule.id).field(textOf(rule, pair[0])).field(textOf(rule, pair[1]));
  }
}
