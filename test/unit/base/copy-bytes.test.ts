import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyBytes } from '../../../src/base/copy-bytes.js';

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
});
