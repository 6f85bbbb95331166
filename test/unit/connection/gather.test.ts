import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AckHold } from '../../../src/connection/ack-hold.js';
import { Gather } from '../../../src/connection/gather.js';

const FRAME = Buffer.from('0123456789');
const MARGIN = 3;

/** The bytes [start, end) of the frame, in the middle of a buffer that is used again at once. */
function chunk(start: number, end: number): { bytes: Buffer; from: number; to: number } {
  const bytes = Buffer.concat([
    Buffer.alloc(MARGIN, '<'),
    FRAME.subarray(start, end),
    Buffer.from('>>>>>>>>>>>>'),
  ]);
  return { bytes, from: MARGIN, to: MARGIN + end - start };
}

describe('an unfinished frame', () => {
  test('is whole whatever the pieces are that it comes in', () => {
    for (let first = 1; first < FRAME.length; first++) {
      for (let second = first; second < FRAME.length; second++) {
        const gather = new Gather();
        const begin = chunk(0, first);
        gather.add(begin.bytes, begin.from, begin.to, FRAME.length);
        begin.bytes.fill(0);
        assert.equal(gather.isWhole, false);
        const middle = chunk(first, second);
        assert.equal(gather.take(middle.bytes, middle.from, middle.to), second - first);
        middle.bytes.fill(0);
        assert.equal(gather.isWhole, false);
        // What follows the frame is left where it is.
        const rest = chunk(second, FRAME.length);
        const taken = gather.take(rest.bytes, rest.from, rest.bytes.length);
        assert.equal(taken, FRAME.length - second);
        rest.bytes.fill(0);
        assert.equal(gather.isWhole, true);
        assert.deepEqual(gather.release(), FRAME);
        assert.equal(gather.length, 0);
      }
    }
  });

  test('can be put before what is read next', () => {
    const gather = new Gather();
    const { bytes, from, to } = chunk(0, 4);
    gather.add(bytes, from, to, 0);
    const target = Buffer.from('......456789');
    assert.equal(gather.moveBefore(target, 6), 2);
    assert.equal(target.toString(), '..0123456789');
    assert.equal(gather.length, 0);
  });

  test('of unknown length is never whole, and one added to is as long as both', () => {
    const gather = new Gather();
    gather.add(FRAME, 0, 2, 0);
    assert.equal(gather.isWhole, false);
    gather.add(FRAME, 2, 5, 10);
    assert.equal(gather.isWhole, false);
    gather.add(FRAME, 5, 10, 10);
    assert.equal(gather.isWhole, true);
    assert.deepEqual(gather.release(), FRAME);
  });

  test('costs no more than twice what has come of it, and in the end its length', () => {
    const gather = new Gather();
    const announced = 1_000_000;
    const piece = Buffer.alloc(1_000, 'x');
    gather.add(piece, 0, piece.length, announced);
    for (let come = 2_000; come <= announced; come += piece.length) {
      gather.take(piece, 0, piece.length);
      assert.equal(gather.length, come);
    }
    const bytes = gather.release();
    assert.equal(bytes.length, announced);
    assert.equal(bytes.buffer.byteLength, announced);
    assert.equal(new Gather().release().length, 0);
  });
});

describe('acks that are held', () => {
  test('come out in order, however many they are, and once', () => {
    const hold = new AckHold();
    const expected: number[] = [];
    for (let ack = 0; ack < 500; ack++) {
      const buffer = hold.reserve(4);
      buffer.writeUInt32BE(ack, hold.length);
      hold.length += 4;
      expected.push(ack);
    }
    const bytes = hold.release();
    const seen = expected.map((_, at) => bytes.readUInt32BE(at * 4));
    assert.equal(bytes.length, 2_000);
    assert.deepEqual(seen, expected);
    assert.deepEqual([hold.length, hold.release().length], [0, 0]);
  });

  test('find room for a whole read of them at once', () => {
    const hold = new AckHold();
    hold.reserve(4).fill('a', 0, 4);
    hold.length = 4;
    const buffer = hold.reserve(65_536 * 4);
    assert.ok(buffer.length >= 4 + 65_536 * 4);
    assert.equal(buffer.toString('latin1', 0, 4), 'aaaa');
  });
});
