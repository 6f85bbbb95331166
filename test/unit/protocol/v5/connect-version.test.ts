import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePacket } from '../../../../src/protocol/codec.js';
import {
  ConnectVersion,
  connectVersionOf,
  encodePacket5,
  Sender,
} from '../../../../src/protocol/v5/index.js';

function versionOf(hex: string): ConnectVersion {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const padded = Buffer.concat([Buffer.from('MQTT'), bytes, Buffer.from([5, 5, 5])]);
  return connectVersionOf(padded, 4, 4 + bytes.length);
}

const CONNECT = {
  type: 'connect',
  clientId: 'c'.repeat(200),
  keepAliveSeconds: 0,
  will: null,
  username: null,
  password: null,
} as const;

// [MQTT-3.1.2-1] [MQTT-3.1.2-2]
test('a CONNECT says its version by protocol name and level', () => {
  for (const protocolVersion of [3, 4] as const) {
    const frame = encodePacket({ ...CONNECT, protocolVersion, cleanSession: true }, 4);
    assert.equal(connectVersionOf(frame, 0, frame.length), protocolVersion);
  }
  const packet = { ...CONNECT, protocolVersion: 5, cleanStart: true, properties: {} } as const;
  const frame = encodePacket5(packet, Sender.client);
  assert.equal(connectVersionOf(frame, 0, frame.length), ConnectVersion.mqtt5);
});

// Mosquitto's bridges set the high bit of the level.
test('a bridge says so in its level', () => {
  assert.equal(versionOf('100c 0006 4d5149736470 83 02 0000'), ConnectVersion.bridge31);
  assert.equal(versionOf('100a 0004 4d515454 84 02 0000'), ConnectVersion.bridge311);
});

test('a name and a level that do not belong together are no version', () => {
  const cases = [
    '1000',
    '10',
    '1080',
    '1001 00',
    '1002 0004',
    '1006 0004 4d515454',
    '1007 0004 4d515454 03',
    '1007 0004 4d515454 06',
    '1007 0004 4d515454 00',
    '1007 0004 4d515454 83',
    '1007 0004 4d515454 85',
    '1009 0006 4d5149736470 04',
    '1009 0006 4d5149736470 05',
    '1007 0004 4d515455 05',
    '1006 0003 4d5154 05',
    '1003 0000 05',
    '1007 ffff 4d515454 05',
  ];
  for (const hex of cases) assert.equal(versionOf(hex), ConnectVersion.other, hex);
});

test('any bytes may be asked', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      const buffer = Buffer.from([0x10, ...bytes]);
      const version = connectVersionOf(buffer, 0, buffer.length);
      assert.ok(Object.values(ConnectVersion).includes(version));
    }),
  );
});
