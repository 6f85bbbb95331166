import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketType } from '../../../../src/protocol/packet.js';
import { ConnackCode } from '../../../../src/protocol/return-code.js';
import {
  fromConnackCode,
  isErrorCode,
  isReasonCodeAllowed,
  ReasonCode,
  reasonName,
  Sender,
  toConnackCode,
} from '../../../../src/protocol/v5/index.js';

/** Table 2-6 of MQTT 5.0, written down once more. */
const TABLE_2_6 = `
  00 Success: CONNACK PUBACK PUBREC PUBREL PUBCOMP UNSUBACK AUTH SUBACK DISCONNECT
  01 Granted QoS 1: SUBACK
  02 Granted QoS 2: SUBACK
  04 Disconnect with Will Message: DISCONNECT
  10 No matching subscribers: PUBACK PUBREC
  11 No subscription existed: UNSUBACK
  18 Continue authentication: AUTH
  19 Re-authenticate: AUTH
  80 Unspecified error: CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT
  81 Malformed Packet: CONNACK DISCONNECT
  82 Protocol Error: CONNACK DISCONNECT
  83 Implementation specific error: CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT
  84 Unsupported Protocol Version: CONNACK
  85 Client Identifier not valid: CONNACK
  86 Bad User Name or Password: CONNACK
  87 Not authorized: CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT
  88 Server unavailable: CONNACK
  89 Server busy: CONNACK DISCONNECT
  8a Banned: CONNACK
  8b Server shutting down: DISCONNECT
  8c Bad authentication method: CONNACK DISCONNECT
  8d Keep Alive timeout: DISCONNECT
  8e Session taken over: DISCONNECT
  8f Topic Filter invalid: SUBACK UNSUBACK DISCONNECT
  90 Topic Name invalid: CONNACK PUBACK PUBREC DISCONNECT
  91 Packet Identifier in use: PUBACK PUBREC SUBACK UNSUBACK
  92 Packet Identifier not found: PUBREL PUBCOMP
  93 Receive Maximum exceeded: DISCONNECT
  94 Topic Alias invalid: DISCONNECT
  95 Packet too large: CONNACK DISCONNECT
  96 Message rate too high: DISCONNECT
  97 Quota exceeded: CONNACK PUBACK PUBREC SUBACK DISCONNECT
  98 Administrative action: DISCONNECT
  99 Payload format invalid: CONNACK PUBACK PUBREC DISCONNECT
  9a Retain not supported: CONNACK DISCONNECT
  9b QoS not supported: CONNACK DISCONNECT
  9c Use another server: CONNACK DISCONNECT
  9d Server moved: CONNACK DISCONNECT
  9e Shared Subscriptions not supported: SUBACK DISCONNECT
  9f Connection rate exceeded: CONNACK DISCONNECT
  a0 Maximum connect time: DISCONNECT
  a1 Subscription Identifiers not supported: SUBACK DISCONNECT
  a2 Wildcard Subscriptions not supported: SUBACK DISCONNECT
`
  .trim()
  .split('\n')
  .map((line) => {
    const [, hex, name, packets] = /^ *(..) (.+): (.+)$/.exec(line)!;
    return { code: Number.parseInt(hex, 16), name, packets: packets.split(' ') };
  });

/** Codes that stand in neither direction's table of DISCONNECT and AUTH. */
const CLIENT_ONLY = new Set(['DISCONNECT 04', 'AUTH 19']);
const SERVER_ONLY = new Set([
  'AUTH 00',
  ...['87', '89', '8b', '8d', '8e', '8f', '9a', '9b', '9c', '9d', '9e', '9f', 'a0', 'a1', 'a2'].map(
    (hex) => `DISCONNECT ${hex}`,
  ),
]);
const SENT_BY_SERVER = new Set(['CONNACK', 'SUBACK', 'UNSUBACK']);

// Table 2-6.
test('every reason code has its number and its name', () => {
  assert.deepEqual(
    Object.values(ReasonCode),
    TABLE_2_6.map(({ code }) => code),
  );
  for (const { code, name } of TABLE_2_6) assert.equal(reasonName(code), name);
  assert.equal(reasonName(0, PacketType.suback), 'Granted QoS 0');
  assert.equal(reasonName(0, PacketType.disconnect), 'Normal disconnection');
  assert.equal(reasonName(0, PacketType.puback), 'Success');
  assert.equal(reasonName(0x03), 'reason code 0x03');
});

// [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2]
// [MQTT-3.11.3-2] [MQTT-3.14.2-1] [MQTT-3.15.2-1]
test('each packet carries the codes of its table from the side that may send them', () => {
  const carriersOf = new Map(TABLE_2_6.map(({ code, packets }) => [code, packets]));
  for (const [name, type] of Object.entries(PacketType)) {
    const packet = name.toUpperCase();
    for (let code = 0; code < 256; code++) {
      const row = `${packet} ${code.toString(16).padStart(2, '0')}`;
      const isInTable = carriersOf.get(code)?.includes(packet) ?? false;
      const fromClient = isInTable && !SENT_BY_SERVER.has(packet) && !SERVER_ONLY.has(row);
      const fromServer = isInTable && !CLIENT_ONLY.has(row);
      assert.equal(isReasonCodeAllowed(code, type, Sender.client), fromClient, row);
      assert.equal(isReasonCodeAllowed(code, type, Sender.server), fromServer, row);
    }
  }
});

// 2.4 "A value of 0x80 or greater indicates failure."
test('codes from 0x80 on are errors', () => {
  for (const { code } of TABLE_2_6) assert.equal(isErrorCode(code), code >= 0x80);
});

test('a return code of 3.x and the reason code that it becomes mean each other', () => {
  for (const returnCode of Object.values(ConnackCode)) {
    assert.equal(toConnackCode(fromConnackCode(returnCode)), returnCode);
    const isRefusal = returnCode !== ConnackCode.accepted;
    assert.equal(isErrorCode(fromConnackCode(returnCode)), isRefusal);
  }
  for (const code of Object.values(ReasonCode)) {
    assert.equal(toConnackCode(code) === ConnackCode.accepted, code === ReasonCode.success);
  }
  assert.equal(toConnackCode(ReasonCode.banned), ConnackCode.notAuthorized);
  assert.equal(toConnackCode(ReasonCode.serverBusy), ConnackCode.serverUnavailable);
});
