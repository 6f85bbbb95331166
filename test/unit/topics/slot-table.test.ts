import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SlotTable } from '../../../src/topics/slot-table.js';

/** What a caller does: looks at slots from the tag's home on, until an empty one. */
function referencesOf(table: SlotTable, tag: number): number[] {
  const { words, shift } = table;
  const found: number[] = [];
  let at = (tag >>> shift) << 1;
  for (; words[at + 1] !== 0; at = (at + 2) & (words.length - 1)) {
    if (words[at] === tag) found.push(words[at + 1]!);
  }
  return found.sort((a, b) => a - b);
}

test('references are found by their tags after any additions, replacements and removals', () => {
  // Few tags in a few homes, one of them the last slot, so that searches collide and wrap around.
  const tag = fc.constantFrom(0, 1, 2, -1, -2, 0x7fffffff, -0x80000000, 0x20000000, 0x20000001);
  const action = fc.record({ kind: fc.constantFrom('add', 'add', 'replace', 'remove'), tag });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200, size: 'max' }), (actions) => {
      const table = new SlotTable();
      const model = new Map<number, number[]>();
      let next = 1;
      let size = 0;
      for (const { kind, tag } of actions) {
        const references = model.get(tag) ?? [];
        model.set(tag, references);
        const last = references.length - 1;
        if (kind === 'add' && size < 60) {
          references.push(next);
          table.add(tag, next++);
          size++;
        } else if (kind === 'replace' && last >= 0) {
          table.replace(tag, references[last]!, -next);
          references[last] = -next++;
        } else if (kind === 'remove' && last >= 0) {
          table.remove(tag, references.shift()!);
          size--;
        }
        assert.equal(table.size, size);
      }
      for (const [tag, references] of model) {
        assert.deepEqual(
          referencesOf(table, tag),
          references.sort((a, b) => a - b),
        );
      }
    }),
    { numRuns: 300 },
  );
});

test('a table is at most half full, and gives memory back when it empties', () => {
  const table = new SlotTable();
  const tagOf = (i: number) => Math.imul(i, 0x9e3779b1);
  for (let i = 1; i <= 10_000; i++) {
    table.add(tagOf(i), i);
    assert.ok(table.words.length >= 4 * i);
  }
  for (let i = 1; i <= 10_000; i++) assert.deepEqual(referencesOf(table, tagOf(i)), [i]);
  for (let i = 1; i <= 10_000; i++) table.remove(tagOf(i), i);
  assert.equal(table.size, 0);
  assert.ok(table.words.length <= 32);
});

test('removing what is not there is a fault of the program, not an endless search', () => {
  const table = new SlotTable();
  table.add(7, 1);
  assert.throws(() => table.remove(7, 2), /invariant broken/);
  assert.throws(() => table.replace(8, 1, 2), /invariant broken/);
});
