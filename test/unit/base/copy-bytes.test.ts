import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyBytes, takeDetours } from '../../../src/base/copy-bytes.js';
import { SHARED_COPY_BYTES } from '../../../src/base/limits.js';

describe('copyBytes', () => {
  it('copies exactly the bytes named, at every length around its loops', () => {
    const source = Buffer.from(Array.from({ length: 300 }, (_, at) => (at * 7 + 1) & 0xff));
    for (let length = 0; length < 200; length++) {
      const start = length % 5;
      const target = Buffer.alloc(260, 0xee);
      copyBytes(source, start, start + length, target, 13);
      assert.deepEqual(target.subarray(13, 13 + length), source.subarray(start, start + length));
      assert.ok(target.subarray(0, 13).every((byte) => byte === 0xee));
      assert.ok(target.subarray(13 + length).every((byte) => byte === 0xee));
    }
  });

  it('copies between memory of its own and shared memory, however both lie in their words', () => {
    takeDetours();
    const bytes = 2 * SHARED_COPY_BYTES + 100;
    const pattern = Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 31 + 7) & 0xff));
    const own = () => Buffer.alloc(bytes + 32, 0xee);
    const shared = () => Buffer.from(new SharedArrayBuffer(bytes + 32)).fill(0xee);
    for (const [from, to] of [
      [own, shared],
      [shared, own],
      [shared, shared],
    ] as const) {
      for (const length of [511, 512, SHARED_COPY_BYTES, SHARED_COPY_BYTES + 1, bytes]) {
        for (let place = 0; place < 64; place++) {
          const [start, at] = [place & 7, place >> 3];
          const source = from().subarray(3);
          const target = to();
          pattern.copy(source, start, 0, length);
          copyBytes(source, start, start + length, target, at);
          assert.equal(
            Buffer.compare(target.subarray(at, at + length), pattern.subarray(0, length)),
            0,
          );
          assert.ok(target.subarray(0, at).every((byte) => byte === 0xee));
          assert.ok(target.subarray(at + length).every((byte) => byte === 0xee));
        }
      }
    }
  });
});
