import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArgumentError } from '../../../src/base/errors.js';
import type { Payload } from '../../../src/client/message.js';
import {
  payloadBytes,
  publishFrameBytes,
  writePublish,
} from '../../../src/client/publish-encoder.js';
import { TopicFields } from '../../../src/client/topic-fields.js';
import * as packets from '../../support/packets.js';

/** As in 3.x. */
const NO_PROPERTIES = Buffer.alloc(0);

function encode(topic: string, payload: Payload, qos: number, packetId: number): Buffer {
  const field = new TopicFields().fieldOf(topic).bytes;
  const length = payloadBytes(payload);
  const frame = Buffer.alloc(publishFrameBytes(field, length, qos, 0));
  const end = writePublish(
    frame,
    0,
    0x30 | (qos << 1),
    field,
    packetId,
    NO_PROPERTIES,
    payload,
    length,
  );
  assert.equal(end, frame.length);
  return frame;
}

test('frames are those of an independent encoder, whatever their length', () => {
  for (const topic of ['t', 'größe/😀', 'x'.repeat(300)]) {
    for (const length of [0, 1, 31, 32, 100, 127, 128, 16_000, 16_384, 2_097_152]) {
      for (const qos of [0, 1, 2]) {
        const payload = 'p'.repeat(length);
        const fields = qos === 0 ? {} : { packetId: 513 };
        const expected = packets.publish({ topic, payload, qos, ...fields });
        assert(encode(topic, payload, qos, 513).equals(expected));
        assert(encode(topic, Buffer.from(payload), qos, 513).equals(expected));
      }
    }
  }
});

test('text is sent as UTF-8, its length in bytes', () => {
  const expected = packets.publish({ topic: 't', payload: 'ä😀' });
  assert(encode('t', 'ä😀', 0, 0).equals(expected));
  assert(encode('t', new Uint8Array(Buffer.from('ä😀')), 0, 0).equals(expected));
});

test('what is no topic name is refused, also after it was asked for before', () => {
  // [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-1.5.3-1] [MQTT-1.5.3-2]
  const fields = new TopicFields();
  for (const topic of ['', 'a/+', '#', 'a#', 'a\0b', '\ud800', 'x'.repeat(65_536)]) {
    assert.throws(() => fields.fieldOf(topic), ArgumentError, topic.slice(0, 10));
    assert.throws(() => fields.fieldOf(topic), ArgumentError);
  }
  assert.equal(fields.fieldOf('x'.repeat(65_535)).bytes.length, 65_537);
});

test('more topics than are remembered are all encoded rightly', () => {
  const fields = new TopicFields();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 3_000; i++) {
      assert.equal(fields.fieldOf(`t/${i}`).bytes.toString('utf8', 2), `t/${i}`);
    }
  }
});

test('a payload that is neither text nor bytes, or too long, is refused', () => {
  for (const payload of [undefined, null, 3, {}, [1]]) {
    assert.throws(() => payloadBytes(payload as unknown as Payload), ArgumentError);
  }
  const field = new TopicFields().fieldOf('t').bytes;
  assert.throws(() => publishFrameBytes(field, 268_435_455, 0, 0), ArgumentError);
  assert.equal(publishFrameBytes(field, 268_435_455 - 3, 0, 0), 268_435_455 + 5);
});
