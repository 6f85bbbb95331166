import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CloseReason, ProtocolError } from '../../../src/base/errors.js';
import { encodePacket } from '../../../src/protocol/codec.js';
import { FrameScan } from '../../../src/protocol/frame-scan.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import { controlPackets, publishBytes, runPublishes } from './arbitraries.js';
import {
  expectedEvents,
  flatten,
  PACKET_BYTES_MAX,
  Recorder,
  scanAll,
  scanInChunks,
} from './scan-recorder.js';

const streams: fc.Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      { arbitrary: runPublishes.map((run) => Buffer.concat(run.map(publishBytes))), weight: 3 },
      { arbitrary: controlPackets.map((packet) => encodePacket(packet, 4)), weight: 2 },
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));

describe('frame scan against mqtt-packet', () => {
  test('finds the packets that mqtt-packet finds, in the longest runs', () => {
    fc.assert(
      fc.property(streams, (bytes) => {
        const { events, error, consumed } = scanAll(bytes);
        assert.equal(error, null);
        assert.equal(consumed, bytes.length);
        assert.deepEqual(events, expectedEvents(bytes));
      }),
      { numRuns: 400 },
    );
  });

  test('finds the same in every split', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 20 });
    fc.assert(
      fc.property(streams, sizes, (bytes, chunks) => {
        const { events, error, consumed } = scanInChunks(bytes, chunks);
        assert.equal(error, null);
        assert.equal(consumed, bytes.length);
        assert.deepEqual(flatten(events), flatten(expectedEvents(bytes)));
      }),
      { numRuns: 300 },
    );
  });

  test('finds the same one byte at a time', () => {
    fc.assert(
      fc.property(streams, (bytes) => {
        const { events, error } = scanInChunks(bytes, Array(bytes.length).fill(1));
        assert.equal(error, null);
        assert.deepEqual(flatten(events), flatten(expectedEvents(bytes)));
      }),
      { numRuns: 100 },
    );
  });

  test('stops when the sink says so, and finds the rest when called again', () => {
    fc.assert(
      fc.property(streams, (bytes) => {
        const { events, error, consumed } = scanInChunks(bytes, [], true);
        assert.equal(error, null);
        assert.equal(consumed, bytes.length);
        assert.deepEqual(events, expectedEvents(bytes));
      }),
      { numRuns: 200 },
    );
  });

  test('hands over all that precedes a forbidden frame, in every split', () => {
    const forbidden = fc
      .constantFrom('36050001610001', '40020000', '4000', 'f000', '3003000561', 'c080808080')
      .map((hex) => Buffer.from(hex, 'hex'));
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 20 });
    fc.assert(
      fc.property(streams, forbidden, streams, sizes, (before, bad, after, chunks) => {
        const bytes = Buffer.concat([before, bad, after]);
        const { events, error } = scanInChunks(bytes, chunks);
        assert.ok(error instanceof ProtocolError);
        assert.deepEqual(flatten(events), flatten(expectedEvents(before)));
      }),
      { numRuns: 200 },
    );
  });

  test('finds each ack of a row with its packet id, in every split', () => {
    const row = [0x40, 0x50, 0x62, 0x70].flatMap((header) =>
      [1, 2, 65_535, 7, 7].map((packetId) =>
        Buffer.from([header, 2, packetId >> 8, packetId & 0xff]),
      ),
    );
    const bytes = Buffer.concat(row);
    for (const chunks of [[], Array<number>(80).fill(1), [3, 9, 5, 1, 10, 4, 4]]) {
      const { events, error } = scanInChunks(bytes, chunks);
      assert.equal(error, null);
      assert.deepEqual(flatten(events), flatten(expectedEvents(bytes)));
    }
  });

  // 3.1.1 does not forbid it, and 5.0 does [MQTT-1.5.5-1]: read, but not handed on as it came.
  test('hands on a needlessly long remaining length in its shortest form, in every split', () => {
    const padded = Buffer.from(
      'c08000 4082000001 308300000161 328980800000016100055a5a5a5a'.replaceAll(' ', ''),
      'hex',
    );
    const shortest = Buffer.from(
      'c000 40020001 3003000161 3209000161 00055a5a5a5a'.replaceAll(' ', ''),
      'hex',
    );
    for (const chunks of [[], Array<number>(40).fill(1), [3, 2, 5, 1, 9]]) {
      const { events, error } = scanInChunks(padded, chunks);
      assert.equal(error, null);
      assert.deepEqual(flatten(events), flatten(expectedEvents(shortest)));
    }
  });

  test('throws nothing but ProtocolError for random bytes, in every split the same', () => {
    const bytesLike = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      // Bytes that often make whole frames.
      fc.array(fc.constantFrom(0, 1, 2, 3, 4, 0x30, 0x32, 0x3a, 0x40, 0x62, 0x61, 0x80), {
        maxLength: 60,
      }),
    );
    fc.assert(
      fc.property(bytesLike, fc.array(fc.integer({ min: 1, max: 9 })), (values, chunks) => {
        const bytes = Buffer.from(values);
        const whole = scanInChunks(bytes, []);
        const cut = scanInChunks(bytes, chunks);
        assert.ok(whole.error === null || whole.error instanceof ProtocolError);
        assert.deepEqual(flatten(cut.events), flatten(whole.events));
        assert.equal(
          cut.error instanceof ProtocolError ? cut.error.clause : cut.error,
          whole.error instanceof ProtocolError ? whole.error.clause : whole.error,
        );
      }),
      { numRuns: 2_000 },
    );
  });
});

function clauseOf(hex: string, version: 3 | 4 = 4, maxPacketBytes = PACKET_BYTES_MAX): string {
  const scan = new FrameScan(maxPacketBytes);
  scan.protocolVersion = version;
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  try {
    scan.scan(bytes, 0, bytes.length, new Recorder(scan));
  } catch (error) {
    if (error instanceof ProtocolError) return error.clause;
    throw error;
  }
  return 'none';
}

describe('frame scan refuses', () => {
  const refusals: readonly (readonly [what: string, clause: string, ...hex: string[]])[] = [
    ['reserved packet types', '2.2.1', '00 00', 'f0 00', '0f 00', 'ff'],
    ['PUBLISH with QoS 3', 'MQTT-3.3.1-4', '36 05 0001 61 0001', '37', '3e 05 0001 61 0001'],
    ['PUBLISH with DUP and QoS 0', 'MQTT-3.3.1-2', '38 03 0001 61', '39', '3003000161 3803000161'],
    ['PUBLISH without a topic', 'MQTT-3.3.2-1', '30 00', '30 01 00'],
    ['PUBLISH with an empty topic', 'MQTT-4.7.3-1', '30 02 0000', '32 04 0000 0001'],
    ['PUBLISH shorter than its topic', 'MQTT-3.3.2-1', '30 04 0003 6162', '30 02 ffff'],
    ['QoS 1 and 2 without a packet id', 'MQTT-3.3.2-1', '32 03 0001 61', '34 04 0001 61 00'],
    [
      'PUBLISH with packet id 0',
      'MQTT-2.3.1-1',
      '32 05 0001 61 0000',
      '3205000161000132050001610000',
    ],
    ['acks with packet id 0', 'MQTT-2.3.1-1', '40020000', '50020000', '62020000', '70020000'],
    ['PUBACK with flags', 'MQTT-2.2.2-2', '41020001', '42020001', '4f'],
    ['PUBREC with flags', 'MQTT-2.2.2-2', '51020001', '52020001'],
    ['PUBCOMP with flags', 'MQTT-2.2.2-2', '71020001', '72020001'],
    ['PUBREL without its flags', 'MQTT-3.6.1-1', '60020001', '61020001', '64020001', '6a020001'],
    ['SUBSCRIBE without its flags', 'MQTT-3.8.1-1', '80', '83', '8a'],
    ['UNSUBSCRIBE without its flags', 'MQTT-3.10.1-1', 'a0', 'a3', 'aa'],
    ['PINGREQ, SUBACK with flags', 'MQTT-2.2.2-2', 'c1', 'c2', 'd8', '91', 'b2', '24'],
    ['DISCONNECT with flags', 'MQTT-3.14.1-1', 'e1', 'e8 00'],
    ['acks of another length', '3.4.1', '4000', '400100', '4003000100', '40ffff7f'],
    ['PUBREL of another length', '3.6.1', '6203', '6200'],
    ['PINGREQ with a body', '3.12.1', 'c001', 'c0ff01'],
    ['DISCONNECT with a body', '3.14.1', 'e00100'],
    [
      'a remaining length of five bytes',
      '2.2.3',
      '30ffffffff',
      '30ffffffff01',
      '1080808080',
      'c080808080',
    ],
  ];
  for (const [what, clause, ...frames] of refusals) {
    test(`${what} [${clause}]`, () => {
      for (const hex of frames) assert.equal(clauseOf(hex), clause, hex);
    });
  }

  test('a frame over the limit as soon as its length is known, before it is there', () => {
    // 1 header byte, 2 length bytes, 197 bytes of body.
    const scan = new FrameScan(200);
    const fits = Buffer.from('30c501', 'hex');
    assert.equal(scan.scan(fits, 0, 3, new Recorder(scan)), 0);
    assert.equal(scan.neededBytes, 200);
    assert.throws(
      () => scan.scan(Buffer.from('30c601', 'hex'), 0, 3, new Recorder(scan)),
      (error) => error instanceof ProtocolError && error.reason === CloseReason.packetTooLarge,
    );
  });

  test('a frame over the limit behind others of the same topic', () => {
    const scan = new FrameScan(200);
    const recorder = new Recorder(scan);
    const small = encodePublish('t', Buffer.alloc(8), 0x30, 0);
    const bytes = Buffer.concat([small, small, encodePublish('t', Buffer.alloc(195), 0x30, 0)]);
    assert.throws(
      () => scan.scan(bytes, 0, bytes.length, recorder),
      (error) => error instanceof ProtocolError && error.reason === CloseReason.packetTooLarge,
    );
    assert.equal(recorder.events.length, 1);
  });
});

describe('frame scan accepts', () => {
  test('DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE from clients of MQTT 3.1 only', () => {
    assert.equal(clauseOf('6a020001', 3), 'none');
    assert.equal(clauseOf('8a06 0001 0001 61 00', 3), 'none');
    assert.equal(clauseOf('aa05 0001 0001 61', 3), 'none');
    assert.equal(clauseOf('6a020000', 3), 'MQTT-2.3.1-1');
    assert.equal(clauseOf('68020001', 3), 'MQTT-3.6.1-1');
    assert.equal(clauseOf('6a020001', 4), 'MQTT-3.6.1-1');
  });

  test('every remaining length around those where its field grows', () => {
    for (const length of [127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
      const one = encodePublish('abc', Buffer.alloc(length - 5, 'x'), 0x30, 0);
      const small = encodePublish('abc', Buffer.from('y'), 0x30, 0);
      const bytes = Buffer.concat([small, one, small]);
      const { events } = scanAll(bytes);
      assert.equal(events.length, 1, `${length}`);
      assert.deepEqual(events, expectedEvents(bytes));
      const cut = scanAll(bytes.subarray(0, bytes.length - small.length - 1));
      assert.equal(cut.consumed, small.length);
      assert.equal(cut.neededBytes, one.length);
    }
  });
});

describe('runs of the frame scan', () => {
  const publish = (topic: string, header: number, id = 1, payload = 'payload') =>
    encodePublish(topic, Buffer.from(payload), header, id);
  const counts = (...frames: Buffer[]) =>
    scanAll(Buffer.concat(frames)).events.map((event) => (event.kind === 'run' ? event.count : 0));

  test('join frames that differ in DUP, packet id and payload only', () => {
    const scanned = scanAll(
      Buffer.concat([publish('t', 0x3b, 7), publish('t', 0x33, 8, ''), publish('t', 0x3b, 9)]),
    );
    assert.equal(scanned.events.length, 1);
    const [run] = scanned.events;
    assert.ok(run.kind === 'run');
    assert.equal(run.header, 0x33);
    assert.deepEqual(run.ids, [7, 8, 9]);
  });

  test('end at another QoS, RETAIN or topic, wherever the topic differs', () => {
    assert.deepEqual(counts(publish('t', 0x30), publish('t', 0x31)), [1, 1]);
    assert.deepEqual(counts(publish('t', 0x32), publish('t', 0x34)), [1, 1]);
    for (let length = 1; length <= 40; length++) {
      const topic = 'x'.repeat(length);
      assert.deepEqual(counts(publish(topic, 0x30), publish(topic, 0x30)), [2], topic);
      assert.deepEqual(counts(publish(topic, 0x30), publish(`${topic}x`, 0x30)), [1, 1], topic);
      assert.deepEqual(counts(publish(`${topic}x`, 0x30), publish(topic, 0x30)), [1, 1], topic);
      for (let index = 0; index < length; index++) {
        const other = `${topic.slice(0, index)}y${topic.slice(index + 1)}`;
        assert.deepEqual(counts(publish(topic, 0x30), publish(other, 0x30)), [1, 1], other);
      }
    }
  });

  test('end after 65,536 frames', () => {
    const frame = publish('t', 0x32, 5);
    const bytes = Buffer.concat(Array(65_540).fill(frame));
    const runs = scanAll(bytes).events;
    assert.deepEqual(
      runs.map((run) => (run.kind === 'run' ? [run.count, run.ids.length] : [])),
      [
        [65_536, 65_536],
        [4, 4],
      ],
    );
  });

  test('end after as many frames as are wanted', () => {
    const scan = new FrameScan(PACKET_BYTES_MAX);
    const recorder = new Recorder(scan);
    scan.runFramesMax = 2;
    const bytes = Buffer.concat(Array(5).fill(publish('t', 0x30)));
    assert.equal(scan.scan(bytes, 0, bytes.length, recorder), bytes.length);
    const found = recorder.events.map((run) => (run.kind === 'run' ? run.count : 0));
    assert.deepEqual(found, [2, 2, 1]);
  });

  test('that are left are found again, padded length or not', () => {
    const padded = Buffer.from('308600000174616263', 'hex');
    for (const frame of [publish('t', 0x30), padded]) {
      const scan = new FrameScan(PACKET_BYTES_MAX);
      const recorder = new Recorder(scan);
      const bytes = Buffer.concat([publish('before', 0x30), frame]);
      const first = bytes.length - frame.length;
      recorder.onRun = (...run) => {
        if (recorder.events.length === 1) {
          scan.leaveRun();
          return false;
        }
        return Recorder.prototype.onRun.apply(recorder, run);
      };
      assert.equal(scan.scan(bytes, 0, bytes.length, recorder), first);
      assert.equal(scan.scan(bytes, first, first, recorder), first);
      delete (recorder as Partial<Recorder>).onRun;
      assert.equal(scan.scan(bytes, first, bytes.length, recorder), bytes.length);
      assert.deepEqual(recorder.events, scanAll(bytes).events);
    }
  });

  test('join topics whose bytes are no numbers as doubles, if they are UTF-8', () => {
    // U+10FFFF is f4 8f bf bf, the highest bytes there are.
    const topic = '\u{10FFFF}\u{10FFFF}\u{7f}\u{7f}\u{10FFFF}';
    const key = Buffer.from(topic).toString('latin1');
    assert.deepEqual(counts(publish(key, 0x30), publish(key, 0x30)), [2]);
  });
});
