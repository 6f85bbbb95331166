import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../../src/base/errors.js';
import { Reader } from '../../../src/client/reader.js';
import type { FrameSink } from '../../../src/protocol/frame-scan.js';
import * as packets from '../../support/packets.js';

/** Notes every frame as hex, and stops after those that it is told to. */
class Recorder implements FrameSink {
  readonly frames: string[] = [];
  reader: Reader | null = null;
  /** Stop after each frame, also in the middle of a run. */
  stops = false;

  onRun(buffer: Buffer, start: number, end: number): boolean {
    let position = start;
    while (position < end) {
      const frame = buffer.subarray(position, end);
      const length = packets.packetEnd(frame) ?? 0;
      this.frames.push(frame.toString('hex', 0, length));
      position += length;
      if (this.stops) {
        this.reader?.stopAt(position);
        return false;
      }
    }
    return true;
  }

  onAcks(type: number, count: number): boolean {
    for (const packetId of this.reader?.packetIds.subarray(0, count) ?? []) {
      this.frames.push(`ack ${type} ${packetId}`);
    }
    return true;
  }

  onFrame(buffer: Buffer, start: number, end: number): boolean {
    this.frames.push(buffer.toString('hex', start, end));
    return true;
  }
}

const MAX_BYTES = 1_000_000;

function recorder(stops = false): { reader: Reader; recorder: Recorder } {
  const recorder = new Recorder();
  recorder.stops = stops;
  const reader = new Reader(MAX_BYTES, 4, recorder);
  recorder.reader = reader;
  return { reader, recorder };
}

const PACKETS = [
  packets.connack(false, 0),
  packets.publish({ topic: 'a', payload: 'one' }),
  packets.publish({ topic: 'a', payload: 'two' }),
  packets.publish({ topic: 'a', payload: 'three' }),
  packets.publish({ topic: 'b', payload: 'x'.repeat(200), qos: 1, packetId: 7 }),
  packets.puback(9),
  packets.PINGRESP,
  packets.publish({ topic: 'a', payload: '', qos: 2, packetId: 8 }),
  packets.suback(5, 0, 1, 2, 0x80),
];
const BYTES = Buffer.concat(PACKETS);
const WHOLE = PACKETS.map((packet) =>
  packet[0] === 0x40 ? `ack 4 ${packet[3]}` : packet.toString('hex'),
);

test('frames come out whole, whatever pieces the bytes come in', () => {
  for (let pieceBytes = 1; pieceBytes <= BYTES.length; pieceBytes++) {
    const { reader, recorder: seen } = recorder();
    // One buffer for all reads, as the socket has it: what was read is overwritten.
    const shared = Buffer.alloc(pieceBytes);
    for (let at = 0; at < BYTES.length; at += pieceBytes) {
      const length = BYTES.copy(shared, 0, at, at + pieceBytes);
      assert(reader.push(shared, length));
      shared.fill(0xff);
    }
    assert.deepEqual(seen.frames, WHOLE, `pieces of ${pieceBytes}`);
    assert.equal(reader.heldBytes, 0);
  }
});

test('a sink that stops after every message gets all of them, in order', () => {
  for (let pieceBytes = 1; pieceBytes <= BYTES.length; pieceBytes++) {
    const { reader, recorder: seen } = recorder(true);
    const shared = Buffer.alloc(pieceBytes);
    for (let at = 0; at < BYTES.length; at += pieceBytes) {
      const length = BYTES.copy(shared, 0, at, at + pieceBytes);
      let goesOn = reader.push(shared, length);
      shared.fill(0xff);
      while (!goesOn) goesOn = reader.resume();
    }
    assert.deepEqual(seen.frames, WHOLE, `pieces of ${pieceBytes}`);
  }
});

test('what follows a stop is kept until the reader is resumed', () => {
  const { reader, recorder: seen } = recorder(true);
  assert.equal(reader.push(BYTES, BYTES.length), false);
  assert.deepEqual(seen.frames, WHOLE.slice(0, 2));
  assert.equal(reader.resume(), false);
  assert.deepEqual(seen.frames, WHOLE.slice(0, 3));
  seen.stops = false;
  assert.equal(reader.resume(), true);
  assert.deepEqual(seen.frames, WHOLE);
});

test('a packet much longer than a read is put together', () => {
  const { reader, recorder: seen } = recorder();
  const long = packets.publish({ topic: 't', payload: 'y'.repeat(500_000) });
  const bytes = Buffer.concat([long, packets.PINGRESP, long, packets.puback(3)]);
  for (let at = 0; at < bytes.length; at += 65_536) {
    const piece = Buffer.from(bytes.subarray(at, at + 65_536));
    assert(reader.push(piece, piece.length));
  }
  assert.deepEqual(seen.frames, [long.toString('hex'), 'd000', long.toString('hex'), 'ack 4 3']);
});

test('a packet over the limit is refused when its length is known, before it is there', () => {
  const { reader } = recorder();
  const header = packets.publish({ topic: 't', payload: 'y'.repeat(MAX_BYTES) }).subarray(0, 4);
  assert.throws(
    () => reader.push(header, header.length),
    (error) => error instanceof ProtocolError && error.reason === 'packet-too-large',
  );
  assert.equal(reader.heldBytes, 0);
});

test('memory grows with the bytes that come, not with the length that is promised', () => {
  const { reader } = recorder();
  const header = packets
    .publish({ topic: 't', payload: 'y'.repeat(MAX_BYTES - 100) })
    .subarray(0, 4);
  const before = process.memoryUsage().arrayBuffers;
  assert(reader.push(header, header.length));
  assert(process.memoryUsage().arrayBuffers - before <= 2 * 65_536);
  assert.equal(reader.heldBytes, 4);
});
