/** What the tests of MQTT 5.0 draw at random. */
import fc from 'fast-check';
import { PacketType } from '../../../../src/protocol/packet.js';
import {
  type ControlPacket5,
  isReasonCodeAllowed,
  PROPERTIES,
  type Properties,
  type PropertyHolder,
  type PropertyRule,
  PropertyType,
  RetainHandling,
  Sender,
  WILL_PROPERTIES,
  type WillMessage5,
} from '../../../../src/protocol/v5/index.js';
import { filters, packetIds, payloads, qualities, texts, topics } from '../arbitraries.js';

/** Records as our own code makes them: with the prototype of Object. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

export const senders: fc.Arbitrary<Sender> = fc.constantFrom(Sender.client, Sender.server);

/** Any whole number of a range, its ends more often than others. */
function numbers(min: number, max: number): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max }));
}

/** Values of a property as they stand in `Properties`. */
function valuesOf(rule: PropertyRule, holder: PropertyHolder): fc.Arbitrary<unknown> {
  if (rule.key === 'responseTopic') return topics;
  if (rule.key === 'subscriptionIdentifiers') {
    const maxLength = holder === PacketType.publish ? 4 : 1;
    return fc.array(numbers(rule.min, rule.max), { minLength: 1, maxLength });
  }
  switch (rule.type) {
    case PropertyType.binaryData:
      return payloads;
    case PropertyType.utf8String:
      return texts;
    case PropertyType.utf8StringPair:
      return fc.array(fc.tuple(texts, texts), { minLength: 1, maxLength: 4 });
    default:
      return rule.isBoolean ? fc.boolean() : numbers(rule.min, rule.max);
  }
}

/** Whether `sender` may send the property in such a packet. */
export function isCarried(rule: PropertyRule, holder: PropertyHolder, sender: Sender): boolean {
  const { holders, onlyFrom } = rule;
  const isForeign = ((onlyFrom.holders >> holder) & 1) === 1 && onlyFrom.sender !== sender;
  return ((holders >> holder) & 1) === 1 && !isForeign;
}

/** Properties that a packet may carry. */
export function propertiesOf(holder: PropertyHolder, sender: Sender): fc.Arbitrary<Properties> {
  const model = Object.fromEntries(
    PROPERTIES.filter((rule) => isCarried(rule, holder, sender)).map((rule) => [
      rule.key,
      valuesOf(rule, holder),
    ]),
  );
  const some = fc.record(model, { requiredKeys: [], noNullPrototype: true });
  return fc
    .oneof(
      { arbitrary: fc.constant<Properties>({}), weight: 1 },
      { arbitrary: some as fc.Arbitrary<Properties>, weight: 3 },
    )
    .map((properties) => {
      const needsMethod =
        holder === PacketType.auth ||
        (holder === PacketType.connect && properties.authenticationData !== undefined);
      if (!needsMethod || properties.authenticationMethod !== undefined) return properties;
      return { ...properties, authenticationMethod: 'SCRAM' };
    });
}

/** Codes that a packet may carry. */
function reasonCodesOf(type: PacketType, sender: Sender): fc.Arbitrary<number> {
  const codes = Array.from({ length: 256 }, (_, code) => code);
  return fc.constantFrom(...codes.filter((code) => isReasonCodeAllowed(code, type, sender)));
}

const connects: fc.Arbitrary<ControlPacket5> = record({
  type: fc.constant('connect' as const),
  protocolVersion: fc.constant(5 as const),
  clientId: texts,
  cleanStart: fc.boolean(),
  keepAliveSeconds: numbers(0, 65_535),
  will: fc.option<WillMessage5, null>(
    record<WillMessage5>({
      topic: topics,
      payload: payloads,
      qos: qualities,
      retain: fc.boolean(),
      properties: propertiesOf(WILL_PROPERTIES, Sender.client),
    }),
  ),
  username: fc.option<string, null>(texts),
  password: fc.option<Buffer, null>(payloads),
  properties: propertiesOf(PacketType.connect, Sender.client),
});

const connacks: fc.Arbitrary<ControlPacket5> = record({
  type: fc.constant('connack' as const),
  sessionPresent: fc.boolean(),
  reasonCode: reasonCodesOf(PacketType.connack, Sender.server),
  properties: propertiesOf(PacketType.connack, Sender.server),
}).map((packet) => ({
  ...packet,
  sessionPresent: packet.sessionPresent && packet.reasonCode === 0,
}));

export function publishesOf(sender: Sender): fc.Arbitrary<ControlPacket5 & { type: 'publish' }> {
  return record({
    type: fc.constant('publish' as const),
    topic: fc.oneof({ arbitrary: topics, weight: 5 }, { arbitrary: fc.constant(''), weight: 1 }),
    payload: payloads,
    qos: qualities,
    retain: fc.boolean(),
    dup: fc.boolean(),
    packetId: packetIds,
    properties: propertiesOf(PacketType.publish, sender),
  }).map((packet) => ({
    ...packet,
    dup: packet.dup && packet.qos > 0,
    packetId: packet.qos === 0 ? 0 : packet.packetId,
    topic: packet.topic === '' && packet.properties.topicAlias === undefined ? 't' : packet.topic,
  }));
}

function acksOf(
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  sender: Sender,
): fc.Arbitrary<ControlPacket5> {
  return record({
    type: fc.constant(type),
    packetId: packetIds,
    reasonCode: reasonCodesOf(PacketType[type], sender),
    properties: propertiesOf(PacketType[type], sender),
  });
}

const subscribes: fc.Arbitrary<ControlPacket5> = record({
  type: fc.constant('subscribe' as const),
  packetId: packetIds,
  subscriptions: fc.array(
    record({
      filter: filters,
      qos: qualities,
      noLocal: fc.boolean(),
      retainAsPublished: fc.boolean(),
      retainHandling: fc.constantFrom(...Object.values(RetainHandling)),
    }).map((subscription) => ({
      ...subscription,
      noLocal: subscription.noLocal && !subscription.filter.startsWith('$share/'),
    })),
    { minLength: 1, maxLength: 4 },
  ),
  properties: propertiesOf(PacketType.subscribe, Sender.client),
});

const unsubscribes: fc.Arbitrary<ControlPacket5> = record({
  type: fc.constant('unsubscribe' as const),
  packetId: packetIds,
  filters: fc.array(filters, { minLength: 1, maxLength: 4 }),
  properties: propertiesOf(PacketType.unsubscribe, Sender.client),
});

function filterAcksOf(type: 'suback' | 'unsuback'): fc.Arbitrary<ControlPacket5> {
  return record({
    type: fc.constant(type),
    packetId: packetIds,
    reasonCodes: fc.array(reasonCodesOf(PacketType[type], Sender.server), {
      minLength: 1,
      maxLength: 4,
    }),
    properties: propertiesOf(PacketType[type], Sender.server),
  });
}

function reasonedOf(type: 'disconnect' | 'auth', sender: Sender): fc.Arbitrary<ControlPacket5> {
  return record({
    type: fc.constant(type),
    reasonCode: reasonCodesOf(PacketType[type], sender),
    properties: propertiesOf(PacketType[type], sender),
  });
}

/** Any packet that this side may send. */
export function packetsOf(sender: Sender): fc.Arbitrary<ControlPacket5> {
  const ofEither = [
    publishesOf(sender),
    ...(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map((type) => acksOf(type, sender)),
    reasonedOf('disconnect', sender),
    reasonedOf('auth', sender),
  ];
  return sender === Sender.client
    ? fc.oneof(
        ...ofEither,
        connects,
        subscribes,
        unsubscribes,
        fc.constant({ type: 'pingreq' as const }),
      )
    : fc.oneof(
        ...ofEither,
        connacks,
        filterAcksOf('suback'),
        filterAcksOf('unsuback'),
        fc.constant({ type: 'pingresp' as const }),
      );
}

/** A packet and who sends it. */
export const sentPackets: fc.Arbitrary<{ sender: Sender; packet: ControlPacket5 }> = senders.chain(
  (sender) => packetsOf(sender).map((packet) => ({ sender, packet })),
);
