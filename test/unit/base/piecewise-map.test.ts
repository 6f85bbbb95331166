/** A map that grows piece by piece, beside JavaScript's own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PiecewiseMap } from '../../../src/base/piecewise-map.js';
import { Random } from '../../fuzz/random.js';

/** As many keys as several pieces take. */
const KEYS = 40_000;

function keyOf(n: number): string {
  return `f/${n}`;
}

describe('a piecewise map', () => {
  test('holds what a Map holds, whatever is put in and removed', () => {
    const random = new Random(7);
    const map = new PiecewiseMap<number>();
    const expected = new Map<string, number>();
    for (let step = 0; step < 400_000; step++) {
      const key = keyOf(random.below(KEYS));
      // By turns it grows and shrinks.
      if (random.below(10) < (step % 100_000 < 50_000 ? 8 : 3)) {
        assert.equal(map.set(key, step), !expected.has(key));
        expected.set(key, step);
      } else {
        assert.equal(map.delete(key), expected.delete(key));
      }
      assert.equal(map.size, expected.size);
      const other = keyOf(random.below(KEYS));
      assert.equal(map.get(other), expected.get(other));
      assert.equal(map.has(other), expected.has(other));
    }
    const byKey = (one: [string, number], other: [string, number]) => (one[0] < other[0] ? -1 : 1);
    assert.deepEqual([...map].sort(byKey), [...expected].sort(byKey));
    assert.deepEqual([...map.keys()].sort(), [...expected.keys()].sort());
  });

  test('is empty again when all that it held is removed', () => {
    const map = new PiecewiseMap<number>();
    for (let n = 0; n < KEYS; n++) map.set(keyOf(n), n);
    for (let n = 0; n < KEYS; n++) assert.equal(map.delete(keyOf(n)), true);
    assert.equal(map.size, 0);
    assert.deepEqual([...map], []);
    map.set('a', 1);
    assert.deepEqual([...map.entries()], [['a', 1]]);
  });

  test('yields each key once while those yielded are removed', () => {
    const map = new PiecewiseMap<number>();
    for (let n = 0; n < KEYS; n++) map.set(keyOf(n), n);
    const seen = new Set<string>();
    for (const key of map.keys()) {
      assert.equal(seen.has(key), false, key);
      seen.add(key);
      map.delete(key);
    }
    assert.equal(seen.size, KEYS);
    assert.equal(map.size, 0);
  });

  test('yields what was there and was not removed, though it is divided meanwhile', () => {
    const map = new PiecewiseMap<number>();
    const before = Array.from({ length: 100 }, (_, n) => `before/${n}`);
    for (const key of before) map.set(key, 1);
    const keys = map.keys();
    const seen = new Set([keys.next().value, keys.next().value]);
    for (let n = 0; n < KEYS; n++) map.set(keyOf(n), n);
    map.delete('before/50');
    for (const key of keys) seen.add(key);
    for (const key of before) assert.equal(seen.has(key), key !== 'before/50', key);
  });

  test('keeps the order of a few keys', () => {
    const map = new PiecewiseMap<number>();
    for (const key of ['b', 'a', 'c']) map.set(key, 1);
    map.delete('b');
    map.set('b', 2);
    assert.deepEqual([...map.keys()], ['a', 'c', 'b']);
  });
});
