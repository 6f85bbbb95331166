/** CONNECT and CONNACK of MQTT 5.0 from bytes. */
import { ProtocolError } from '../../base/errors.js';
import { PacketType, type QoS } from '../packet.js';
import type { FieldReader } from './field-reader.js';
import { protocolError } from './fixed-header.js';
import type { ConnackPacket5, ConnectPacket5, WillMessage5 } from './packet.js';
import { WILL_PROPERTIES } from './property.js';
import { readReasonCode } from './read-reason-code.js';

/** Bits of the connect flags byte [MQTT 5.0, figure 3-4]. */
export const ConnectFlag = {
  reserved: 0x01,
  cleanStart: 0x02,
  will: 0x04,
  willQos: 0x18,
  willRetain: 0x20,
  password: 0x40,
  userName: 0x80,
} as const;
/** How far the Will QoS stands from bit 0. */
export const WILL_QOS_SHIFT = 3;

const PROTOCOL_NAME = 'MQTT';
const PROTOCOL_VERSION = 5;

/** Reads the body of a CONNECT. @throws ProtocolError */
export function readConnect(reader: FieldReader): ConnectPacket5 {
  const name = reader.text('MQTT-3.1.2-1', 'protocol name');
  const version = reader.byte('MQTT-3.1.2-1', 'protocol version');
  if (name !== PROTOCOL_NAME || version !== PROTOCOL_VERSION) {
    throw protocolError('MQTT-3.1.2-2', `protocol '${name}' version ${version} is not 5.0`, 0x84);
  }
  const flags = reader.byte('3.1.2.3', 'connect flags');
  checkConnectFlags(flags);
  const keepAliveSeconds = reader.uint16('3.1.2.10', 'keep alive');
  const properties = reader.properties(PacketType.connect);
  const clientId = reader.text('MQTT-3.1.3-3', 'client id');
  const will = (flags & ConnectFlag.will) === 0 ? null : readWill(reader, flags);
  const hasUsername = (flags & ConnectFlag.userName) !== 0;
  const username = hasUsername ? reader.text('MQTT-3.1.2-17', 'user name') : null;
  const hasPassword = (flags & ConnectFlag.password) !== 0;
  const password = hasPassword ? reader.binary('MQTT-3.1.2-19', 'password') : null;
  reader.atEnd('MQTT-3.1.3-1');
  return {
    type: 'connect',
    protocolVersion: PROTOCOL_VERSION,
    clientId,
    cleanStart: (flags & ConnectFlag.cleanStart) !== 0,
    keepAliveSeconds,
    will,
    username,
    password,
    properties,
  };
}

function checkConnectFlags(flags: number): void {
  if ((flags & ConnectFlag.reserved) !== 0) {
    throw new ProtocolError('MQTT-3.1.2-3', 'reserved connect flag is set');
  }
  if ((flags & ConnectFlag.willQos) === ConnectFlag.willQos) {
    throw new ProtocolError('MQTT-3.1.2-12', 'will QoS 3');
  }
  if ((flags & ConnectFlag.will) !== 0) return;
  if ((flags & ConnectFlag.willQos) !== 0) {
    throw new ProtocolError('MQTT-3.1.2-11', 'will QoS without a will');
  }
  if ((flags & ConnectFlag.willRetain) !== 0) {
    throw new ProtocolError('MQTT-3.1.2-13', 'will retain without a will');
  }
}

/** Will Properties, Will Topic and Will Payload, in this order [MQTT-3.1.3-1]. */
function readWill(reader: FieldReader, flags: number): WillMessage5 {
  const properties = reader.properties(WILL_PROPERTIES);
  const topic = reader.topic('MQTT-4.7.0-1', 'will topic');
  if (topic === '') throw protocolError('MQTT-4.7.3-1', 'will topic is empty');
  return {
    topic,
    payload: reader.binary('MQTT-3.1.2-9', 'will payload'),
    qos: ((flags & ConnectFlag.willQos) >> WILL_QOS_SHIFT) as QoS,
    retain: (flags & ConnectFlag.willRetain) !== 0,
    properties,
  };
}

/** Reads the body of a CONNACK. @throws ProtocolError */
export function readConnack(reader: FieldReader): ConnackPacket5 {
  const flags = reader.byte('3.2.2', 'connect acknowledge flags');
  if (flags > 1) throw new ProtocolError('MQTT-3.2.2-1', 'reserved acknowledge flags are set');
  const reasonCode = readReasonCode(reader, PacketType.connack, 'MQTT-3.2.2-8');
  if (flags === 1 && reasonCode !== 0) {
    throw protocolError('MQTT-3.2.2-6', 'session present in a refusal');
  }
  const properties = reader.properties(PacketType.connack);
  reader.atEnd('3.2.3');
  return { type: 'connack', sessionPresent: flags === 1, reasonCode, properties };
}
