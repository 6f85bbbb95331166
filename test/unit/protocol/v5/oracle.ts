/** mqtt-packet's words for MQTT 5.0 packets, from ours and to ours. */
import * as mqttPacket from 'mqtt-packet';
import {
  type ControlPacket5,
  NO_PROPERTIES,
  PROPERTIES,
  type Properties,
  type UserProperty,
} from '../../../../src/protocol/v5/index.js';

type TheirProperties = Record<string, unknown>;

/** Their names, where they are not ours. */
const THEIR_NAMES: Readonly<Record<string, string>> = {
  maximumQos: 'maximumQoS',
  subscriptionIdentifiers: 'subscriptionIdentifier',
};
const OUR_NAMES = new Map(Object.entries(THEIR_NAMES).map(([ours, theirs]) => [theirs, ours]));

/**
 * User Properties as they have them: by name, so that only the order within a name is left; and an
 * empty value is forgotten when another of its name follows.
 */
function grouped(pairs: readonly UserProperty[]): UserProperty[] {
  const byName = new Map<string, UserProperty[]>();
  for (const pair of pairs) {
    const before = byName.get(pair[0]) ?? [];
    const isForgotten = before.length === 1 && before[0][1] === '';
    byName.set(pair[0], isForgotten ? [pair] : [...before, pair]);
  }
  // Objects have names that are numbers first.
  return [...byName.values()].flat().sort(([one], [other]) => (one < other ? -1 : +(one > other)));
}

/** Our packet without what they cannot say: the order of User Properties of different names. */
export function comparable<T extends ControlPacket5>(packet: T): T {
  const sorted = (properties: Properties): Properties =>
    properties.userProperties === undefined
      ? properties
      : { ...properties, userProperties: grouped(properties.userProperties) };
  const copy = { ...packet } as { properties?: Properties; will?: { properties: Properties } };
  if (copy.properties !== undefined) copy.properties = sorted(copy.properties);
  if (copy.will) copy.will = { ...copy.will, properties: sorted(copy.will.properties) };
  return copy as unknown as T;
}

function toTheirProperties(properties: Properties): TheirProperties {
  return Object.fromEntries(
    Object.entries(properties).map(([key, value]) => {
      const name = THEIR_NAMES[key] ?? key;
      if (key === 'payloadFormatIndicator') return [name, value === 1];
      if (key !== 'userProperties') return [name, value];
      const byName: Record<string, string[]> = Object.create(null);
      for (const [pairName, pairValue] of value as UserProperty[]) {
        byName[pairName] = [...(byName[pairName] ?? []), pairValue];
      }
      return [name, byName];
    }),
  );
}

const BOOLEANS: ReadonlySet<string> = new Set(
  PROPERTIES.filter((rule) => rule.isBoolean).map((rule) => rule.key),
);

/** They have bytes of 0 and 1 as booleans, `maximumQoS` apart. */
function toOurValue(key: string, value: unknown): unknown {
  if (key === 'subscriptionIdentifiers') return [value].flat();
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (BOOLEANS.has(key)) return Boolean(value);
  return typeof value === 'boolean' ? Number(value) : value;
}

function toOurProperties(properties: TheirProperties | undefined): Properties {
  if (properties === undefined) return NO_PROPERTIES;
  const entries = Object.entries(properties).map(([name, value]) => {
    const key = OUR_NAMES.get(name) ?? name;
    if (key !== 'userProperties') return [key, toOurValue(key, value)];
    const pairs = Object.entries(value as Record<string, string | string[]>).flatMap(
      ([pairName, values]) => [values].flat().map((text): UserProperty => [pairName, text]),
    );
    return [key, grouped(pairs)];
  });
  return Object.fromEntries(entries) as Properties;
}

/** The frame that mqtt-packet writes for a packet of ours. */
export function oracleFrame(packet: ControlPacket5): Buffer {
  return mqttPacket.generate(toTheirs(packet) as mqttPacket.Packet, { protocolVersion: 5 });
}

function toTheirs(packet: ControlPacket5): object {
  if (!('properties' in packet)) return { cmd: packet.type };
  const properties = toTheirProperties(packet.properties);
  switch (packet.type) {
    case 'connect': {
      const { clientId, cleanStart, keepAliveSeconds, will, username, password } = packet;
      return {
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 5,
        clientId,
        clean: cleanStart,
        keepalive: keepAliveSeconds,
        properties,
        ...(will !== null && {
          will: { ...will, properties: toTheirProperties(will.properties) },
        }),
        ...(username !== null && { username }),
        ...(password !== null && { password }),
      };
    }
    case 'publish':
      return { ...packet, cmd: 'publish', messageId: packet.packetId, properties };
    case 'subscribe':
      return {
        cmd: 'subscribe',
        messageId: packet.packetId,
        properties,
        subscriptions: packet.subscriptions.map((one) => ({
          topic: one.filter,
          qos: one.qos,
          nl: one.noLocal,
          rap: one.retainAsPublished,
          rh: one.retainHandling,
        })),
      };
    case 'unsubscribe':
      return {
        cmd: 'unsubscribe',
        messageId: packet.packetId,
        properties,
        unsubscriptions: packet.filters,
      };
    case 'suback':
    case 'unsuback':
      return {
        cmd: packet.type,
        messageId: packet.packetId,
        properties,
        granted: packet.reasonCodes,
      };
    default:
      return {
        ...packet,
        cmd: packet.type,
        properties,
        ...('packetId' in packet && { messageId: packet.packetId }),
      };
  }
}

/** All packets that mqtt-packet finds in `bytes`, in our words. @throws what it emits or throws. */
export function oracleParse5(bytes: Buffer): ControlPacket5[] {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 5 });
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  const left = parser.parse(bytes);
  if (left > 0) throw new Error(`${left} bytes are left`);
  return packets.map(toOurs);
}

function toOurs(packet: mqttPacket.Packet): ControlPacket5 {
  const theirs = packet as unknown as Record<string, unknown> & { cmd: string };
  const properties = toOurProperties(theirs.properties as TheirProperties | undefined);
  const packetId = (theirs.messageId as number | undefined) ?? 0;
  switch (theirs.cmd) {
    case 'connect': {
      const will = theirs.will as Record<string, unknown> | undefined;
      return {
        type: 'connect',
        protocolVersion: theirs.protocolVersion as 5,
        clientId: theirs.clientId as string,
        cleanStart: theirs.clean as boolean,
        keepAliveSeconds: theirs.keepalive as number,
        will:
          will === undefined
            ? null
            : {
                topic: will.topic as string,
                payload: Buffer.from(will.payload as Buffer),
                qos: will.qos as 0,
                retain: will.retain as boolean,
                properties: toOurProperties(will.properties as TheirProperties | undefined),
              },
        username: (theirs.username as string | undefined) ?? null,
        password: theirs.password === undefined ? null : Buffer.from(theirs.password as Uint8Array),
        properties,
      };
    }
    case 'connack':
      return {
        type: 'connack',
        sessionPresent: theirs.sessionPresent as boolean,
        reasonCode: theirs.reasonCode as number,
        properties,
      };
    case 'publish':
      return {
        type: 'publish',
        topic: theirs.topic as string,
        payload: Buffer.from(theirs.payload as Buffer),
        qos: theirs.qos as 0,
        retain: theirs.retain as boolean,
        dup: theirs.dup as boolean,
        packetId,
        properties,
      };
    case 'subscribe':
      return {
        type: 'subscribe',
        packetId,
        subscriptions: (theirs.subscriptions as Record<string, unknown>[]).map((one) => ({
          filter: one.topic as string,
          qos: one.qos as 0,
          noLocal: one.nl as boolean,
          retainAsPublished: one.rap as boolean,
          retainHandling: one.rh as 0,
        })),
        properties,
      };
    case 'unsubscribe':
      return {
        type: 'unsubscribe',
        packetId,
        filters: theirs.unsubscriptions as string[],
        properties,
      };
    case 'suback':
    case 'unsuback':
      return { type: theirs.cmd, packetId, reasonCodes: theirs.granted as number[], properties };
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { type: theirs.cmd, packetId, reasonCode: theirs.reasonCode as number, properties };
    case 'disconnect':
    case 'auth':
      return { type: theirs.cmd, reasonCode: theirs.reasonCode as number, properties };
    default:
      return { type: theirs.cmd as 'pingreq' };
  }
}
