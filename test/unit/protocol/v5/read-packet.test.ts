import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodePacket5, parsePacket5 } from '../../../../src/protocol/v5/index.js';
import { sentPackets } from './arbitraries.js';

describe('parsePacket5 and encodePacket5', () => {
  test('take back what they gave', () => {
    fc.assert(
      fc.property(sentPackets, ({ sender, packet }) => {
        const frame = encodePacket5(packet, sender);
        assert.deepEqual(parsePacket5(frame, 0, frame.length, sender), packet);
      }),
      { numRuns: 2_000 },
    );
  });

  test('read a frame in the middle of others, and keep no view of the buffer', () => {
    fc.assert(
      fc.property(sentPackets, sentPackets, ({ sender, packet }, neighbour) => {
        const frame = encodePacket5(packet, sender);
        const around = encodePacket5(neighbour.packet, neighbour.sender);
        const bytes = Buffer.concat([around, frame, around]);
        const parsed = parsePacket5(bytes, around.length, around.length + frame.length, sender);
        bytes.fill(0xff);
        assert.deepEqual(parsed, packet);
      }),
      { numRuns: 300 },
    );
  });
});
