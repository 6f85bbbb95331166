import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WordIds } from '../../../src/base/word-ids.js';

// An id that came round while its first owner was there took that one's place.
test('ids of one word begin again at 1, and none is given that is in use', () => {
  const ids = new WordIds(2 ** 32 - 2);
  const used = new Set([2, 3, 2 ** 32 - 1]);
  assert.deepEqual([ids.next(used), ids.next(used), ids.next(used)], [2 ** 32 - 2, 1, 4]);
  used.clear();
  assert.equal(ids.next(used), 5);
});
