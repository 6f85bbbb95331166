/** Bytes that come although reading has stopped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldReads } from '../../../src/client/held-reads.js';

test('what is held is copied once, however often reading stops again', (t) => {
  const given: string[] = [];
  const reads = new HeldReads((buffer, length) => {
    given.push(buffer.toString('latin1', 0, length));
    return false;
  });
  const { mock: copies } = t.mock.method(Buffer, 'from');
  const shared = Buffer.alloc(4);
  for (const text of ['a', 'bc', 'def', 'ghij']) {
    shared.write(text);
    assert.equal(reads.push(shared, text.length), false);
  }
  assert.equal(reads.heldBytes, 9);
  const copiesOfHeld = copies.callCount();
  assert.equal(reads.resume(), false);
  assert.equal(reads.resume(), false);
  assert.equal(reads.heldBytes, 4);
  assert.equal(reads.resume(), false);
  assert.equal(reads.resume(), true);
  assert.deepEqual(given, ['a', 'bc', 'def', 'ghij']);
  assert.equal(copies.callCount(), copiesOfHeld);
  assert.equal(reads.heldBytes, 0);
});
