import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  closeFrame,
  FrameFault,
  FrameReader,
  pongFrame,
  writeDataHeader,
} from '../../../src/transport/websocket-frames.js';
import {
  clientFrame,
  MALFORMED_FRAMES,
  serverFrame,
  splitServerFrames,
} from '../../support/websocket-frames.js';

/** What a reader makes of a stream that comes in pieces of these lengths, over and over. */
function readPieces(stream: Buffer, lengths: readonly number[], buffer = Buffer.alloc(70_000)) {
  const reader = new FrameReader();
  const data: Buffer[] = [];
  const said: string[] = [];
  const sink = {
    onPing: (payload: Buffer) => said.push(`ping ${payload.toString('latin1')}`),
    onClose: (code: number) => said.push(`close ${code}`),
  };
  let fault: FrameFault | null = null;
  for (let at = 0, piece = 0; at < stream.length && fault === null; piece++) {
    const length = Math.max(1, Math.min(lengths[piece % lengths.length], buffer.length - 7));
    const end = 7 + stream.copy(buffer, 7, at, at + length);
    try {
      reader.unframe(buffer, 7, end, 3, sink);
    } catch (error) {
      assert.ok(error instanceof FrameFault);
      fault = error;
    }
    data.push(Buffer.from(buffer.subarray(3, reader.dataEnd)));
    at += length;
  }
  return { data: Buffer.concat(data), said, fault };
}

/** The last ping and the last close of what was said. */
function lastOfEach(said: readonly string[]): (string | undefined)[] {
  return ['ping', 'close'].map((kind) => said.findLast((what) => what.startsWith(kind)));
}

describe('frames of a client', () => {
  it('lay their data together, however they are cut', () => {
    const payloads = [0, 1, 5, 23, 24, 25, 125, 126, 127, 65_535, 65_536, 70_001].map((length) =>
      Buffer.from(Array.from({ length }, (_, at) => (at * 7 + length) & 255)),
    );
    const stream = Buffer.concat(
      payloads.map((payload, at) => clientFrame(payload, 0x82, 0x01020304 * (at + 1))),
    );
    const whole = Buffer.concat(payloads);
    for (const lengths of [[1 << 20], [1], [2, 3], [13], [14, 1, 4_097], [69_993]]) {
      const { data, fault } = readPieces(stream, lengths);
      assert.equal(fault, null);
      assert.ok(data.equals(whole), `in pieces of ${lengths}`);
    }
  });

  it('may be parts of messages, with others between them', () => {
    const stream = Buffer.concat([
      clientFrame('ab', 0x02),
      clientFrame('one', 0x89),
      clientFrame('', 0x00),
      clientFrame('cd', 0x00),
      clientFrame('', 0x8a),
      clientFrame('ef', 0x80),
      clientFrame('gh', 0x82),
    ]);
    for (const lengths of [[1 << 20], [1], [5]]) {
      const { data, said, fault } = readPieces(stream, lengths);
      assert.equal(fault, null);
      assert.equal(String(data), 'abcdefgh');
      assert.deepEqual(said, ['ping one']);
    }
  });

  it('have the last ping of a read answered', () => {
    const pings = ['1', '2', 'x'.repeat(125)].map((text) => clientFrame(text, 0x89));
    const stream = Buffer.concat([...pings, clientFrame('data')]);
    const { said } = readPieces(stream, [1 << 20]);
    assert.deepEqual(said, [`ping ${'x'.repeat(125)}`]);
    assert.equal(readPieces(stream, [1]).said.length, 3);
  });

  it('end with a close frame', () => {
    for (const [payload, code] of [
      ['', 1005],
      ['\x03\xe8', 1000],
      ['\x03\xe9bye \u00fc', 1001],
      ['\x0b\xb8', 3000],
      ['\x13\x87', 4999],
    ] as const) {
      const bytes = Buffer.concat([
        Buffer.from(payload.slice(0, 2), 'latin1'),
        Buffer.from(payload.slice(2)),
      ]);
      const stream = Buffer.concat([clientFrame('a'), clientFrame(bytes, 0x88), clientFrame('b')]);
      const { data, said, fault } = readPieces(stream, [3]);
      assert.equal(fault, null);
      assert.equal(String(data), 'a');
      assert.deepEqual(said, [`close ${code}`]);
    }
  });

  for (const [what, frame, closeCode] of MALFORMED_FRAMES) {
    it(`are refused: ${what}`, () => {
      const stream = Buffer.concat([clientFrame('before'), frame, clientFrame('behind')]);
      for (const lengths of [[1 << 20], [1], [3]]) {
        const { data, said, fault } = readPieces(stream, lengths);
        assert.equal(fault?.closeCode, closeCode, what);
        assert.match(fault?.message ?? '', /^WebSocket: [ -~]+$/);
        assert.equal(String(data), 'before', 'what came before it is seen');
        assert.deepEqual(said, []);
      }
    });
  }

  it('are the same in any pieces, whatever bytes they are', () => {
    const frame = fc
      .tuple(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(0x82, 0x82, 0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88),
        fc.integer(),
      )
      .map(([payload, first, mask]) => clientFrame(Buffer.from(payload), first, mask));
    const any = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    const streams = fc.oneof(
      fc.array(frame, { maxLength: 8 }).map((frames) => Buffer.concat(frames)),
      fc
        .tuple(fc.array(frame, { maxLength: 4 }), any)
        .map(([frames, bytes]) => Buffer.concat([...frames, bytes])),
      any,
    );
    const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(streams, pieces, (stream, lengths) => {
        const whole = readPieces(stream, [1 << 20]);
        const parts = readPieces(stream, lengths);
        assert.ok(parts.data.equals(whole.data));
        assert.equal(parts.fault?.closeCode, whole.fault?.closeCode);
        // A ping before a fault in the same read is not answered any more.
        if (whole.fault === null) assert.deepEqual(lastOfEach(parts.said), lastOfEach(whole.said));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('frames of the server', () => {
  it('have the shortest header, and no mask', () => {
    for (const length of [0, 125, 126, 65_535, 65_536, 2 ** 32 + 5]) {
      const buffer = Buffer.alloc(12);
      const end = writeDataHeader(buffer, 1, length);
      const expected = length < 100_000 ? serverFrame(Buffer.alloc(length)) : null;
      const header = buffer.subarray(1, end);
      if (expected === null) assert.equal(header.readBigUInt64BE(2), BigInt(length));
      else
        assert.ok(
          expected.subarray(0, end - 1).equals(header) && end - 1 === expected.length - length,
        );
    }
    const { frames, rest } = splitServerFrames(
      Buffer.concat([pongFrame(Buffer.from('x')), closeFrame(1002), closeFrame(1005)]),
    );
    assert.deepEqual(
      frames.map(({ first, payload }) => [first, payload.toString('hex')]),
      [
        [0x8a, '78'],
        [0x88, '03ea'],
        [0x88, ''],
      ],
    );
    assert.equal(rest.length, 0);
  });
});
