/** How a message is published, and the property block that goes with it. */
import { ArgumentError } from '../base/errors.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import {
  encodeProperties,
  Sender,
  variableByteIntegerBytes,
  writeVariableByteInteger,
} from '../protocol/v5/index.js';
import type { CallOptions } from './call.js';
import type { ProtocolLevel } from './handshake.js';
import type { PublishProperties } from './message.js';

/** How a message is published. */
export interface PublishOptions extends CallOptions {
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /** Default false: the server does not keep the message for later subscribers. */
  readonly retain?: boolean | undefined;
  /** Of MQTT 5.0. */
  readonly properties?: PublishProperties | undefined;
}

/** The packet type that ends the first wait of a message, by its QoS. */
export const FIRST_ANSWER = [0, PacketType.puback, PacketType.pubrec] as const;

/** In 3.x nothing stands between topic or packet id and payload, in 5.0 at least a length. */
const FIELD_3 = Buffer.alloc(0);
const FIELD_5 = Buffer.from([0]);

/** Properties that the client or the server puts in, not a program. */
const NOT_GIVEN = ['topicAlias', 'subscriptionIdentifiers'] as const;

/**
 * Property Length and properties, as they stand in a PUBLISH of this version: nothing in 3.x. Not
 * to be written to; without properties it is always the same.
 * @throws ArgumentError for properties that may not be, or not in this version.
 */
export function propertyField(
  version: ProtocolLevel,
  properties: PublishProperties | undefined,
): Buffer {
  if (properties === undefined) return version === 5 ? FIELD_5 : FIELD_3;
  for (const name of NOT_GIVEN) {
    if (Reflect.get(properties, name) !== undefined) {
      throw new ArgumentError(`property ${name} is not for a program to give`);
    }
  }
  const block = encodeProperties(properties, PacketType.publish, Sender.client);
  if (version !== 5) {
    if (block.length === 0) return FIELD_3;
    throw needsVersion5('properties of a message', version);
  }
  const field = Buffer.allocUnsafe(variableByteIntegerBytes(block.length) + block.length);
  block.copy(field, writeVariableByteInteger(field, 0, block.length));
  return field;
}

/** Something was asked for that only MQTT 5.0 has. */
export function needsVersion5(what: string, version: ProtocolLevel): ArgumentError {
  const spoken = version === 3 ? '3.1' : '3.1.1';
  return new ArgumentError(
    `${what}: only MQTT 5.0 has them, and MQTT ${spoken} is spoken with this server ` +
      '(option protocolVersion)',
  );
}
