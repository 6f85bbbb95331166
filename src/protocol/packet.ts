/** The MQTT Control Packets as objects, with our field names. Their bytes are called frames. */

/** Control Packet types, the high half of the first byte of a frame [MQTT 3.1.1, table 2.1]. */
export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  /** Of MQTT 5.0; reserved in 3.x. */
  auth: 15,
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

/** Protocol level of CONNECT: 3 is MQTT 3.1 ("MQIsdp"), 4 is MQTT 3.1.1 ("MQTT"), 5 is MQTT 5.0. */
export type ProtocolVersion = 3 | 4 | 5;
/** Those whose packets are told in this folder; 5.0 has one of its own. */
export type ProtocolVersion3x = Exclude<ProtocolVersion, 5>;

/** Quality of Service: at most once, at least once, exactly once [MQTT 3.1.1, 4.3]. */
export type QoS = 0 | 1 | 2;

/** The message that the server publishes when a connection ends without DISCONNECT. */
export interface WillMessage {
  /** A Topic Name, checked: valid UTF-8, no NUL, no wildcard, at least one byte. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
}

/** CONNECT [MQTT 3.1.1, 3.1]. */
export interface ConnectPacket {
  readonly type: 'connect';
  readonly protocolVersion: ProtocolVersion3x;
  /** Another server's: its level has the bit 0x80. Not there: it is none. */
  readonly isBridge?: true;
  /** Empty only with `cleanSession` in 3.1.1: the server then makes one up [MQTT-3.1.3-6]. */
  readonly clientId: string;
  readonly cleanSession: boolean;
  /** 0 to 65,535; 0 turns keep alive off. */
  readonly keepAliveSeconds: number;
  readonly will: WillMessage | null;
  readonly username: string | null;
  readonly password: Buffer | null;
}

/** CONNACK [MQTT 3.1.1, 3.2]; `returnCode` is a ConnackCode, 0 to 5. */
export interface ConnackPacket {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  readonly returnCode: number;
}

/** PUBLISH [MQTT 3.1.1, 3.3]; `packetId` is 0 for QoS 0, which carries none. */
export interface PublishPacket {
  readonly type: 'publish';
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
}

/** One Topic Filter of a SUBSCRIBE and the greatest QoS it wants messages at. */
export interface SubscriptionRequest {
  /** UTF-8 is checked, the syntax of wildcards is not: a bad one gets return code 0x80. */
  readonly filter: string;
  readonly qos: QoS;
}

/** SUBSCRIBE [MQTT 3.1.1, 3.8]; at least one subscription. */
export interface SubscribePacket {
  readonly type: 'subscribe';
  readonly packetId: number;
  readonly subscriptions: readonly SubscriptionRequest[];
}

/** SUBACK [MQTT 3.1.1, 3.9]; a return code for each subscription: granted QoS or SUBACK_FAILURE. */
export interface SubackPacket {
  readonly type: 'suback';
  readonly packetId: number;
  readonly returnCodes: readonly number[];
}

/** UNSUBSCRIBE [MQTT 3.1.1, 3.10]; at least one filter. */
export interface UnsubscribePacket {
  readonly type: 'unsubscribe';
  readonly packetId: number;
  readonly filters: readonly string[];
}

/** UNSUBACK [MQTT 3.1.1, 3.11]. */
export interface UnsubackPacket {
  readonly type: 'unsuback';
  readonly packetId: number;
}

/** PUBACK, the answer to a QoS 1 PUBLISH [MQTT 3.1.1, 3.4]. */
export interface PubackPacket {
  readonly type: 'puback';
  readonly packetId: number;
}

/** PUBREC, the first answer to a QoS 2 PUBLISH [MQTT 3.1.1, 3.5]. */
export interface PubrecPacket {
  readonly type: 'pubrec';
  readonly packetId: number;
}

/** PUBREL, the answer to PUBREC [MQTT 3.1.1, 3.6]. */
export interface PubrelPacket {
  readonly type: 'pubrel';
  readonly packetId: number;
}

/** PUBCOMP, the answer to PUBREL [MQTT 3.1.1, 3.7]. */
export interface PubcompPacket {
  readonly type: 'pubcomp';
  readonly packetId: number;
}

/** PINGREQ [MQTT 3.1.1, 3.12]. */
export interface PingreqPacket {
  readonly type: 'pingreq';
}

/** PINGRESP [MQTT 3.1.1, 3.13]. */
export interface PingrespPacket {
  readonly type: 'pingresp';
}

/** DISCONNECT [MQTT 3.1.1, 3.14]. */
export interface DisconnectPacket {
  readonly type: 'disconnect';
}

/** Any Control Packet, told apart by `type`. */
export type ControlPacket =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | PubackPacket
  | PubrecPacket
  | PubrelPacket
  | PubcompPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket;
