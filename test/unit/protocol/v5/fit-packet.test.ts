import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodePacket5,
  fitToMaximumPacketSize,
  parsePacket5,
  Sender,
} from '../../../../src/protocol/v5/index.js';
import { sentPackets } from './arbitraries.js';

const REASON = { reasonString: 'because' };
const USER = { userProperties: [['a', 'b']] as const };

/** As in fit-packet.ts: the packets whose properties only explain. */
const KEEP_ALL = ['connect', 'publish', 'subscribe', 'unsubscribe', 'pingreq', 'pingresp'];

// [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
// [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2]
// [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3]
test('User Properties, then Reason String are left out of a packet that would be too long', () => {
  const base = { type: 'puback', packetId: 1, reasonCode: 0x87 } as const;
  const packet = { ...base, properties: { ...USER, ...REASON } };
  const sizeOf = (properties: object) =>
    encodePacket5({ ...base, properties }, Sender.server).length;
  const fit = (size: number) => {
    const frame = fitToMaximumPacketSize(packet, size, Sender.server);
    if (frame === null) return null;
    assert.ok(frame.length <= size);
    const parsed = parsePacket5(frame, 0, frame.length, Sender.server);
    return 'properties' in parsed ? parsed.properties : {};
  };
  const whole = sizeOf(packet.properties);
  assert.deepEqual(fit(Number.POSITIVE_INFINITY), packet.properties);
  assert.deepEqual(fit(whole), packet.properties);
  assert.deepEqual(fit(whole - 1), REASON);
  assert.deepEqual(fit(sizeOf(REASON)), REASON);
  assert.deepEqual(fit(sizeOf(REASON) - 1), {});
  assert.deepEqual(fit(sizeOf({})), {});
  // [MQTT-3.1.2-24]: then it is not sent at all.
  assert.equal(fit(sizeOf({}) - 1), null);
});

test('any packet that explains itself keeps all that it needs, within any size', () => {
  fc.assert(
    fc.property(sentPackets, fc.integer({ min: 1, max: 150 }), ({ packet, sender }, size) => {
      if (KEEP_ALL.includes(packet.type)) return;
      const explained = packet as Parameters<typeof fitToMaximumPacketSize>[0];
      const frame = fitToMaximumPacketSize(explained, size, sender);
      const { reasonString, userProperties, ...needed } = explained.properties;
      const least = { ...explained, properties: needed } as typeof explained;
      const leastBytes = encodePacket5(least, sender);
      if (frame === null) {
        assert.ok(leastBytes.length > size);
        return;
      }
      assert.ok(frame.length <= size);
      const parsed = parsePacket5(frame, 0, frame.length, sender) as typeof explained;
      const { reasonString: _, userProperties: __, ...kept } = parsed.properties;
      assert.deepEqual({ ...parsed, properties: kept }, least);
    }),
    { numRuns: 1_000 },
  );
});
