import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tableKey } from '../../../src/base/table-key.js';

test('a string that V8 hashes is its own key', () => {
  for (const text of ['', 'a', 'x'.repeat(16_383)]) assert.equal(tableKey(text), text);
});

test('longer strings have short keys, each its own, that no MQTT string equals', () => {
  const texts = Array.from({ length: 100 }, (_, n) => `${'x'.repeat(16_384)}${n % 10}${n}`);
  const keys = new Set(texts.map(tableKey));
  assert.equal(keys.size, texts.length);
  for (const key of keys) {
    assert.ok(key.length < 64);
    // [MQTT-1.5.3-2]
    assert.ok(key.startsWith('\0'));
  }
  assert.equal(tableKey(texts[3]), tableKey(`${texts[3]}`));
});
