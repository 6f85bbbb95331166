/** Reason codes of MQTT 5.0: what they are called and which packet may carry which [2.4]. */
import { PacketType } from '../packet.js';
import { ConnackCode } from '../return-code.js';
import { Sender } from './property.js';

/** All reason codes [MQTT 5.0, table 2-6], one name a value; see `grantedQos0` and others below. */
export const ReasonCode = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reauthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;
export type ReasonCode = (typeof ReasonCode)[keyof typeof ReasonCode];

/** SUBACK's word for 0: the Topic Filter is subscribed to at QoS 0. */
export const GRANTED_QOS_0: ReasonCode = ReasonCode.success;
/** DISCONNECT's word for 0: the Will is not to be published. */
export const NORMAL_DISCONNECTION: ReasonCode = ReasonCode.success;

/** The least code that says that something failed; those below say that it was done. */
const FIRST_ERROR = 0x80;

/** Whether a reason code says that what was asked for failed [MQTT 5.0, 2.4]. */
export function isErrorCode(code: number): boolean {
  return code >= FIRST_ERROR;
}

/** Where a name is not the code's key in other words. */
const NAMES: Readonly<Record<number, string>> = {
  [ReasonCode.grantedQos1]: 'Granted QoS 1',
  [ReasonCode.grantedQos2]: 'Granted QoS 2',
  [ReasonCode.disconnectWithWill]: 'Disconnect with Will Message',
  [ReasonCode.reauthenticate]: 'Re-authenticate',
  [ReasonCode.clientIdentifierNotValid]: 'Client Identifier not valid',
  [ReasonCode.badUserNameOrPassword]: 'Bad User Name or Password',
  [ReasonCode.keepAliveTimeout]: 'Keep Alive timeout',
  [ReasonCode.topicFilterInvalid]: 'Topic Filter invalid',
  [ReasonCode.topicNameInvalid]: 'Topic Name invalid',
  [ReasonCode.packetIdentifierInUse]: 'Packet Identifier in use',
  [ReasonCode.packetIdentifierNotFound]: 'Packet Identifier not found',
  [ReasonCode.receiveMaximumExceeded]: 'Receive Maximum exceeded',
  [ReasonCode.topicAliasInvalid]: 'Topic Alias invalid',
  [ReasonCode.qosNotSupported]: 'QoS not supported',
  [ReasonCode.malformedPacket]: 'Malformed Packet',
  [ReasonCode.protocolError]: 'Protocol Error',
  [ReasonCode.unsupportedProtocolVersion]: 'Unsupported Protocol Version',
  [ReasonCode.sharedSubscriptionsNotSupported]: 'Shared Subscriptions not supported',
  [ReasonCode.subscriptionIdentifiersNotSupported]: 'Subscription Identifiers not supported',
  [ReasonCode.wildcardSubscriptionsNotSupported]: 'Wildcard Subscriptions not supported',
};

const KEYS: ReadonlyMap<number, string> = new Map(
  Object.entries(ReasonCode).map(([key, code]) => [code, key]),
);

/**
 * The name of a reason code in the specification, such as `Not authorized`; one that it does not
 * have is named by its number.
 * @param type of the packet that carries it: 0 has another name in SUBACK and DISCONNECT.
 */
export function reasonName(code: number, type?: PacketType): string {
  if (code === 0 && type === PacketType.suback) return 'Granted QoS 0';
  if (code === 0 && type === PacketType.disconnect) return 'Normal disconnection';
  const key = KEYS.get(code);
  if (key === undefined) return `reason code 0x${code.toString(16).padStart(2, '0')}`;
  const words = key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return NAMES[code] ?? words[0].toUpperCase() + words.slice(1);
}

const PUBLISH_ACK = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE_ACK = [0x00, 0x92];
const DISCONNECT_OF_EITHER = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
];

/**
 * By sender and packet type: the codes that it may carry, from the table of its section; a type
 * that is not here has none. 0x8C in DISCONNECT stands in table 2-6 only, and re-authentication
 * needs it.
 */
const ALLOWED: Readonly<Record<Sender, Readonly<Partial<Record<PacketType, readonly number[]>>>>> =
  {
    [Sender.client]: {
      [PacketType.puback]: PUBLISH_ACK,
      [PacketType.pubrec]: PUBLISH_ACK,
      [PacketType.pubrel]: RELEASE_ACK,
      [PacketType.pubcomp]: RELEASE_ACK,
      [PacketType.disconnect]: [...DISCONNECT_OF_EITHER, 0x04, 0x8c],
      [PacketType.auth]: [0x18, 0x19],
    },
    [Sender.server]: {
      [PacketType.connack]: [
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95,
        0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
      ],
      [PacketType.puback]: PUBLISH_ACK,
      [PacketType.pubrec]: PUBLISH_ACK,
      [PacketType.pubrel]: RELEASE_ACK,
      [PacketType.pubcomp]: RELEASE_ACK,
      [PacketType.suback]: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
      [PacketType.unsuback]: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
      [PacketType.disconnect]: [
        ...DISCONNECT_OF_EITHER,
        0x87,
        0x89,
        0x8b,
        0x8c,
        0x8d,
        0x8e,
        0x8f,
        0x9a,
        0x9b,
        0x9c,
        0x9d,
        0x9e,
        0x9f,
        0xa0,
        0xa1,
        0xa2,
      ],
      [PacketType.auth]: [0x00, 0x18],
    },
  };

/** By sender, then by code: a bit `1 << type` for each packet type that may carry it. */
const CARRIERS: readonly Uint16Array[] = Object.values(Sender).map((sender) => {
  const carriers = new Uint16Array(256);
  for (const [type, codes] of Object.entries(ALLOWED[sender])) {
    for (const code of codes) carriers[code] |= 1 << Number(type);
  }
  return carriers;
});

/** Whether a packet of this type from this sender may carry `code`, 0 to 255. Allocates nothing. */
export function isReasonCodeAllowed(code: number, type: number, sender: Sender): boolean {
  return ((CARRIERS[sender][code] >>> type) & 1) !== 0;
}

/**
 * The CONNACK return code that tells a 3.x client what a reason code tells a 5.0 one: 0 to 5, the
 * nearest where 3.x has no word of its own.
 */
export function toConnackCode(code: number): ConnackCode {
  switch (code) {
    case ReasonCode.success:
      return ConnackCode.accepted;
    case ReasonCode.unsupportedProtocolVersion:
      return ConnackCode.unacceptableProtocolVersion;
    case ReasonCode.clientIdentifierNotValid:
      return ConnackCode.identifierRejected;
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.badAuthenticationMethod:
      return ConnackCode.badUserNameOrPassword;
    case ReasonCode.notAuthorized:
    case ReasonCode.banned:
      return ConnackCode.notAuthorized;
    default:
      return ConnackCode.serverUnavailable;
  }
}

/** The reason code that tells a 5.0 client what a 3.x CONNACK return code, 0 to 5, tells. */
export function fromConnackCode(returnCode: ConnackCode): ReasonCode {
  return FROM_CONNACK[returnCode];
}

const FROM_CONNACK: Readonly<Record<ConnackCode, ReasonCode>> = {
  [ConnackCode.accepted]: ReasonCode.success,
  [ConnackCode.unacceptableProtocolVersion]: ReasonCode.unsupportedProtocolVersion,
  [ConnackCode.identifierRejected]: ReasonCode.clientIdentifierNotValid,
  [ConnackCode.serverUnavailable]: ReasonCode.serverUnavailable,
  [ConnackCode.badUserNameOrPassword]: ReasonCode.badUserNameOrPassword,
  [ConnackCode.notAuthorized]: ReasonCode.notAuthorized,
};
