/**
 * What the protocol tests draw at random, and mqtt-packet as the oracle that they are held against.
 */
import fc from 'fast-check';
import * as mqttPacket from 'mqtt-packet';
import type { ControlPacket, QoS } from '../../../src/protocol/packet.js';

/** Records as our own code makes them: with the prototype of Object. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

/** All packets that mqtt-packet finds in `bytes`. @throws what it emits as an error. */
export function oracleParse(bytes: Buffer): mqttPacket.Packet[] {
  const packets: mqttPacket.Packet[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => {
    throw error;
  });
  parser.parse(bytes);
  return packets;
}

export const packetIds: fc.Arbitrary<number> = fc.integer({ min: 1, max: 65_535 });
export const qualities: fc.Arbitrary<QoS> = fc.constantFrom<QoS>(0, 1, 2);

/** Text that MQTT allows: any of Unicode but NUL and surrogates. */
export const texts: fc.Arbitrary<string> = fc
  .string({ unit: 'binary', maxLength: 12 })
  .map((text) => text.replaceAll('\0', '0'));
export const topics: fc.Arbitrary<string> = texts
  .map((text) => text.replaceAll(/[+#]/g, '/'))
  .filter((text) => text !== '');
/** What may stand in SUBSCRIBE: its syntax is the broker's to judge. */
export const filters: fc.Arbitrary<string> = texts.filter((text) => text !== '');
export const payloads: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Buffer.from(bytes));

/** One PUBLISH as mqtt-packet takes and gives it. */
export interface Publish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly messageId: number;
}

export function publishBytes(publish: Publish): Buffer {
  return mqttPacket.generate({ cmd: 'publish', ...publish });
}

/**
 * PUBLISH packets that often share topic and flags with their neighbours, so that they make runs.
 */
const alikeTopics = fc.constantFrom(
  'a',
  'b',
  'ab/c',
  'plant/7/x',
  'plant/7/y',
  'plant/8/y',
  'ü/ö/ä/€',
);
export const runPublishes: fc.Arbitrary<Publish[]> = record({
  topic: fc.oneof({ arbitrary: alikeTopics, weight: 9 }, { arbitrary: topics, weight: 1 }),
  qos: qualities,
  retain: fc.oneof(
    { arbitrary: fc.constant(false), weight: 3 },
    { arbitrary: fc.boolean(), weight: 1 },
  ),
  singles: fc.array(
    record({
      // Around the place where the remaining length takes a second byte, too.
      payload: fc.oneof(
        payloads,
        fc.integer({ min: 110, max: 130 }).map((length) => Buffer.alloc(length, 'p')),
      ),
      messageId: packetIds,
      dup: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
}).map(({ topic, qos, retain, singles }) =>
  singles.map(({ payload, messageId, dup }) => ({
    topic,
    qos,
    retain,
    payload,
    messageId,
    dup: dup && qos > 0,
  })),
);

/** Any packet of ours, as it may be sent. */
export const controlPackets: fc.Arbitrary<ControlPacket> = fc.oneof(
  record({
    type: fc.constant('connect' as const),
    protocolVersion: fc.constantFrom(3 as const, 4 as const),
    clientId: texts,
    cleanSession: fc.boolean(),
    keepAliveSeconds: fc.integer({ min: 0, max: 65_535 }),
    will: fc.option(
      record({ topic: topics, payload: payloads, qos: qualities, retain: fc.boolean() }),
    ),
    username: fc.option(texts),
    password: fc.option(payloads),
  }).map((packet) => ({
    ...packet,
    clientId:
      packet.clientId === '' && (packet.protocolVersion === 3 || !packet.cleanSession)
        ? 'id'
        : packet.clientId,
    password: packet.username === null ? null : packet.password,
  })),
  record({
    type: fc.constant('connack' as const),
    sessionPresent: fc.boolean(),
    returnCode: fc.integer({ min: 0, max: 5 }),
  }).map((packet) => ({
    ...packet,
    sessionPresent: packet.sessionPresent && packet.returnCode === 0,
  })),
  record({
    type: fc.constant('publish' as const),
    topic: topics,
    payload: payloads,
    qos: qualities,
    retain: fc.boolean(),
    dup: fc.boolean(),
    packetId: packetIds,
  }).map((packet) => ({
    ...packet,
    dup: packet.dup && packet.qos > 0,
    packetId: packet.qos === 0 ? 0 : packet.packetId,
  })),
  record({
    type: fc.constant('subscribe' as const),
    packetId: packetIds,
    subscriptions: fc.array(record({ filter: filters, qos: qualities }), {
      minLength: 1,
      maxLength: 5,
    }),
  }),
  record({
    type: fc.constant('suback' as const),
    packetId: packetIds,
    returnCodes: fc.array(fc.constantFrom(0, 1, 2, 0x80), { minLength: 1, maxLength: 200 }),
  }),
  record({
    type: fc.constant('unsubscribe' as const),
    packetId: packetIds,
    filters: fc.array(filters, { minLength: 1, maxLength: 5 }),
  }),
  record({
    type: fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp', 'unsuback'),
    packetId: packetIds,
  }),
  record({ type: fc.constantFrom('pingreq', 'pingresp', 'disconnect') }),
);
