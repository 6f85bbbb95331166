import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CloseReason, ProtocolError } from '../../../../src/base/errors.js';
import type { FrameSink } from '../../../../src/protocol/frame-scan.js';
import { PacketType } from '../../../../src/protocol/packet.js';
import { frameEnd } from '../../../../src/protocol/publish-frame.js';
import {
  type ControlPacket5,
  encodePacket5,
  encodeProperties,
  FrameScan5,
  Sender,
} from '../../../../src/protocol/v5/index.js';
import { packetIds, qualities } from '../arbitraries.js';
import { packetsOf, propertiesOf, publishesOf } from './arbitraries.js';

const { client, server } = Sender;
const PACKET_BYTES_MAX = 1024 * 1024;

/** One call of the sink, with copies of what it was shown. */
type Event =
  | {
      kind: 'run';
      bytes: string;
      topic: string;
      properties: string;
      header: number;
      ids: number[];
    }
  | { kind: 'ack'; type: number; packetId: number; code: number }
  | { kind: 'frame'; bytes: string };

class Recorder implements FrameSink {
  readonly events: Event[] = [];
  readonly scan: FrameScan5;
  goOn = true;
  calls = 0;
  constructor(scan: FrameScan5) {
    this.scan = scan;
  }
  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
  ): boolean {
    const { publish } = this.scan;
    assert.equal(publish.topicStart, topicStart);
    assert.equal(publish.topicLength, topicLength);
    const ids = [...this.scan.packetIds.subarray(0, count)];
    this.events.push({
      kind: 'run',
      bytes: buffer.toString('hex', start, end),
      topic: buffer.toString('utf8', topicStart, topicStart + topicLength),
      properties: buffer.toString('hex', publish.propertiesStart, publish.payloadStart),
      header,
      ids: header >= 0x32 ? ids : ids.map(() => 0),
    });
    this.calls++;
    return this.goOn;
  }
  onAcks(type: number, count: number): boolean {
    const { scan } = this;
    for (let index = 0; index < count; index++) {
      const code = scan.hasReasonCodes ? scan.reasonCodes[index] : 0;
      this.events.push({ kind: 'ack', type, packetId: scan.packetIds[index], code });
    }
    this.calls++;
    return this.goOn;
  }
  onPings(count: number): boolean {
    for (let n = 0; n < count; n++) this.events.push({ kind: 'frame', bytes: 'c000' });
    this.calls++;
    return this.goOn;
  }
  onFrame(buffer: Buffer, start: number, end: number): boolean {
    this.events.push({ kind: 'frame', bytes: buffer.toString('hex', start, end) });
    this.calls++;
    return this.goOn;
  }
}

interface Scanned {
  readonly events: Event[];
  readonly error: unknown;
  readonly consumed: number;
}

/** Scans `bytes` as they would come in chunks of `sizes`, each behind what was left. */
function scanInChunks(
  bytes: Buffer,
  sizes: readonly number[],
  { sender = client as Sender, stopEach = false } = {},
): Scanned {
  const scan = new FrameScan5(PACKET_BYTES_MAX, sender);
  const recorder = new Recorder(scan);
  recorder.goOn = !stopEach;
  let arrived = 0;
  let consumed = 0;
  try {
    for (let i = 0; arrived < bytes.length; i++) {
      arrived = Math.min(bytes.length, arrived + (sizes[i] ?? bytes.length));
      // With other bytes around, none of which may be looked at, or nothing behind.
      const behind = i % 2 === 0 ? 9 : 0;
      const around = Buffer.concat([
        Buffer.alloc(3, 0x30),
        bytes.subarray(consumed, arrived),
        Buffer.alloc(behind, 0),
      ]);
      const end = around.length - behind;
      let position = 3;
      for (;;) {
        const before = recorder.calls;
        const next = scan.scan(around, position, end, recorder);
        assert.ok(!stopEach || recorder.calls - before <= 1, 'one call, then stop');
        consumed += next - position;
        position = next;
        if (!stopEach || recorder.calls === before) break;
      }
      if (consumed === arrived) assert.equal(scan.neededBytes, 0);
      else if (scan.neededBytes !== 0) {
        assert.equal(scan.neededBytes, frameEnd(bytes, consumed) - consumed);
      }
    }
    return { events: recorder.events, error: null, consumed };
  } catch (error) {
    return { events: recorder.events, error, consumed };
  }
}

/** Runs taken apart to single frames: the same however the bytes were cut. */
function flatten(events: readonly Event[]): Event[] {
  return events.flatMap((event) => {
    if (event.kind !== 'run') return [event];
    const bytes = Buffer.from(event.bytes, 'hex');
    const frames: Event[] = [];
    let at = 0;
    for (const id of event.ids) {
      const end = frameEnd(bytes, at);
      frames.push({ ...event, bytes: bytes.toString('hex', at, end), ids: [id] });
      at = end;
    }
    assert.equal(at, bytes.length);
    return frames;
  });
}

/** What a scan must say of these packets; runs as long as they can be. */
function expectedEvents(packets: readonly ControlPacket5[], sender: Sender): Event[] {
  const events: Event[] = [];
  for (const packet of packets) {
    const bytes = encodePacket5(packet, sender).toString('hex');
    if (packet.type === 'publish') {
      const header = 0x30 | (packet.qos << 1) | Number(packet.retain);
      const { topic, packetId } = packet;
      const block = encodeProperties(packet.properties, PacketType.publish, sender);
      const properties = block.toString('hex');
      const last = events.at(-1);
      if (
        last?.kind === 'run' &&
        last.topic === topic &&
        last.header === header &&
        last.properties === properties
      ) {
        last.bytes += bytes;
        last.ids.push(packetId);
      } else {
        events.push({ kind: 'run', bytes, topic, properties, header, ids: [packetId] });
      }
    } else if (
      ['puback', 'pubrec', 'pubrel', 'pubcomp'].includes(packet.type) &&
      'reasonCode' in packet &&
      'packetId' in packet &&
      Object.keys(packet.properties).length === 0
    ) {
      const { packetId, reasonCode } = packet;
      events.push({ kind: 'ack', type: PacketType[packet.type], packetId, code: reasonCode });
    } else {
      events.push({ kind: 'frame', bytes });
    }
  }
  return events;
}

/** PUBLISH packets that often have header, topic and properties of their neighbours. */
const alikePublishes: fc.Arbitrary<ControlPacket5[]> = fc
  .record({
    topic: fc.constantFrom('a', 'b', 'ab/c', 'plant/7/x', 'plant/7/y', 'ü/ö/ä/€'),
    qos: qualities,
    retain: fc.boolean(),
    properties: fc.oneof(
      fc.constant({}),
      propertiesOf(PacketType.publish, client),
      fc.constantFrom(0x00, 0x7f, 0x80, 0xff).map((last) => ({
        correlationData: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
      })),
      fc.constantFrom('x', 'y').map((last) => ({
        userProperties: [['name', `a value of some length ${last}`]] as [string, string][],
      })),
    ),
    singles: fc.array(
      fc.record({
        payload: fc.oneof(
          fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
          // Around the place where the remaining length takes a second byte, too.
          fc.integer({ min: 90, max: 130 }).map((length) => Buffer.alloc(length, 'p')),
        ),
        packetId: packetIds,
        dup: fc.boolean(),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .map(({ topic, qos, retain, properties, singles }) =>
    singles.map(({ payload, packetId, dup }) => ({
      type: 'publish' as const,
      topic,
      qos,
      retain,
      properties,
      payload,
      packetId: qos === 0 ? 0 : packetId,
      dup: dup && qos > 0,
    })),
  );

const streams: fc.Arbitrary<ControlPacket5[]> = fc
  .array(
    fc.oneof(
      { arbitrary: alikePublishes, weight: 3 },
      { arbitrary: packetsOf(client).map((packet) => [packet]), weight: 3 },
      { arbitrary: publishesOf(client).map((packet) => [packet]), weight: 1 },
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.flat());
const chunkSizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 20 });

function bytesOf(packets: readonly ControlPacket5[], sender: Sender = client): Buffer {
  return Buffer.concat(packets.map((packet) => encodePacket5(packet, sender)));
}

describe('frame scan of 5.0', () => {
  test('finds each packet, in the longest runs of like header, topic and properties', () => {
    fc.assert(
      fc.property(streams, (packets) => {
        const bytes = bytesOf(packets);
        const { events, error, consumed } = scanInChunks(bytes, []);
        assert.equal(error, null);
        assert.equal(consumed, bytes.length);
        assert.deepEqual(events, expectedEvents(packets, client));
      }),
      { numRuns: 600 },
    );
  });

  test('finds the same in every split, and one byte at a time', () => {
    fc.assert(
      fc.property(streams, chunkSizes, fc.boolean(), (packets, chunks, isSingle) => {
        const bytes = bytesOf(packets);
        const sizes = isSingle ? Array<number>(bytes.length).fill(1) : chunks;
        const { events, error, consumed } = scanInChunks(bytes, sizes);
        assert.equal(error, null);
        assert.equal(consumed, bytes.length);
        assert.deepEqual(flatten(events), flatten(expectedEvents(packets, client)));
      }),
      { numRuns: 300 },
    );
  });

  test('stops when the sink says so, and finds the rest when called again', () => {
    fc.assert(
      fc.property(streams, (packets) => {
        const { events, error } = scanInChunks(bytesOf(packets), [], { stopEach: true });
        assert.equal(error, null);
        assert.deepEqual(events, expectedEvents(packets, client));
      }),
      { numRuns: 200 },
    );
  });

  // What the client library is sent.
  test('finds what a server sends', () => {
    fc.assert(
      fc.property(fc.array(packetsOf(server), { maxLength: 8 }), (packets) => {
        const { events, error } = scanInChunks(bytesOf(packets, server), [], { sender: server });
        assert.equal(error, null);
        assert.deepEqual(events, expectedEvents(packets, server));
      }),
      { numRuns: 200 },
    );
  });

  test('tells properties apart that differ in one bit of any byte', () => {
    const correlationData = Buffer.alloc(19);
    const packet = {
      type: 'publish',
      topic: 't',
      payload: Buffer.from('p'),
      qos: 1,
      retain: false,
      dup: false,
      packetId: 1,
      properties: { correlationData },
    } as const;
    const first = encodePacket5(packet, client);
    const propertiesAt = first.indexOf(Buffer.from([0x09, 0, 19]));
    for (const fill of [0x00, 0x80, 0xff]) {
      first.fill(fill, propertiesAt + 3, propertiesAt + 3 + 19);
      for (let bit = 0; bit < 19 * 8; bit++) {
        const second = Buffer.from(first);
        second[propertiesAt + 3 + (bit >> 3)] ^= 1 << (bit & 7);
        const { events } = scanInChunks(Buffer.concat([first, first, second, first]), []);
        assert.deepEqual(
          events.map((event) => event.kind === 'run' && event.ids.length),
          [2, 1, 1],
          `bit ${bit} of ${fill}`,
        );
      }
    }
  });

  test('joins acks in a row of each short form, with their reason codes', () => {
    const rows = [
      ['40020001 40020002', 4, [0, 0]],
      ['4003000100 4003000210 4003000397', 4, [0, 0x10, 0x97]],
      ['500400018700 500400020000', 5, [0x87, 0]],
      ['6203000192 6203000200', 6, [0x92, 0]],
      ['70020001', 7, [0]],
    ] as const;
    for (const [hex, type, codes] of rows) {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      const expected = codes.map((code, index) => ({
        kind: 'ack',
        type,
        packetId: index + 1,
        code,
      }));
      assert.deepEqual(scanInChunks(bytes, []).events, expected);
      assert.deepEqual(scanInChunks(bytes, Array(40).fill(1)).events, expected);
      const scan = new FrameScan5(PACKET_BYTES_MAX, client);
      const recorder = new Recorder(scan);
      scan.scan(bytes, 0, bytes.length, recorder);
      assert.equal(recorder.calls, 1);
    }
  });

  test('refuses what may not be, and hands over all that precedes it', () => {
    const cases = [
      // [MQTT-3.3.1-4], [MQTT-3.3.1-2], table 2-1, [MQTT-2.1.3-1]
      ['3606 0001 61 0001 00', 'MQTT-3.3.1-4', 0x81],
      ['3804 0001 61 00', 'MQTT-3.3.1-2', 0x81],
      ['0000', '2.1.2', 0x81],
      ['c100', 'MQTT-2.1.3-1', 0x81],
      ['6a020001', 'MQTT-3.6.1-1', 0x81],
      // [MQTT-1.5.5-1]
      ['308400 0001 61 00', 'MQTT-1.5.5-1', 0x81],
      ['c08000', 'MQTT-1.5.5-1', 0x81],
      ['30ffffffff01', 'MQTT-1.5.5-1', 0x81],
      // [MQTT-2.2.1-3], [MQTT-3.4.2-1]
      ['40020000', 'MQTT-2.2.1-3', 0x82],
      ['4003000001', 'MQTT-2.2.1-3', 0x82],
      ['4003000101', 'MQTT-3.4.2-1', 0x82],
      ['620400011000', 'MQTT-3.6.2-1', 0x82],
      ['3206 0001 61 0000 00', 'MQTT-2.2.1-3', 0x82],
      // [MQTT-3.3.2-1], 3.3.2.1, [MQTT-2.2.2-1]
      ['3000', 'MQTT-3.3.2-1', 0x81],
      ['3003 000561', 'MQTT-3.3.2-1', 0x81],
      ['3003 0000 00', '3.3.2.1', 0x82],
      ['3003 0001 61', 'MQTT-2.2.2-1', 0x81],
      ['3005 0001 61 8000', 'MQTT-2.2.2-1', 0x81],
      ['3004 0001 61 05', '2.2.2.1', 0x81],
      // [MQTT-3.3.2-8], [MQTT-3.3.4-6], 2.2.2.2
      ['3007 0001 61 03 230000', 'MQTT-3.3.2-8', 0x94],
      ['3006 0001 61 02 0b01', 'MQTT-3.3.4-6', 0x82],
      ['3006 0001 61 02 2501', '2.2.2.2', 0x81],
    ] as const;
    const before = { type: 'puback', packetId: 1, reasonCode: 0, properties: {} } as const;
    for (const [hex, clause, reasonCode] of cases) {
      const bad = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      const bytes = Buffer.concat([bytesOf([before]), bad]);
      for (const sizes of [[], Array<number>(bytes.length).fill(1)]) {
        const { events, error } = scanInChunks(bytes, sizes);
        assert.ok(error instanceof ProtocolError, hex);
        assert.deepEqual([error.clause, error.reasonCode], [clause, reasonCode], hex);
        assert.deepEqual(events, expectedEvents([before], client));
      }
    }
  });

  // [MQTT-3.2.2-15], [MQTT-3.1.2-24]
  test('refuses a packet that is longer than accepted, before it has come', () => {
    for (const [sender, clause] of [
      [client, 'MQTT-3.2.2-15'],
      [server, 'MQTT-3.1.2-24'],
    ] as const) {
      const scan = new FrameScan5(10, sender);
      const recorder = new Recorder(scan);
      const whole = Buffer.from('3008 0001 61 00 31323334'.replaceAll(' ', ''), 'hex');
      assert.equal(scan.scan(whole, 0, whole.length, recorder), 10);
      const both = Buffer.concat([whole, Buffer.from('3009', 'hex')]);
      assert.throws(
        () => scan.scan(both, 0, both.length, recorder),
        (error) =>
          error instanceof ProtocolError &&
          error.clause === clause &&
          error.reasonCode === 0x95 &&
          error.reason === CloseReason.packetTooLarge,
      );
      assert.equal(recorder.events.length, 2);
    }
  });

  test('leaves a run that the sink does not take, and joins no more frames than it may', () => {
    const scan = new FrameScan5(PACKET_BYTES_MAX, client);
    const recorder = new Recorder(scan);
    const bytes = Buffer.from('3004000161003004000161003004000161 00'.replaceAll(' ', ''), 'hex');
    scan.runFramesMax = 2;
    assert.equal(scan.scan(bytes, 0, bytes.length, recorder), bytes.length);
    assert.deepEqual(
      recorder.events.map((event) => event.kind === 'run' && event.ids.length),
      [2, 1],
    );
    recorder.goOn = false;
    recorder.onRun = () => {
      scan.leaveRun();
      return false;
    };
    assert.equal(scan.scan(bytes, 6, bytes.length, recorder), 6);
  });

  test('throws only ProtocolError for random and damaged bytes, in every split the same', () => {
    const damaged = fc
      .tuple(
        streams.map((packets) => bytesOf(packets)),
        fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })), { maxLength: 3 }),
      )
      .map(([bytes, damage]) => {
        for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
        return bytes;
      });
    const bytesLike = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      // Bytes that often make whole frames.
      fc
        .array(fc.constantFrom(0, 1, 2, 3, 4, 0x23, 0x26, 0x30, 0x32, 0x40, 0x62, 0x61, 0x80), {
          maxLength: 60,
        })
        .map((values) => Buffer.from(values)),
      damaged,
    );
    fc.assert(
      fc.property(bytesLike, chunkSizes, (bytes, chunks) => {
        const whole = scanInChunks(bytes, []);
        const cut = scanInChunks(bytes, chunks);
        assert.ok(whole.error === null || whole.error instanceof ProtocolError, `${whole.error}`);
        assert.deepEqual(flatten(cut.events), flatten(whole.events));
        assert.equal(
          cut.error instanceof ProtocolError ? cut.error.clause : cut.error,
          whole.error instanceof ProtocolError ? whole.error.clause : whole.error,
        );
      }),
      { numRuns: 3_000 },
    );
  });
});
