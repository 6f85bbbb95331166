/** The Buffer of browsers beside Node's: what the client uses of it does the same. */
import assert from 'node:assert/strict';
import { Buffer as NodeBuffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Buffer } from '../../../src/client/browser/buffer.js';
import { isUtf8, randomBytes, randomFillSync } from '../../../src/client/browser/builtins.js';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 40 });
const ENCODINGS = ['utf8', 'latin1', 'hex', 'base64'] as const;

describe('the Buffer of browsers', () => {
  test('reads bytes as text like Node', () => {
    fc.assert(
      fc.property(bytes, fc.nat(10), fc.nat(40), (content, start, end) => {
        for (const encoding of ENCODINGS) {
          const [ours, theirs] = [Buffer.from(content), NodeBuffer.from(content)];
          assert.equal(ours.toString(encoding, start, end), theirs.toString(encoding, start, end));
        }
        assert.equal(`${Buffer.from(content)}`, `${NodeBuffer.from(content)}`);
        assert.equal(
          JSON.stringify(Buffer.from(content)),
          JSON.stringify(NodeBuffer.from(content)),
        );
      }),
    );
  });

  test('makes bytes of text like Node', () => {
    fc.assert(
      fc.property(text, bytes, (content, other) => {
        assert.deepEqual([...Buffer.from(content)], [...NodeBuffer.from(content)]);
        assert.equal(Buffer.byteLength(content), NodeBuffer.byteLength(content));
        for (const encoding of ['hex', 'base64', 'latin1'] as const) {
          const encoded = NodeBuffer.from(other).toString(encoding);
          assert.deepEqual([...Buffer.from(encoded, encoding)], [...other]);
        }
      }),
    );
  });

  test('writes, copies and compares like Node', () => {
    fc.assert(
      fc.property(text, bytes, bytes, fc.nat(9), fc.nat(9), (content, one, other, at, start) => {
        const [ours, theirs] = [Buffer.alloc(60), NodeBuffer.alloc(60)];
        for (const length of [content.length, 5]) {
          const written = ours.write(content, at, length, 'utf8');
          assert.equal(written, theirs.write(content, at, length, 'utf8'));
          assert.deepEqual([...ours], [...theirs]);
        }
        const ascii = content.replace(/[^\0-\x7f]/gu, '');
        assert.equal(ours.write(ascii, at, 'latin1'), theirs.write(ascii, at, 'latin1'));
        const from = Math.min(start, one.length);
        const copied = Buffer.from(one).copy(ours, at, from);
        assert.equal(copied, NodeBuffer.from(one).copy(theirs, at, from));
        ours.writeUInt16BE(ours.readUInt16BE(3) ^ 0xff, 7);
        theirs.writeUInt16BE(theirs.readUInt16BE(3) ^ 0xff, 7);
        assert.equal(ours.writeUInt32BE(0xfe_dc_ba_98, 1), theirs.writeUInt32BE(0xfe_dc_ba_98, 1));
        assert.deepEqual([...ours], [...theirs]);
        const [first, second] = [NodeBuffer.from(one), NodeBuffer.from(other)];
        assert.equal(Buffer.from(one).compare(other), first.compare(second));
        assert.equal(Buffer.from(one).equals(other), first.equals(second));
        assert.deepEqual([...Buffer.concat([one, other])], [...NodeBuffer.concat([one, other])]);
        assert.equal(isUtf8(one), NodeBuffer.from(NodeBuffer.from(one).toString()).equals(one));
      }),
    );
  });

  test('has views that are Buffers too, and copies where Node copies', () => {
    const whole = Buffer.from([1, 2, 3]);
    const view = whole.subarray(1);
    assert.ok(view instanceof Buffer);
    view[0] = 9;
    assert.deepEqual([...whole], [1, 9, 3]);
    const copy = Buffer.from(whole);
    copy[0] = 7;
    assert.equal(whole[0], 1);
  });

  test('has random bytes of any length', () => {
    assert.equal(new Set(randomBytes(64)).size > 16, true);
    const many = randomFillSync(new Int32Array(40_000));
    assert.ok(many.slice(-1_000).some((value) => value !== 0));
  });
});
