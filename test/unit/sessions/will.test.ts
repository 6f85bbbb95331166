import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePacket } from '../../../src/protocol/codec.js';
import { willRun } from '../../../src/sessions/will.js';

for (const qos of [0, 1, 2] as const) {
  for (const retain of [false, true]) {
    test(`a Will of QoS ${qos}${retain ? ', retained,' : ''} becomes a run of one PUBLISH`, () => {
      // [MQTT-3.1.2-8], [MQTT-3.1.2-16], [MQTT-3.1.2-17]
      const will = { topic: 'gone/é', payload: Buffer.from('bye'), qos, retain };
      const run = willRun(will);
      assert.deepEqual([run.count, run.topicLength], [1, 7]);
      const packet = parsePacket(run.bytes, 0, run.bytes.length, 4);
      assert.ok(packet.type === 'publish');
      assert.equal(packet.topic, will.topic);
      assert.deepEqual(packet.payload, will.payload);
      assert.deepEqual([packet.qos, packet.retain, packet.dup], [qos, retain, false]);
      assert.equal(run.header, run.bytes[0]);
    });
  }
}
