/** Packets of MQTT 3.x as the client writes and reads them, beside those of the broker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  connectFrame3,
  readConnack3,
  readPacket3,
  subscribeFrame3,
  unsubscribeFrame3,
} from '../../../src/client/packets3.js';
import { encodePacket } from '../../../src/protocol/codec.js';
import type { ConnectPacket, QoS } from '../../../src/protocol/packet.js';

const version = fc.constantFrom(3 as const, 4 as const);
const qos = fc.constantFrom<QoS>(0, 1, 2);
const text = fc.string({ unit: 'grapheme', maxLength: 200 }).map((s) => s.replaceAll('\0', ''));
const filter = text.map((s) => `f${s.replace(/[+#]/g, '')}`);
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const packetId = fc.integer({ min: 1, max: 65_535 });

test('a CONNECT is what the broker would write', () => {
  const packets: fc.Arbitrary<ConnectPacket> = fc.record({
    type: fc.constant('connect' as const),
    protocolVersion: version,
    clientId: text.map((id) => `c${id}`),
    cleanSession: fc.boolean(),
    keepAliveSeconds: fc.nat(65_535),
    will: fc.option(fc.record({ topic: filter, payload, qos, retain: fc.boolean() })),
    username: text,
    password: fc.option(payload),
  });
  fc.assert(
    fc.property(packets, fc.boolean(), (packet, hasUser) => {
      const given = hasUser ? packet : { ...packet, username: null, password: null };
      const expected = encodePacket(given, given.protocolVersion);
      assert.deepEqual(connectFrame3(given), Buffer.from(expected));
    }),
  );
});

test('SUBSCRIBE and UNSUBSCRIBE are what the broker would write', () => {
  const subscriptions = fc.array(fc.record({ filter, qos }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(packetId, subscriptions, version, (id, all, level) => {
      const filters = all.map((one) => one.filter);
      const subscribe = { type: 'subscribe', packetId: id, subscriptions: all } as const;
      const unsubscribe = { type: 'unsubscribe', packetId: id, filters } as const;
      assert.deepEqual(subscribeFrame3(id, all, level), encodePacket(subscribe, level));
      assert.deepEqual(unsubscribeFrame3(id, filters, level), encodePacket(unsubscribe, level));
    }),
  );
});

test('the answers of a server are read, and what only a client sends is named', () => {
  const codes = fc.array(fc.constantFrom(0, 1, 2, 0x80), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(packetId, codes, version, (id, returnCodes, level) => {
      for (const packet of [
        { type: 'suback', packetId: id, returnCodes },
        { type: 'unsuback', packetId: id },
        { type: 'pingresp' },
      ] as const) {
        // In the middle of a read.
        const bytes = Buffer.concat([Buffer.from([1]), encodePacket(packet, level)]);
        assert.deepEqual(readPacket3(bytes, 1, bytes.length, level), packet);
      }
    }),
  );
  const ping = encodePacket({ type: 'pingreq' }, 4);
  assert.equal(readPacket3(ping, 0, ping.length, 4), 'pingreq');
  const wrong = Buffer.from([0x90, 2, 0, 1]);
  assert.throws(() => readPacket3(wrong, 0, wrong.length, 4), /SUBACK|return code/i);
});

test('a CONNACK says whether there is a session, but in MQTT 3.1', () => {
  for (const level of [3, 4] as const) {
    const accepted = Buffer.from([0x20, 2, level === 4 ? 1 : 0, 0]);
    const expected = { sessionPresent: level === 4, returnCode: 0 };
    assert.deepEqual(readConnack3(accepted, 0, 4, level), expected);
    const refused = readConnack3(Buffer.from([0x20, 2, 0, 5]), 0, 4, level);
    assert.deepEqual(refused, { sessionPresent: false, returnCode: 5 });
  }
  assert.throws(() => readConnack3(Buffer.from([0x20, 2, 2, 0]), 0, 4, 4), /acknowledge flags/);
});
