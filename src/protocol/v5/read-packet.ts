/**
 * MQTT 5.0 Control Packets from bytes, with all that the specification demands of a packet by
 * itself. For what is not hot: PUBLISH runs and plain acks have frame-scan.ts.
 */
import { ProtocolError } from '../../base/errors.js';
import { DUP, QOS_MASK, RETAIN } from '../fixed-header.js';
import { PacketType, type QoS } from '../packet.js';
import type { FieldReader } from './field-reader.js';
import { protocolError } from './fixed-header.js';
import { openFrame } from './open-frame.js';
import type {
  AckPacket5,
  AuthPacket5,
  ControlPacket5,
  DisconnectPacket5,
  FilterAckPacket5,
  PublishPacket5,
  RetainHandling,
  SubscribePacket5,
  SubscriptionRequest5,
  UnsubscribePacket5,
} from './packet.js';
import { NO_PROPERTIES } from './properties.js';
import type { Sender } from './property.js';
import { noTopic } from './publish-view.js';
import { readConnack, readConnect } from './read-connect.js';
import { readReasonCode } from './read-reason-code.js';
import { isReasonCodeAllowed } from './reason-code.js';
import { isShareFilter } from './share-filter.js';
import {
  checkSubscriptionOptions,
  RETAIN_HANDLING_SHIFT,
  SubscriptionOption,
} from './subscription-options.js';

/**
 * Parses the one whole frame [start, end) of `buffer`. Nothing of the packet is a view of `buffer`.
 * @param sender of the frame: what only the other side may send in it is refused.
 * @throws ProtocolError with the clause that the frame breaks, and the reason code for DISCONNECT
 *   or CONNACK. Nothing else.
 */
export function parsePacket5(
  buffer: Buffer,
  start: number,
  end: number,
  sender: Sender,
): ControlPacket5 {
  const reader = openFrame(buffer, start, end, sender);
  const header = buffer[start];
  const type = (header >> 4) as PacketType;
  switch (type) {
    case PacketType.connect:
      return readConnect(reader);
    case PacketType.connack:
      return readConnack(reader);
    case PacketType.publish:
      return readPublish(reader, header);
    case PacketType.puback:
      return readAck(reader, type, 'puback', 'MQTT-3.4.2-1');
    case PacketType.pubrec:
      return readAck(reader, type, 'pubrec', 'MQTT-3.5.2-1');
    case PacketType.pubrel:
      return readAck(reader, type, 'pubrel', 'MQTT-3.6.2-1');
    case PacketType.pubcomp:
      return readAck(reader, type, 'pubcomp', 'MQTT-3.7.2-1');
    case PacketType.subscribe:
      return readSubscribe(reader);
    case PacketType.suback:
      return readFilterAck(reader, type, 'suback', 'MQTT-3.9.3-2');
    case PacketType.unsubscribe:
      return readUnsubscribe(reader);
    case PacketType.unsuback:
      return readFilterAck(reader, type, 'unsuback', 'MQTT-3.11.3-2');
    case PacketType.pingreq:
      reader.atEnd('3.12.1');
      return { type: 'pingreq' };
    case PacketType.pingresp:
      reader.atEnd('3.13.1');
      return { type: 'pingresp' };
    case PacketType.disconnect:
      return readDisconnect(reader);
    default:
      return readAuth(reader);
  }
}

function readPublish(reader: FieldReader, header: number): PublishPacket5 {
  const topic = reader.topic('MQTT-3.3.2-2', 'topic');
  const qos = ((header & QOS_MASK) >> 1) as QoS;
  const packetId = qos === 0 ? 0 : reader.packetId();
  const properties = reader.properties(PacketType.publish);
  if (topic === '' && properties.topicAlias === undefined) throw noTopic();
  return {
    type: 'publish',
    topic,
    payload: reader.rest(),
    qos,
    retain: (header & RETAIN) !== 0,
    dup: (header & DUP) !== 0,
    packetId,
    properties,
  };
}

/** The short forms: no reason code is 0, and no Property Length is no properties. */
function readAck(
  reader: FieldReader,
  type: PacketType,
  name: AckPacket5['type'],
  clause: string,
): AckPacket5 {
  const packetId = reader.packetId();
  const reasonCode = reader.left === 0 ? 0 : readReasonCode(reader, type, clause);
  const properties = reader.left === 0 ? NO_PROPERTIES : reader.properties(type);
  reader.atEnd(clause);
  return { type: name, packetId, reasonCode, properties };
}

function readSubscribe(reader: FieldReader): SubscribePacket5 {
  const packetId = reader.packetId();
  const properties = reader.properties(PacketType.subscribe);
  if (reader.left === 0) throw protocolError('MQTT-3.8.3-2', 'SUBSCRIBE without a filter');
  const subscriptions: SubscriptionRequest5[] = [];
  while (reader.left > 0) subscriptions.push(readSubscription(reader));
  return { type: 'subscribe', packetId, subscriptions, properties };
}

function readSubscription(reader: FieldReader): SubscriptionRequest5 {
  const filter = reader.filter('MQTT-3.8.3-1');
  const options = reader.byte('3.8.3', 'subscription options');
  const qos = options & SubscriptionOption.qos;
  const noLocal = (options & SubscriptionOption.noLocal) !== 0;
  const retainHandling = (options & SubscriptionOption.retainHandling) >> RETAIN_HANDLING_SHIFT;
  checkSubscriptionOptions(options, isShareFilter(filter));
  return {
    filter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & SubscriptionOption.retainAsPublished) !== 0,
    retainHandling: retainHandling as RetainHandling,
  };
}

function readUnsubscribe(reader: FieldReader): UnsubscribePacket5 {
  const packetId = reader.packetId();
  const properties = reader.properties(PacketType.unsubscribe);
  if (reader.left === 0) throw protocolError('MQTT-3.10.3-2', 'UNSUBSCRIBE without a filter');
  const filters: string[] = [];
  while (reader.left > 0) filters.push(reader.filter('MQTT-3.10.3-1'));
  return { type: 'unsubscribe', packetId, filters, properties };
}

function readFilterAck(
  reader: FieldReader,
  type: PacketType,
  name: FilterAckPacket5['type'],
  clause: string,
): FilterAckPacket5 {
  const packetId = reader.packetId();
  const properties = reader.properties(type);
  if (reader.left === 0) throw new ProtocolError(clause, `${name} without a reason code`);
  const reasonCodes: number[] = [];
  while (reader.left > 0) reasonCodes.push(readReasonCode(reader, type, clause));
  return { type: name, packetId, reasonCodes, properties };
}

function readDisconnect(reader: FieldReader): DisconnectPacket5 {
  const { disconnect } = PacketType;
  const reasonCode = reader.left === 0 ? 0 : readReasonCode(reader, disconnect, 'MQTT-3.14.2-1');
  const properties = reader.left === 0 ? NO_PROPERTIES : reader.properties(disconnect);
  reader.atEnd('3.14.3');
  return { type: 'disconnect', reasonCode, properties };
}

/**
 * The short form leaves out all, the Authentication Method too: section 3.15.2.1 has it for the
 * code 0, which a server sends.
 */
function readAuth(reader: FieldReader): AuthPacket5 {
  const { auth } = PacketType;
  if (reader.left === 0 && isReasonCodeAllowed(0, auth, reader.sender)) {
    return { type: 'auth', reasonCode: 0, properties: NO_PROPERTIES };
  }
  const reasonCode = readReasonCode(reader, auth, 'MQTT-3.15.2-1');
  const properties = reader.properties(auth);
  reader.atEnd('3.15.3');
  return { type: 'auth', reasonCode, properties };
}
