/** MQTT 5.0 packets against mqtt-packet, both ways, and what either refuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../../src/base/errors.js';
import {
  type ControlPacket5,
  encodePacket5,
  PROPERTIES,
  parsePacket5,
  Sender,
} from '../../../../src/protocol/v5/index.js';
import { sentPackets } from './arbitraries.js';
import { comparable, oracleFrame, oracleParse5 } from './oracle.js';

/** What mqtt-packet does not know, though the specification has it. */
function isUnknownToOracle(packet: ControlPacket5): boolean {
  // Table 2-6 has Bad authentication method in DISCONNECT.
  if (packet.type === 'disconnect') return packet.reasonCode === 0x8c;
  // 3.15.2.1: AUTH may be without reason code and properties.
  return packet.type === 'auth' && packet.properties.authenticationMethod === undefined;
}

/** What mqtt-packet does not write, though the specification has it. */
function isNotWritten(packet: ControlPacket5): boolean {
  if (packet.type !== 'connect') return false;
  // [MQTT-3.1.3-6] does not ask for Clean Start; 3.1.2.9 allows a password alone.
  const isUnnamed = packet.clientId === '' && !packet.cleanStart;
  return isUnnamed || (packet.password !== null && packet.username === null);
}

const RUNS = 5_000;

/**
 * Clauses that mqtt-packet leaves to those who use it. What breaks another one, it refuses too.
 */
const LAX: ReadonlySet<string> = new Set([
  // Lengths: it reads fields beyond the packet, and leaves bytes behind the last field.
  ...['2.1.4', '2.2.1', '2.2.2.1', 'MQTT-2.2.2-1', 'MQTT-1.5.5-1'],
  ...['MQTT-3.1.3-1', '3.2.2', '3.2.3', '3.12.1', '3.13.1', '3.14.3', '3.15.3'],
  // Acks: bytes behind their properties; SUBACK and UNSUBACK without a code.
  ...['MQTT-3.4.2-1', 'MQTT-3.5.2-1', 'MQTT-3.6.2-1', 'MQTT-3.7.2-1'],
  ...['MQTT-3.9.3-2', 'MQTT-3.11.3-2'],
  // Text: it decodes what is no UTF-8, and takes NUL; topics and filters are not looked at.
  ...['MQTT-1.5.4-1', 'MQTT-1.5.4-2', 'MQTT-4.7.3-1', 'MQTT-4.7.0-1', 'MQTT-3.3.2-2'],
  ...['MQTT-3.3.2-14', '3.3.2.1', 'MQTT-3.8.3-2', 'MQTT-3.8.3-4', 'MQTT-3.10.3-2'],
  // Properties: which packet and side may have them, how often, and their ranges.
  ...['2.2.2.2', '3.1.2.11.10', '3.15.2.2.2', '3.14.2.2.5', 'MQTT-3.3.4-6', 'MQTT-3.14.2-2'],
  ...PROPERTIES.map(({ clause }) => clause),
  // Values: packet id 0, DUP with QoS 0, Will QoS 3, levels 0x85 of bridges.
  ...['MQTT-2.2.1-3', 'MQTT-3.3.1-2', 'MQTT-3.1.2-12', 'MQTT-3.1.2-2'],
  // Reason codes of CONNACK, and codes that only the other side sends.
  ...['MQTT-3.2.2-6', 'MQTT-3.2.2-8', 'MQTT-3.14.2-1', 'MQTT-3.15.2-1'],
]);

const damages = fc.array(
  fc.record({
    at: fc.nat({ max: 60 }),
    kind: fc.constantFrom('set', 'flip', 'insert', 'remove', 'cut'),
    value: fc.nat({ max: 255 }),
  }),
  { minLength: 1, maxLength: 3 },
);

function damaged(
  frame: Buffer,
  list: readonly { readonly at: number; readonly kind: string; readonly value: number }[],
): Buffer {
  let bytes = [...frame];
  for (const { at, kind, value } of list) {
    const index = at % Math.max(1, bytes.length);
    if (kind === 'set') bytes[index] = value;
    else if (kind === 'flip') bytes[index] ^= 1 << (value & 7);
    else if (kind === 'insert') bytes.splice(index, 0, value);
    else if (kind === 'remove') bytes.splice(index, 1);
    else bytes = bytes.slice(0, index);
  }
  return Buffer.from(bytes);
}

/** What mqtt-packet makes of one whole frame; null when it refuses it. */
function tryOracle(bytes: Buffer): ControlPacket5[] | null {
  try {
    const packets = oracleParse5(bytes);
    return packets.length === 1 ? packets : null;
  } catch {
    return null;
  }
}

describe('packets of 5.0 against mqtt-packet', () => {
  test('what we write, it reads as we mean it', () => {
    fc.assert(
      fc.property(sentPackets, ({ packet, sender }) => {
        if (isUnknownToOracle(packet)) return;
        const parsed = oracleParse5(encodePacket5(packet, sender));
        assert.deepEqual(parsed, [comparable(packet)]);
      }),
      { numRuns: 2_000 },
    );
  });

  test('what it writes, we read as it means it', () => {
    fc.assert(
      fc.property(sentPackets, ({ packet, sender }) => {
        if (isNotWritten(packet)) return;
        const frame = oracleFrame(packet);
        const parsed = parsePacket5(frame, 0, frame.length, sender);
        assert.deepEqual(comparable(parsed), comparable(packet));
      }),
      { numRuns: 2_000 },
    );
  });

  test('what either refuses, the other refuses too, but for what is known', () => {
    fc.assert(
      fc.property(sentPackets, damages, ({ packet, sender }, list) => {
        const bytes = damaged(encodePacket5(packet, sender), list);
        if (bytes.length === 0) return;
        const theirs = tryOracle(bytes);
        let ours: ControlPacket5;
        try {
          ours = parsePacket5(bytes, 0, bytes.length, sender);
        } catch (error) {
          // Never anything but the protocol's own error.
          assert.ok(error instanceof ProtocolError);
          if (theirs === null) return;
          const { clause, message } = error;
          assert.ok(LAX.has(clause), `mqtt-packet takes it: ${clause} ${message}`);
          return;
        }
        if (isUnknownToOracle(ours)) return;
        assert.notEqual(theirs, null, 'mqtt-packet refuses it');
        assert.deepEqual(theirs, [comparable(ours)]);
      }),
      { numRuns: RUNS },
    );
  });

  test('random bytes are refused with ProtocolError only, or read as mqtt-packet does', () => {
    const headers = fc.constantFrom(0x10, 0x20, 0x30, 0x32, 0x40, 0x50, 0x62, 0x82, 0x90, 0xa2);
    const bodies = fc.uint8Array({ maxLength: 40 });
    const senders = fc.constantFrom(Sender.client, Sender.server);
    fc.assert(
      fc.property(headers, bodies, senders, (header, body, sender) => {
        const bytes = Buffer.from([header, body.length, ...body]);
        let ours: ControlPacket5;
        try {
          ours = parsePacket5(bytes, 0, bytes.length, sender);
        } catch (error) {
          assert.ok(error instanceof ProtocolError);
          return;
        }
        assert.deepEqual(tryOracle(bytes), [comparable(ours)]);
      }),
      { numRuns: 5_000 },
    );
  });
});
