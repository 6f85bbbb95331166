import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { TOPIC_LEVELS_MAX } from '../../../src/base/limits.js';
import { FilterIndex } from '../../../src/topics/filter-index.js';
import { hashLevel } from '../../../src/topics/key-hash.js';
import { matches } from '../../../src/topics/topic.js';
import { filterKey, topicKey } from './arbitraries.js';

function matchesOf(index: FilterIndex, topic: string): string[] {
  const ids: number[] = [];
  const count = index.match(topic, ids);
  return Array.from({ length: count }, (_, i) => index.keyOf(ids[i]!)).sort();
}

test('a topic is given the filters that the plain matcher finds, each once', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(filterKey, { maxLength: 60, size: 'max' }),
      fc.array(topicKey, { minLength: 1, maxLength: 10 }),
      (filters, topics) => {
        const index = new FilterIndex();
        const ids = filters.map((filter) => index.add(filter));
        assert.equal(index.count, filters.length);
        for (const [i, filter] of filters.entries()) {
          assert.equal(index.find(filter), ids[i]);
          assert.equal(index.keyOf(ids[i]!), filter);
        }
        for (const topic of topics) {
          const expected = filters.filter((filter) => matches(filter, topic)).sort();
          assert.deepEqual(matchesOf(index, topic), expected, topic);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('a filter removed is not found, the others are, and ids are given again', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(filterKey, { minLength: 1, maxLength: 60, size: 'max' }),
      fc.array(fc.nat(59), { maxLength: 100, size: 'max' }),
      fc.array(topicKey, { minLength: 1, maxLength: 5 }),
      (filters, toggles, topics) => {
        const index = new FilterIndex();
        const idOf = new Map(filters.map((filter) => [filter, index.add(filter)]));
        for (const toggle of toggles) {
          const filter = filters[toggle % filters.length]!;
          const id = idOf.get(filter);
          if (id === undefined) {
            idOf.set(filter, index.add(filter));
          } else {
            index.remove(id);
            idOf.delete(filter);
            assert.equal(index.find(filter), 0);
          }
        }
        for (const topic of topics) {
          const expected = [...idOf.keys()].filter((filter) => matches(filter, topic)).sort();
          assert.deepEqual(matchesOf(index, topic), expected, topic);
        }
        assert.equal(index.count, idOf.size);
        assert.ok(Math.max(0, ...idOf.values()) <= filters.length);
        for (const id of idOf.values()) index.remove(id);
        // Only the root is left: every node went with the last filter it led to.
        assert.deepEqual([index.count, index.nodeCount], [0, 1]);
      },
    ),
    { numRuns: 150 },
  );
});

test('there are no more nodes than filters, however deep the filters are', () => {
  const index = new FilterIndex();
  for (let i = 0; i < 1_000; i++)
    index.add(`${'deep/'.repeat(TOPIC_LEVELS_MAX - 3)}${i % 2}/${i}/+`);
  assert.equal(index.nodeCount, 1 + (TOPIC_LEVELS_MAX - 3) + 2);
  const alone = new FilterIndex();
  for (let i = 0; i < 1_000; i++) alone.add(`${i}${'/deep'.repeat(TOPIC_LEVELS_MAX - 2)}/#`);
  assert.equal(alone.nodeCount, 1);
});

test('filters with wildcards are found among any number of filters without', () => {
  for (const plain of [0, 5, 50, 500, 5_000]) {
    const index = new FilterIndex();
    for (let i = 0; i < plain; i++) index.add(`plain/${i}`);
    for (const filter of ['a/b/+', 'a/c/+', 'b/#']) index.add(filter);
    assert.deepEqual(matchesOf(index, 'a/c/d'), ['a/c/+']);
    assert.deepEqual(matchesOf(index, 'b'), ['b/#']);
    for (const filter of ['a/b/+', 'a/c/+', 'b/#']) index.remove(index.find(filter));
    assert.deepEqual([index.count, index.nodeCount], [plain, 1]);
  }
});

/** Pairs of different levels that have one hash. */
function collidingLevels(wanted: number): [string, string][] {
  const seen = new Map<number, string>();
  const pairs: [string, string][] = [];
  for (let i = 0; pairs.length < wanted; i++) {
    // Noise: levels that are made by counting differ by few amounts, and so hardly ever collide.
    const level = createHash('sha1').update(`${i}`).digest('hex').slice(0, 16);
    const hash = hashLevel(level, 0, level.length);
    const other = seen.get(hash);
    if (other === undefined) seen.set(hash, level);
    else pairs.push([other, level]);
  }
  return pairs;
}

test('levels that share a hash are told apart, as leaves and as nodes', () => {
  for (const [one, two] of collidingLevels(3)) {
    const leaves = [`a/${one}/+`, `a/${two}/+`];
    const nodes = [...leaves, `a/${one}/#`, `a/${two}/#`, `a/${two}/+/x`, one, two];
    for (const filters of [leaves, nodes, nodes.toReversed()]) {
      const index = new FilterIndex();
      for (const filter of filters) index.add(filter);
      for (const topic of [`a/${one}/x`, `a/${two}/x`, `a/${one}`, `a/${two}/x/x`, one, two]) {
        const expected = filters.filter((filter) => matches(filter, topic)).sort();
        assert.deepEqual(matchesOf(index, topic), expected);
      }
      for (const filter of filters) index.remove(index.find(filter));
      assert.deepEqual([index.count, index.nodeCount], [0, 1]);
    }
  }
});
