/**
 * The Control Packets of MQTT 5.0 as objects. Where a field is that of 3.1.1 it has its name, so
 * that what only needs those can take packets of both.
 */
import type { PingreqPacket, PingrespPacket, QoS, WillMessage } from '../packet.js';
import type { Properties } from './properties.js';

/** The message that the server publishes when a connection ends without DISCONNECT 0x00. */
export interface WillMessage5 extends WillMessage {
  /** Will Properties, with the Will Delay Interval and those of the message. */
  readonly properties: Properties;
}

/** CONNECT [MQTT 5.0, 3.1]. */
export interface ConnectPacket5 {
  readonly type: 'connect';
  readonly protocolVersion: 5;
  /** Empty: the server assigns one [MQTT-3.1.3-6]. */
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** 0 to 65,535; 0 turns keep alive off. */
  readonly keepAliveSeconds: number;
  readonly will: WillMessage5 | null;
  readonly username: string | null;
  /** Allowed without a user name, other than in 3.1.1. */
  readonly password: Buffer | null;
  readonly properties: Properties;
}

/** CONNACK [MQTT 5.0, 3.2]. */
export interface ConnackPacket5 {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  readonly reasonCode: number;
  readonly properties: Properties;
}

/** PUBLISH [MQTT 5.0, 3.3]; `packetId` is 0 for QoS 0, which carries none. */
export interface PublishPacket5 {
  readonly type: 'publish';
  /** Empty when a Topic Alias stands for it. */
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly packetId: number;
  readonly properties: Properties;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP [MQTT 5.0, 3.4 to 3.7]. */
export interface AckPacket5 {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly packetId: number;
  readonly reasonCode: number;
  readonly properties: Properties;
}

/** When a subscription is sent retained messages [MQTT 5.0, 3.8.3.1]. */
export const RetainHandling = { always: 0, ifNew: 1, never: 2 } as const;
export type RetainHandling = (typeof RetainHandling)[keyof typeof RetainHandling];

/** One Topic Filter of a SUBSCRIBE with its Subscription Options. */
export interface SubscriptionRequest5 {
  /** UTF-8 is checked, the syntax of wildcards and of `$share` is not. */
  readonly filter: string;
  readonly qos: QoS;
  /** Not sent what the same client publishes [MQTT-3.8.3-3]. */
  readonly noLocal: boolean;
  /** Messages keep the RETAIN flag that they were published with [MQTT-3.3.1-13]. */
  readonly retainAsPublished: boolean;
  readonly retainHandling: RetainHandling;
}

/** SUBSCRIBE [MQTT 5.0, 3.8]; at least one subscription. */
export interface SubscribePacket5 {
  readonly type: 'subscribe';
  readonly packetId: number;
  readonly subscriptions: readonly SubscriptionRequest5[];
  readonly properties: Properties;
}

/** UNSUBSCRIBE [MQTT 5.0, 3.10]; at least one filter. */
export interface UnsubscribePacket5 {
  readonly type: 'unsubscribe';
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly properties: Properties;
}

/** SUBACK and UNSUBACK [MQTT 5.0, 3.9 and 3.11]; a reason code for each filter, in their order. */
export interface FilterAckPacket5 {
  readonly type: 'suback' | 'unsuback';
  readonly packetId: number;
  readonly reasonCodes: readonly number[];
  readonly properties: Properties;
}

/** DISCONNECT [MQTT 5.0, 3.14]. */
export interface DisconnectPacket5 {
  readonly type: 'disconnect';
  readonly reasonCode: number;
  readonly properties: Properties;
}

/** AUTH [MQTT 5.0, 3.15]. */
export interface AuthPacket5 {
  readonly type: 'auth';
  readonly reasonCode: number;
  readonly properties: Properties;
}

/** Any Control Packet of MQTT 5.0, told apart by `type`. */
export type ControlPacket5 =
  | ConnectPacket5
  | ConnackPacket5
  | PublishPacket5
  | AckPacket5
  | SubscribePacket5
  | FilterAckPacket5
  | UnsubscribePacket5
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket5
  | AuthPacket5;
