/**
 * The properties of MQTT 5.0: one table of all that the specification says of each [MQTT 5.0,
 * 2.2.2.2 and the sections 3.n.2], and the same as arrays by identifier, for walks over bytes.
 */
import { PacketType } from '../packet.js';
import { VARIABLE_BYTE_INTEGER_MAX } from './variable-byte-integer.js';

/** In the place of a packet type: the Will Properties in the payload of CONNECT. */
export const WILL_PROPERTIES = 0;
/** A packet type that has properties, or WILL_PROPERTIES. */
export type PropertyHolder = PacketType | typeof WILL_PROPERTIES;

/** Who sends a packet: some properties and reason codes are for one side only. */
export const Sender = { client: 0, server: 1 } as const;
export type Sender = (typeof Sender)[keyof typeof Sender];

/** Data types of property values [MQTT 5.0, 1.5]. */
export const PropertyType = {
  byte: 1,
  twoByteInteger: 2,
  fourByteInteger: 3,
  variableByteInteger: 4,
  binaryData: 5,
  utf8String: 6,
  utf8StringPair: 7,
} as const;
export type PropertyType = (typeof PropertyType)[keyof typeof PropertyType];

/** Property identifiers [MQTT 5.0, table 2-4], by the fields of `Properties`. */
export const PropertyId = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifiers: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperties: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifiersAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;
export type PropertyId = (typeof PropertyId)[keyof typeof PropertyId];

/** What the specification says of one property. */
export interface PropertyRule {
  readonly id: PropertyId;
  /** Its name in the specification. */
  readonly name: string;
  /** Its field in `Properties`. */
  readonly key: keyof typeof PropertyId;
  readonly type: PropertyType;
  /** A bit `1 << holder` for each packet type that may carry it; bit 0 for the Will Properties. */
  readonly holders: number;
  /** Bits of the holders in which it may stand more than once. */
  readonly repeats: number;
  /** Bits of the holders in which only one side may send it, and which. */
  readonly onlyFrom: { readonly sender: Sender; readonly holders: number; readonly clause: string };
  /** Least and greatest value of one that is a number. */
  readonly min: number;
  readonly max: number;
  /** A byte that says no (0) or yes (1): a boolean in `Properties`. */
  readonly isBoolean: boolean;
  /** Section or statement that gives its values. */
  readonly clause: string;
}

const { connect, connack, publish, puback, pubrec, pubrel, pubcomp } = PacketType;
const { subscribe, suback, unsubscribe, unsuback, disconnect, auth } = PacketType;
const ACKS = [puback, pubrec, pubrel, pubcomp, suback, unsuback] as const;
const WILL = WILL_PROPERTIES;
const MESSAGE = [publish, WILL] as const;
const FROM_EITHER: PropertyRule['onlyFrom'] = { sender: Sender.client, holders: 0, clause: '' };

function bits(holders: readonly PropertyHolder[]): number {
  return holders.reduce((mask: number, holder) => mask | (1 << holder), 0);
}

/** Greatest number of each type of property value. */
const TYPE_MAX: Readonly<Record<PropertyType, number>> = {
  [PropertyType.byte]: 0xff,
  [PropertyType.twoByteInteger]: 0xffff,
  [PropertyType.fourByteInteger]: 0xffff_ffff,
  [PropertyType.variableByteInteger]: VARIABLE_BYTE_INTEGER_MAX,
  [PropertyType.binaryData]: 0,
  [PropertyType.utf8String]: 0,
  [PropertyType.utf8StringPair]: 0,
};

/** A row of the table: what most properties have in common is filled in. */
function rule(
  key: PropertyRule['key'],
  name: string,
  type: PropertyType,
  holders: readonly PropertyHolder[],
  clause: string,
  special: Partial<PropertyRule> = {},
): PropertyRule {
  return {
    id: PropertyId[key],
    name,
    key,
    type,
    holders: bits(holders),
    repeats: 0,
    onlyFrom: FROM_EITHER,
    min: 0,
    max: TYPE_MAX[type],
    isBoolean: false,
    clause,
    ...special,
  };
}

const { byte, twoByteInteger, fourByteInteger, variableByteInteger } = PropertyType;
const { binaryData, utf8String, utf8StringPair } = PropertyType;
const BOOLEAN = { max: 1, isBoolean: true };
const REASONED = [connack, ...ACKS, disconnect, auth] as const;

/** All properties, in the order of their identifiers. */
export const PROPERTIES: readonly PropertyRule[] = [
  rule('payloadFormatIndicator', 'Payload Format Indicator', byte, MESSAGE, '3.3.2.3.2', {
    max: 1,
  }),
  rule('messageExpiryInterval', 'Message Expiry Interval', fourByteInteger, MESSAGE, '3.3.2.3.3'),
  rule('contentType', 'Content Type', utf8String, MESSAGE, 'MQTT-3.3.2-19'),
  rule('responseTopic', 'Response Topic', utf8String, MESSAGE, 'MQTT-3.3.2-13'),
  rule('correlationData', 'Correlation Data', binaryData, MESSAGE, '3.3.2.3.6'),
  rule(
    'subscriptionIdentifiers',
    'Subscription Identifier',
    variableByteInteger,
    [publish, subscribe],
    '3.8.2.1.2',
    {
      min: 1,
      // A message that many subscriptions match names each of them; a SUBSCRIBE has one.
      repeats: bits([publish]),
      onlyFrom: { sender: Sender.server, holders: bits([publish]), clause: 'MQTT-3.3.4-6' },
    },
  ),
  rule(
    'sessionExpiryInterval',
    'Session Expiry Interval',
    fourByteInteger,
    [connect, connack, disconnect],
    '3.1.2.11.2',
    { onlyFrom: { sender: Sender.client, holders: bits([disconnect]), clause: 'MQTT-3.14.2-2' } },
  ),
  rule(
    'assignedClientIdentifier',
    'Assigned Client Identifier',
    utf8String,
    [connack],
    '3.2.2.3.7',
  ),
  rule('serverKeepAlive', 'Server Keep Alive', twoByteInteger, [connack], '3.2.2.3.14'),
  rule(
    'authenticationMethod',
    'Authentication Method',
    utf8String,
    [connect, connack, auth],
    '3.15.2.2.2',
  ),
  rule(
    'authenticationData',
    'Authentication Data',
    binaryData,
    [connect, connack, auth],
    '3.15.2.2.3',
  ),
  rule(
    'requestProblemInformation',
    'Request Problem Information',
    byte,
    [connect],
    '3.1.2.11.7',
    BOOLEAN,
  ),
  rule('willDelayInterval', 'Will Delay Interval', fourByteInteger, [WILL], '3.1.3.2.2'),
  rule(
    'requestResponseInformation',
    'Request Response Information',
    byte,
    [connect],
    '3.1.2.11.6',
    BOOLEAN,
  ),
  rule('responseInformation', 'Response Information', utf8String, [connack], '3.2.2.3.15'),
  rule('serverReference', 'Server Reference', utf8String, [connack, disconnect], '3.2.2.3.16', {
    onlyFrom: { sender: Sender.server, holders: bits([disconnect]), clause: '3.14.2.2.5' },
  }),
  rule('reasonString', 'Reason String', utf8String, REASONED, '3.2.2.3.9'),
  rule('receiveMaximum', 'Receive Maximum', twoByteInteger, [connect, connack], '3.1.2.11.3', {
    min: 1,
  }),
  rule(
    'topicAliasMaximum',
    'Topic Alias Maximum',
    twoByteInteger,
    [connect, connack],
    '3.1.2.11.5',
  ),
  rule('topicAlias', 'Topic Alias', twoByteInteger, [publish], 'MQTT-3.3.2-8', { min: 1 }),
  rule('maximumQos', 'Maximum QoS', byte, [connack], '3.2.2.3.4', { max: 1 }),
  rule('retainAvailable', 'Retain Available', byte, [connack], '3.2.2.3.5', BOOLEAN),
  rule(
    'userProperties',
    'User Property',
    utf8StringPair,
    [WILL, connect, connack, publish, ...ACKS, subscribe, unsubscribe, disconnect, auth],
    'MQTT-1.5.7-1',
    { repeats: 0xffff },
  ),
  rule(
    'maximumPacketSize',
    'Maximum Packet Size',
    fourByteInteger,
    [connect, connack],
    '3.1.2.11.4',
    { min: 1 },
  ),
  rule(
    'wildcardSubscriptionAvailable',
    'Wildcard Subscription Available',
    byte,
    [connack],
    '3.2.2.3.11',
    BOOLEAN,
  ),
  rule(
    'subscriptionIdentifiersAvailable',
    'Subscription Identifiers Available',
    byte,
    [connack],
    '3.2.2.3.12',
    BOOLEAN,
  ),
  rule(
    'sharedSubscriptionAvailable',
    'Shared Subscription Available',
    byte,
    [connack],
    '3.2.2.3.13',
    BOOLEAN,
  ),
];

/** In INDEX_OF for an identifier that no property has. */
export const NO_PROPERTY = 255;

/** By identifier (one byte): its row in PROPERTIES, 0 to 26, or NO_PROPERTY. */
export const INDEX_OF: Uint8Array = new Uint8Array(256).fill(NO_PROPERTY);
for (const [index, { id }] of PROPERTIES.entries()) INDEX_OF[id] = index;

/** By row: PropertyType. */
export const TYPES: Uint8Array = Uint8Array.from(PROPERTIES, ({ type }) => type);
/** By row: see PropertyRule. */
export const HOLDERS: Uint32Array = Uint32Array.from(PROPERTIES, ({ holders }) => holders);
/** By row: see PropertyRule. */
export const REPEATS: Uint32Array = Uint32Array.from(PROPERTIES, ({ repeats }) => repeats);
/** By row: least value of a number. */
export const MINIMA: Uint32Array = Uint32Array.from(PROPERTIES, ({ min }) => min);
/** By row: greatest value of a number. */
export const MAXIMA: Uint32Array = Uint32Array.from(PROPERTIES, ({ max }) => max);

/** By sender, then by row: bits of the holders that only the other side may send it in. */
export const FOREIGN: readonly Uint32Array[] = Object.values(Sender).map((sender) =>
  Uint32Array.from(PROPERTIES, ({ onlyFrom }) =>
    onlyFrom.sender === sender ? 0 : onlyFrom.holders,
  ),
);
