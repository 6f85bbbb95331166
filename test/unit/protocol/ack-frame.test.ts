import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as mqttPacket from 'mqtt-packet';
import {
  ACK_BYTES,
  ackFrame,
  connackFrame,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  subackFrame,
  writeAck,
} from '../../../src/protocol/ack-frame.js';
import { PacketType } from '../../../src/protocol/packet.js';
import { ConnackCode } from '../../../src/protocol/return-code.js';

test('acks are what mqtt-packet writes, for every type', () => {
  for (const cmd of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
    for (const messageId of [1, 255, 256, 65_535]) {
      const expected = mqttPacket.generate({ cmd, messageId });
      const target = Buffer.alloc(8, 0xee);
      assert.equal(writeAck(target, 2, PacketType[cmd], messageId), 2 + ACK_BYTES);
      assert.deepEqual(target.subarray(2, 6), expected);
      assert.deepEqual([target[1], target[6]], [0xee, 0xee]);
      assert.deepEqual(ackFrame(PacketType[cmd], messageId), expected);
    }
  }
  assert.equal(ackFrame(PacketType.unsuback, 0x1234).toString('hex'), 'b0021234');
});

test('PINGREQ, PINGRESP and DISCONNECT are what mqtt-packet writes', () => {
  assert.deepEqual(PINGREQ, mqttPacket.generate({ cmd: 'pingreq' }));
  assert.deepEqual(PINGRESP, mqttPacket.generate({ cmd: 'pingresp' }));
  assert.deepEqual(DISCONNECT, mqttPacket.generate({ cmd: 'disconnect' }));
});

test('CONNACK is what mqtt-packet writes, for every return code', () => {
  for (const returnCode of Object.values(ConnackCode)) {
    const expected = mqttPacket.generate({ cmd: 'connack', returnCode, sessionPresent: false });
    assert.deepEqual(connackFrame(returnCode, false, 4), expected);
  }
  assert.throws(() => connackFrame(6, false, 4), /return code/);
});

// [MQTT-3.2.2-4]; in MQTT 3.1 the byte is reserved.
test('Session Present is said in an accepting CONNACK of 3.1.1 only', () => {
  assert.equal(connackFrame(ConnackCode.accepted, true, 4).toString('hex'), '20020100');
  assert.equal(connackFrame(ConnackCode.accepted, true, 3).toString('hex'), '20020000');
  assert.equal(connackFrame(ConnackCode.notAuthorized, true, 4).toString('hex'), '20020005');
});

test('SUBACK is what mqtt-packet writes, for any number of return codes', () => {
  for (const count of [1, 2, 125, 126, 127, 20_000]) {
    const granted = Array.from({ length: count }, (_, i) => [0, 1, 2, 0x80][i % 4]);
    const expected = mqttPacket.generate({ cmd: 'suback', messageId: 0x0102, granted });
    assert.deepEqual(subackFrame(0x0102, granted), expected);
    assert.deepEqual(subackFrame(0x0102, Uint8Array.from(granted)), expected);
  }
});
