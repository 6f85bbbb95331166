import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RecordError } from '../../../../src/base/errors.js';
import { parsePacket } from '../../../../src/protocol/codec.js';
import type { PublishPacket } from '../../../../src/protocol/packet.js';
import { frameEnd } from '../../../../src/protocol/publish-frame.js';
import {
  encodePacket5,
  NOT_THERE,
  type Properties,
  PublishForm,
  type PublishPacket5,
  PublishView,
  parsePacket5,
  Sender,
} from '../../../../src/protocol/v5/index.js';
import { publishBytes } from '../arbitraries.js';
import { publishesOf } from './arbitraries.js';

const { client, server } = Sender;

/** A view of the one frame in `bytes`. */
function viewOf(bytes: Buffer, sender: Sender = client): PublishView {
  const view = new PublishView();
  let bodyStart = 1;
  while (bytes[bodyStart] >= 0x80) bodyStart++;
  view.read(bytes, bodyStart + 1, bytes.length, (bytes[0] & 6) !== 0, sender);
  return view;
}

/** The canonical properties of the frame in `bytes`. */
function canonicalOf(bytes: Buffer, view: PublishView): Buffer {
  const block = Buffer.alloc(view.canonicalLength + 2, 0xee);
  assert.equal(view.copyCanonical(bytes, block, 1), 1 + view.canonicalLength);
  assert.deepEqual([block[0], block[block.length - 1]], [0xee, 0xee]);
  return block.subarray(1, block.length - 1);
}

/** Properties without those that a canonical frame does not have. */
function withoutCuts({ topicAlias, messageExpiryInterval, ...others }: Properties): Properties {
  return others;
}

describe('PublishView', () => {
  test('says where the parts of a PUBLISH lie', () => {
    fc.assert(
      fc.property(publishesOf(server), (packet) => {
        const bytes = encodePacket5(packet, server);
        const view = viewOf(bytes, server);
        const { topicStart, topicLength, payloadStart } = view;
        assert.equal(bytes.toString('utf8', topicStart, topicStart + topicLength), packet.topic);
        assert.deepEqual(bytes.subarray(payloadStart), packet.payload);
        assert.equal(view.packetId, packet.packetId);
        assert.equal(view.topicAlias, packet.properties.topicAlias ?? 0);
        assert.equal(
          view.messageExpirySeconds,
          packet.properties.messageExpiryInterval ?? NOT_THERE,
        );
        assert.equal(view.isPayloadText, packet.properties.payloadFormatIndicator === 1);
        assert.equal(view.payloadStart, view.propertiesStart + view.propertiesLength);
        const { topicAlias, messageExpiryInterval } = packet.properties;
        const isCanonical = topicAlias === undefined && messageExpiryInterval === undefined;
        assert.equal(view.isCanonical, isCanonical);
      }),
      { numRuns: 500 },
    );
  });

  // [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]
  test('leaves all but alias and expiry as it came, in its order, wherever the two stand', () => {
    const pieces = {
      alias: '230007',
      expiry: '0200000009',
      user: '26000161000162',
      text: '0101',
      user2: '26000162000161',
    };
    fc.assert(
      fc.property(fc.shuffledSubarray(Object.keys(pieces) as (keyof typeof pieces)[]), (keys) => {
        const block = Buffer.from(keys.map((key) => pieces[key]).join(''), 'hex');
        const head = Buffer.from([0x30, 4 + block.length, 0, 1, 0x74, block.length]);
        const bytes = Buffer.concat([head, block]);
        const view = viewOf(bytes);
        const kept = keys.filter((key) => key !== 'alias' && key !== 'expiry');
        assert.equal(
          canonicalOf(bytes, view).toString('hex'),
          kept.map((key) => pieces[key]).join(''),
        );
        assert.equal(view.topicAlias, keys.includes('alias') ? 7 : 0);
        assert.equal(view.messageExpirySeconds, keys.includes('expiry') ? 9 : NOT_THERE);
      }),
      { numRuns: 300 },
    );
  });

  test('keeps nothing of the frame before', () => {
    const view = new PublishView();
    const rich = Buffer.from(
      '3010 0001 74 0c 0101 0200000001 230001 0101'.replaceAll(' ', ''),
      'hex',
    );
    assert.throws(() => view.read(rich, 2, rich.length, false, client));
    const plain = Buffer.from('30040001 7400'.replaceAll(' ', ''), 'hex');
    view.read(plain, 2, plain.length, false, client);
    assert.deepEqual(
      [view.topicAlias, view.messageExpirySeconds, view.isPayloadText, view.canonicalLength],
      [0, NOT_THERE, false, 0],
    );
  });

  test('reads a trusted frame of either version without its properties', () => {
    const view = new PublishView();
    fc.assert(
      fc.property(publishesOf(client), fc.nat({ max: 3 }), (packet, before) => {
        const frame = encodePacket5(packet, client);
        const bytes = Buffer.concat([Buffer.alloc(before), frame]);
        view.readTrusted(bytes, before, 5);
        assert.equal(view.payloadStart, bytes.length - packet.payload.length);
        assert.equal(view.propertiesLength, viewOf(frame).propertiesLength);
        assert.equal(view.packetId, packet.packetId);
        const { topic, payload, qos, retain, dup, packetId } = packet;
        const old = publishBytes({
          topic: topic === '' ? 't' : topic,
          payload,
          qos,
          retain,
          dup,
          messageId: packetId,
        });
        view.readTrusted(old, 0, 4);
        assert.equal(view.payloadStart, old.length - payload.length);
        assert.deepEqual([view.propertiesLength, view.packetId], [0, packetId]);
      }),
      { numRuns: 300 },
    );
  });
});

/** A form for what is in `packet`, through its frame. */
function formOf(packet: PublishPacket5): PublishForm {
  const bytes = encodePacket5(packet, client);
  const view = viewOf(bytes);
  const form = new PublishForm();
  form.setTopic(bytes, view.topicStart, view.topicLength);
  const block = canonicalOf(bytes, view);
  form.setProperties(block, 0, block.length);
  return form;
}

/** What one receiver gets beside the canonical parts. */
const extras = fc.record(
  {
    messageExpiryInterval: fc.oneof(
      fc.constantFrom(1, 0xffff, 0x10000, 0x7fff_ffff, 0xffff_ffff),
      fc.integer({ min: 1, max: 0xffff_ffff }),
    ),
    topicAlias: fc.integer({ min: 1, max: 65_535 }),
    subscriptionIdentifiers: fc.array(
      fc.oneof(fc.constantFrom(1, 127, 128, 268_435_455), fc.integer({ min: 1, max: 20_000 })),
      { minLength: 1, maxLength: 4 },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);

function addExtras(form: PublishForm, extra: Properties): void {
  form.messageExpirySeconds = extra.messageExpiryInterval ?? NOT_THERE;
  form.topicAlias = extra.topicAlias ?? 0;
  form.subscriptionIdentifiers = extra.subscriptionIdentifiers ?? [];
}

/** Packets with a topic, as canonical ones have. */
const named = publishesOf(client).map((packet) => ({ ...packet, topic: packet.topic || 'named' }));

describe('PublishForm', () => {
  test('lays out one message for 5.0, with what is the receiver’s own', () => {
    fc.assert(
      fc.property(named, extras, fc.boolean(), (packet, extra, isKnown) => {
        const form = formOf(packet);
        addExtras(form, extra);
        form.isTopicOmitted = isKnown && form.topicAlias !== 0;
        const header = 0x30 | (packet.qos << 1) | Number(packet.retain);
        const { payload, packetId } = packet;
        const length = form.frameLength(header, payload.length);
        const target = Buffer.alloc(length + 2, 0xee);
        const end = form.write(target, 1, header, packetId, payload, 0, payload.length);
        assert.equal(end, 1 + length);
        assert.deepEqual([target[0], target[end]], [0xee, 0xee]);
        assert.deepEqual(parsePacket5(target, 1, end, server), {
          ...packet,
          dup: false,
          topic: form.isTopicOmitted ? '' : packet.topic,
          properties: { ...withoutCuts(packet.properties), ...extra },
        });
      }),
      { numRuns: 1_000 },
    );
  });

  test('lays out one message for 3.x, without anything of 5.0', () => {
    fc.assert(
      fc.property(named, (packet) => {
        const form = formOf(packet);
        form.version = 4;
        // A 3.x receiver has none of these, whatever was set for another.
        form.messageExpirySeconds = 5;
        form.subscriptionIdentifiers = [1];
        const header = 0x30 | (packet.qos << 1) | Number(packet.retain);
        const { topic, payload, qos, retain, packetId } = packet;
        const length = form.frameLength(header, payload.length);
        const target = Buffer.alloc(length);
        assert.equal(form.write(target, 0, header, packetId, payload, 0, payload.length), length);
        const expected = { topic, payload, qos, retain, dup: false, messageId: packetId };
        assert.deepEqual(target, publishBytes(expected));
      }),
      { numRuns: 500 },
    );
  });

  /** A run as it came from a client of 5.0 or 3.x, and what its messages are. */
  const runs = fc
    .record({
      packet: named,
      isOf5: fc.boolean(),
      // Its publisher said the topic before, and only the alias here.
      isAliased: fc.boolean(),
      payloads: fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
          fc.integer({ min: 80, max: 200 }).map((length) => Buffer.alloc(length, 'p')),
          // As doubles these are NaNs of all kinds, infinities and zeros.
          fc
            .array(fc.constantFrom(0, 1, 0x7f, 0xf0, 0xf4, 0xff), { minLength: 8, maxLength: 40 })
            .map((bytes) => Buffer.from(bytes)),
          fc.integer({ min: 16_350, max: 16_400 }).map((length) => Buffer.alloc(length, 'q')),
        ),
        { minLength: 1, maxLength: 5 },
      ),
    })
    .map(({ packet, isOf5, isAliased, payloads }) => {
      const packets = payloads.map((payload) => ({
        ...packet,
        payload,
        properties: isOf5 ? packet.properties : {},
      }));
      const isTopicLeftOut = isAliased && packet.properties.topicAlias !== undefined;
      const sent = (one: PublishPacket5) => (isTopicLeftOut ? { ...one, topic: '' } : one);
      const frames = packets.map((one) =>
        isOf5
          ? encodePacket5(sent(one), client)
          : publishBytes({ ...one, messageId: one.packetId }),
      );
      return { packets, isOf5, bytes: Buffer.concat([Buffer.alloc(3), ...frames]) };
    });

  test('lays out a run of any version for any version, leaving out what is too long', () => {
    const view = new PublishView();
    const receivers = fc.record({
      version: fc.constantFrom(4 as const, 5 as const),
      qos: fc.constantFrom(0, 1, 2),
      firstPacketId: fc.constantFrom(1, 300, 65_534, 65_535),
      maximum: fc.constantFrom(Number.POSITIVE_INFINITY, 60, 150, 16_384, 16_400),
    });
    fc.assert(
      fc.property(runs, extras, receivers, ({ packets, isOf5, bytes }, extra, receiver) => {
        const [{ topic, properties, retain }] = packets;
        view.readTrusted(bytes, 3, isOf5 ? 5 : 4);
        const form = formOf(packets[0]);
        addExtras(form, receiver.version === 5 ? extra : {});
        form.version = receiver.version;
        form.maximumPacketSize = receiver.maximum;
        const header = 0x30 | (receiver.qos << 1) | Number(retain);
        const { payloadOffset } = view;
        const room = form.runRoom(bytes, 3, bytes.length, payloadOffset, header);
        const target = Buffer.alloc(room + 2, 0xee);
        const { firstPacketId } = receiver;
        const run = [bytes, 3, bytes.length, payloadOffset, target, 1] as const;
        const end = form.writeRun(...run, header, firstPacketId);
        assert.ok(end <= room + 1);
        // The room may be written to, and nothing around it.
        assert.deepEqual([target[0], target[room + 1]], [0xee, 0xee]);
        const fitting = packets.filter(
          ({ payload }) => form.frameLength(header, payload.length) <= receiver.maximum,
        );
        assert.equal(form.writtenCount, fitting.length);
        if (fitting.length === packets.length && end < room + 1) {
          assert.equal(room, bytes.length - 3, 'room for the run as it came');
        }
        let position = 1;
        let packetId: number = firstPacketId;
        for (const { payload } of fitting) {
          const next = frameEnd(target, position);
          assert.ok(next - position <= receiver.maximum);
          const expected = {
            type: 'publish',
            topic,
            payload,
            qos: receiver.qos,
            retain,
            dup: false,
            packetId: receiver.qos === 0 ? 0 : packetId,
          };
          if (receiver.version === 5) {
            assert.deepEqual(parsePacket5(target, position, next, server), {
              ...expected,
              properties: { ...withoutCuts(properties), ...extra },
            });
          } else {
            const parsed = parsePacket(target, position, next, 4) as PublishPacket;
            assert.deepEqual(parsed, expected);
          }
          position = next;
          packetId = packetId === 65_535 ? 1 : packetId + 1;
        }
        assert.equal(position, end);
      }),
      { numRuns: 600 },
    );
  });

  test('refuses a run whose frames do not end where it does, or before their payload', () => {
    const form = new PublishForm();
    const bytes = Buffer.from('300500017400 61 300500017400 62'.replaceAll(' ', ''), 'hex');
    form.setTopic(bytes, 4, 1);
    const target = Buffer.alloc(100);
    for (const [end, offset] of [
      [bytes.length - 1, 4],
      [bytes.length, 9],
      [bytes.length, 2],
    ] as const) {
      assert.throws(() => form.runRoom(bytes, 0, end, offset, 0x30), RecordError);
      assert.throws(() => form.writeRun(bytes, 0, end, offset, target, 0, 0x30, 0), RecordError);
    }
  });

  test('is as new when it is cleared', () => {
    const form = new PublishForm();
    form.version = 3;
    form.topicAlias = 1;
    form.isTopicOmitted = true;
    form.messageExpirySeconds = 1;
    form.subscriptionIdentifiers = [1];
    form.maximumPacketSize = 1;
    form.setTopic(Buffer.from('t'), 0, 1);
    form.setProperties(Buffer.from('0101', 'hex'), 0, 2);
    form.clear();
    assert.deepEqual(form, new PublishForm());
    assert.equal(form.frameLength(0x30, 0), 5);
  });
});
