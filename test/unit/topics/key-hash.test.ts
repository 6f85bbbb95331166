import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STRING_BYTES_MAX, TOPIC_LEVELS_MAX } from '../../../src/base/limits.js';
import { hashKey, hashLevel, mixHash, TopicLevels } from '../../../src/topics/key-hash.js';
import { topicKey } from './arbitraries.js';

test('a topic is taken apart into its levels, with the hashes that filters have', () => {
  const topic = new TopicLevels();
  fc.assert(
    fc.property(topicKey, (key) => {
      topic.split(key);
      const levels = key.split('/');
      assert.equal(topic.count, levels.length);
      for (let i = 0; i < levels.length; i++) {
        const level = key.substring(topic.starts[i]!, topic.starts[i + 1]! - 1);
        assert.equal(level, levels[i]);
        assert.equal(topic.hashes[i], hashLevel(level, 0, level.length));
      }
      assert.equal(topic.wholeHash, hashKey(key));
    }),
  );
});

test('the longest topic and the one with most levels are taken apart', () => {
  const topic = new TopicLevels();
  const longest = 'x'.repeat(STRING_BYTES_MAX);
  topic.split(longest);
  assert.equal(topic.count, 1);
  assert.equal(topic.wholeHash, hashKey(longest));
  const deepest = 'x/'.repeat(TOPIC_LEVELS_MAX - 1);
  topic.split(deepest);
  assert.equal(topic.count, TOPIC_LEVELS_MAX);
  assert.equal(topic.wholeHash, hashKey(deepest));
});

test('keys made by counting spread over the places of a table', () => {
  const places = new Set<number>();
  for (let i = 0; i < 65_536; i++) places.add(mixHash(hashKey(`site/${i}/temperature`)) >>> 16);
  // Chance leaves 63.2 % of the places in use.
  assert.ok(places.size > 0.6 * 65_536, `${places.size} places`);
});

test('a level that moves, within a key or a character within a level, changes the hash', () => {
  assert.notEqual(hashKey('a/b'), hashKey('b/a'));
  assert.notEqual(hashKey('a/b/c'), hashKey('c/b/a'));
  assert.notEqual(hashKey('a/b'), hashKey('ab'));
  const swapped = (i: number) => `${'x'.repeat(i)}y${'x'.repeat(4_095 - i)}`;
  const hashes = new Set(Array.from({ length: 4_096 }, (_, i) => hashKey(swapped(i))));
  assert.ok(hashes.size > 4_090, `${hashes.size} hashes`);
});
