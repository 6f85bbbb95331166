import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketType } from '../../../../src/protocol/packet.js';
import {
  ACK_BYTES_MAX_5,
  encodePacket5,
  isReasonCodeAllowed,
  Sender,
  writeAck5,
} from '../../../../src/protocol/v5/index.js';

// 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1
test('an ack is what encodePacket5 writes, for every type and code', () => {
  for (const type of ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const) {
    for (let reasonCode = 0; reasonCode < 256; reasonCode++) {
      if (!isReasonCodeAllowed(reasonCode, PacketType[type], Sender.server)) continue;
      const target = Buffer.alloc(ACK_BYTES_MAX_5 + 2, 0xee);
      const end = writeAck5(target, 1, PacketType[type], 0x1234, reasonCode);
      const packet = { type, packetId: 0x1234, reasonCode, properties: {} };
      assert.deepEqual(target.subarray(1, end), encodePacket5(packet, Sender.server));
      assert.deepEqual([target[0], target[end]], [0xee, 0xee]);
    }
  }
});
