import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as mqttPacket from 'mqtt-packet';
import { ConnectRefusedError, ProtocolError } from '../../../src/base/errors.js';
import { encodePacket, parsePacket } from '../../../src/protocol/codec.js';
import { FrameScan, type FrameSink } from '../../../src/protocol/frame-scan.js';
import type {
  ConnectPacket,
  ControlPacket,
  ProtocolVersion3x,
} from '../../../src/protocol/packet.js';
import { controlPackets, oracleParse } from './arbitraries.js';

const CONNECT: ConnectPacket = {
  type: 'connect',
  protocolVersion: 4,
  clientId: 'client',
  cleanSession: true,
  keepAliveSeconds: 60,
  will: null,
  username: null,
  password: null,
};

function parse(bytes: Buffer, version: ProtocolVersion3x = 4): ControlPacket {
  return parsePacket(bytes, 0, bytes.length, version);
}

function parseHex(hex: string, version: ProtocolVersion3x = 4): ControlPacket {
  return parse(Buffer.from(hex.replaceAll(' ', ''), 'hex'), version);
}

/** Whether an error is one that a client's bytes may cause. */
function isRefusal(error: unknown): boolean {
  return error instanceof ProtocolError || error instanceof ConnectRefusedError;
}

describe('parsePacket and encodePacket', () => {
  test('take back what they gave', () => {
    fc.assert(
      fc.property(controlPackets, (packet) => {
        assert.deepEqual(parse(encodePacket(packet, 4)), packet);
      }),
      { numRuns: 1_000 },
    );
  });

  test('write what mqtt-packet reads as one packet of that type', () => {
    fc.assert(
      fc.property(controlPackets, (packet) => {
        const parsed = oracleParse(encodePacket(packet, 4));
        assert.deepEqual(
          parsed.map(({ cmd, messageId }) => [cmd, messageId]),
          [
            [
              packet.type,
              'packetId' in packet && packet.packetId !== 0 ? packet.packetId : undefined,
            ],
          ],
        );
      }),
      { numRuns: 300 },
    );
  });

  test('read a frame in the middle of others, and keep no view of the buffer', () => {
    fc.assert(
      fc.property(controlPackets, controlPackets, (packet, neighbour) => {
        const frame = encodePacket(packet, 4);
        const around = encodePacket(neighbour, 4);
        const bytes = Buffer.concat([around, frame, around]);
        const parsed = parsePacket(bytes, around.length, around.length + frame.length, 4);
        bytes.fill(0xff);
        assert.deepEqual(parsed, packet);
      }),
      { numRuns: 300 },
    );
  });

  // [MQTT-1.5.3-3]
  test('leave U+FEFF where it is', () => {
    const packet = { ...CONNECT, clientId: '\uFEFFa\uFEFF', username: '\uFEFF' };
    assert.deepEqual(parse(encodePacket(packet, 4)), packet);
  });

  test('read DUP on SUBSCRIBE, UNSUBSCRIBE and PUBREL from MQTT 3.1', () => {
    const bytes = Buffer.from('8a06000700016101', 'hex');
    const untouched = Buffer.from(bytes);
    assert.deepEqual(parse(bytes, 3), {
      type: 'subscribe',
      packetId: 7,
      subscriptions: [{ filter: 'a', qos: 1 }],
    });
    assert.deepEqual(bytes, untouched);
    assert.deepEqual(parseHex('aa0500070001 61', 3), {
      type: 'unsubscribe',
      packetId: 7,
      filters: ['a'],
    });
    assert.deepEqual(parseHex('6a020007', 3), { type: 'pubrel', packetId: 7 });
  });

  test('read a CONNECT of MQTT 3.1 whose flags announce credentials that are missing', () => {
    const head = '0006 4d5149736470 03';
    const without = { ...CONNECT, protocolVersion: 3, clientId: 'a', cleanSession: true };
    assert.deepEqual(parseHex(`100f ${head} c2 003c 0001 61`), without);
    assert.deepEqual(parseHex(`1012 ${head} c2 003c 0001 61 0001 75`), {
      ...without,
      username: 'u',
    });
  });
});

/** Frames to damage: of every type, both versions. */
const frames = controlPackets.map((packet) => encodePacket(packet, 4));
const mutations = fc.array(
  fc.record({
    at: fc.nat({ max: 60 }),
    kind: fc.constantFrom('set', 'flip', 'insert', 'remove', 'cut'),
    byte: fc.oneof(fc.constantFrom(0, 1, 2, 3, 0x7f, 0x80, 0xff), fc.nat({ max: 255 })),
  }),
  { maxLength: 4 },
);

function mutate(
  frame: Buffer,
  steps: readonly { at: number; kind: string; byte: number }[],
): Buffer {
  const bytes = [...frame];
  for (const { at: place, kind, byte } of steps) {
    const at = bytes.length === 0 ? 0 : place % bytes.length;
    if (kind === 'set') bytes[at] = byte;
    else if (kind === 'flip') bytes[at] = (bytes[at] ?? 0) ^ (1 << (byte & 7));
    else if (kind === 'insert') bytes.splice(at, 0, byte);
    else if (kind === 'remove') bytes.splice(at, 1);
    else bytes.length = at;
  }
  return Buffer.from(bytes);
}

/** The frame with the remaining length that it has: damage within, sound without. */
function withTrueLength(frame: Buffer): Buffer {
  if (frame.length < 2 || frame.length > 129) return frame;
  const fixed = Buffer.from(frame);
  fixed[1] = frame.length - 2;
  return fixed;
}

/** Parses hostile bytes: a refusal, or a packet that is written and read again as itself. */
function parseHostile(bytes: Buffer, version: ProtocolVersion3x): void {
  let packet: ControlPacket;
  try {
    packet = parse(bytes, version);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return;
  } finally {
    // Whatever came before, the next frame is read as if nothing had been.
    assert.deepEqual(parseHex('90030007 01'), { type: 'suback', packetId: 7, returnCodes: [1] });
  }
  const written = encodePacket(packet, version);
  assert.deepEqual(parse(written, version), packet);
}

describe('hostile bytes', () => {
  const versions = fc.constantFrom<ProtocolVersion3x>(3, 4);

  test('at random cause a refusal or nothing', () => {
    const headers = fc.constantFrom(
      0x10,
      0x20,
      0x30,
      0x32,
      0x82,
      0x90,
      0xa2,
      0xb0,
      0x8a,
      0xf0,
      0xc0,
    );
    const bodies = fc.uint8Array({ maxLength: 30 });
    fc.assert(
      fc.property(headers, bodies, versions, (header, body, version) => {
        parseHostile(Buffer.from([header, body.length, ...body]), version);
        parseHostile(Buffer.from(body), version);
      }),
      { numRuns: 2_000 },
    );
  });

  test('that were a valid frame once cause a refusal or nothing', () => {
    fc.assert(
      fc.property(frames, mutations, versions, (frame, steps, version) => {
        const bytes = mutate(frame, steps);
        parseHostile(bytes, version);
        parseHostile(withTrueLength(bytes), version);
      }),
      { numRuns: 3_000 },
    );
  });

  test('given to the scan and from there to the codec cause a refusal or nothing', () => {
    const scan = new FrameScan(1_000);
    const sink: FrameSink = {
      onRun: () => true,
      onAcks: () => true,
      onFrame: (buffer, start, end) => {
        parsePacket(buffer, start, end, 4);
        return true;
      },
    };
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 5 }), mutations, (parts, steps) => {
        const bytes = mutate(Buffer.concat(parts), steps);
        try {
          scan.scan(bytes, 0, bytes.length, sink);
        } catch (error) {
          if (!isRefusal(error)) throw error;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  const requests = controlPackets.filter(
    ({ type }) => type === 'subscribe' || type === 'unsubscribe',
  );

  /** What mqtt-packet makes of a frame, in our words. */
  function oracle(bytes: Buffer): unknown {
    return oracleParse(bytes).map((packet) => {
      const packetId = packet.messageId;
      if (packet.cmd === 'subscribe') {
        const subscriptions = packet.subscriptions.map(({ topic, qos }) => ({
          filter: topic,
          qos,
        }));
        return { type: packet.cmd, packetId, subscriptions };
      }
      assert.equal(packet.cmd, 'unsubscribe');
      const filters = packet.cmd === 'unsubscribe' && packet.unsubscriptions;
      return { type: packet.cmd, packetId, filters };
    });
  }

  test('are read as mqtt-packet reads them', () => {
    fc.assert(
      fc.property(requests, (packet) => {
        const bytes = encodePacket(packet, 4);
        assert.deepEqual([parse(bytes)], oracle(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('that are accepted with damage are read as mqtt-packet reads them', () => {
    let accepted = 0;
    fc.assert(
      fc.property(requests, mutations, (packet, steps) => {
        const bytes = withTrueLength(mutate(encodePacket(packet, 4), steps));
        let parsed: ControlPacket;
        try {
          parsed = parse(bytes);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          return;
        }
        if (parsed.type !== 'subscribe' && parsed.type !== 'unsubscribe') return;
        accepted++;
        assert.deepEqual([parsed], oracle(bytes));
      }),
      { numRuns: 2_000 },
    );
    assert.ok(accepted > 50, `${accepted} of them`);
  });

  test('of very many filters are read whole and in order', () => {
    const filters = Array.from({ length: 50_000 }, (_, index) => `filter/${index}`);
    const unsubscribe = encodePacket({ type: 'unsubscribe', packetId: 1, filters }, 4);
    assert.deepEqual(parse(unsubscribe), { type: 'unsubscribe', packetId: 1, filters });
  });
});

describe('encodePacket refuses', () => {
  const refuses = (packet: ControlPacket, clause: string): void => {
    assert.throws(
      () => encodePacket(packet, 4),
      (error) => error instanceof ProtocolError && error.clause === clause,
      clause,
    );
  };

  test('packet ids that are none [MQTT-2.3.1-1]', () => {
    for (const packetId of [0, -1, 65_536, 1.5, Number.NaN]) {
      refuses({ type: 'puback', packetId }, 'MQTT-2.3.1-1');
      refuses({ type: 'suback', packetId, returnCodes: [0] }, 'MQTT-2.3.1-1');
      refuses({ type: 'unsubscribe', packetId, filters: ['a'] }, 'MQTT-2.3.1-1');
      refuses(
        { type: 'subscribe', packetId, subscriptions: [{ filter: 'a', qos: 0 }] },
        'MQTT-2.3.1-1',
      );
      const payload = Buffer.alloc(0);
      refuses(
        { type: 'publish', topic: 'a', payload, qos: 1, retain: false, dup: false, packetId },
        'MQTT-2.3.1-1',
      );
    }
  });

  test('text that MQTT cannot say', () => {
    refuses({ ...CONNECT, clientId: 'a\uD800' }, 'MQTT-1.5.3-1');
    refuses({ ...CONNECT, clientId: 'a\0' }, 'MQTT-1.5.3-2');
    refuses({ ...CONNECT, username: 'x'.repeat(65_536) }, 'MQTT-1.5.3');
    refuses({ ...CONNECT, username: 'u', password: Buffer.alloc(65_536) }, 'MQTT-1.5.3');
    const will = { topic: 'w', payload: Buffer.alloc(65_536), qos: 0, retain: false } as const;
    refuses({ ...CONNECT, will }, 'MQTT-1.5.3');
    refuses({ type: 'unsubscribe', packetId: 1, filters: ['ü'.repeat(32_768)] }, 'MQTT-1.5.3');
  });

  test('packets that parsePacket refuses', () => {
    const payload = Buffer.from('x');
    refuses({ ...CONNECT, will: { topic: 'a/+', payload, qos: 0, retain: false } }, 'MQTT-4.7.1-1');
    refuses({ ...CONNECT, password: payload }, 'MQTT-4.8.0-1');
    refuses({ ...CONNECT, keepAliveSeconds: 65_536 }, 'MQTT-4.8.0-1');
    refuses({ type: 'subscribe', packetId: 1, subscriptions: [] }, 'MQTT-4.8.0-1');
    refuses({ type: 'connack', sessionPresent: false, returnCode: 6 }, '3.2.2.3');
    refuses({ type: 'connack', sessionPresent: true, returnCode: 5 }, 'MQTT-3.2.2-4');
    refuses({ type: 'suback', packetId: 1, returnCodes: [] }, 'MQTT-3.9.3-1');
    refuses({ type: 'suback', packetId: 1, returnCodes: [3] }, 'MQTT-3.9.3-2');
    const publish = { type: 'publish', payload, qos: 0, retain: false, packetId: 0 } as const;
    refuses({ ...publish, topic: '', dup: false }, 'MQTT-4.7.3-1');
    refuses({ ...publish, topic: 'a/#', dup: false }, 'MQTT-3.3.2-2');
    refuses({ ...publish, topic: 'a', dup: true }, 'MQTT-3.3.1-2');
  });

  test('an empty client id that no server may accept', () => {
    assert.throws(
      () => encodePacket({ ...CONNECT, clientId: '', cleanSession: false }, 4),
      isRefusal,
    );
    assert.throws(
      () => encodePacket({ ...CONNECT, clientId: '', protocolVersion: 3 }, 3),
      isRefusal,
    );
    assert.ok(encodePacket({ ...CONNECT, clientId: '' }, 4).length > 0);
  });
});

describe('memory', () => {
  test('mqtt-packet keeps no 65,536 Buffers of numbers', () => {
    assert.equal(mqttPacket.writeToStream.cacheNumbers, false);
  });

  test('a will does not hold a slab of a pool for as long as its connection lives', () => {
    const will = { topic: 'w', payload: Buffer.from('x'), qos: 0, retain: false } as const;
    const packet = parse(encodePacket({ ...CONNECT, will }, 4));
    assert.ok(packet.type === 'connect' && packet.will !== null);
    assert.equal(packet.will.payload.buffer.byteLength, 1);
  });
});
