import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addEntry, type Branch, LevelNode, removeEntry } from '../../../src/topics/level-trie.js';
import { topicKey } from './arbitraries.js';

interface Entry {
  readonly key: string;
}

/** Every entry of a trie with the levels that lead to it, as far as there are nodes. */
function* entriesOf(branch: Branch<Entry>, path: string[]): Generator<[Entry, string[]]> {
  if (!(branch instanceof LevelNode)) {
    yield [branch, path];
    return;
  }
  if (branch.entry !== null) yield [branch.entry, path];
  if (branch.child !== null) yield* entriesOf(branch.child, [...path, branch.childLevel]);
  for (const [level, child] of branch.children ?? []) yield* entriesOf(child, [...path, level]);
}

test('an entry stands where its levels lead, and goes with the nodes that led to it alone', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(topicKey, { minLength: 1, maxLength: 40, size: 'max' }),
      fc.nat(),
      (keys, n) => {
        const root = new LevelNode<Entry>();
        const entries = keys.map((key) => ({ key }));
        for (const entry of entries) addEntry(root, entry);
        // Any of them may go first.
        while (entries.length > 0) {
          const found = new Map(entriesOf(root, []));
          assert.equal(found.size, entries.length);
          for (const entry of entries) {
            const path = found.get(entry)!;
            assert.deepEqual(entry.key.split('/').slice(0, path.length), path);
          }
          removeEntry(root, entries.splice(n % entries.length, 1)[0]!);
        }
        assert.equal(root.child, null);
        assert.equal(root.children?.size ?? 0, 0);
      },
    ),
  );
});

test('a key that shares no level with another needs no node', () => {
  const root = new LevelNode<Entry>();
  const deep = { key: 'a/b/c/d' };
  addEntry(root, deep);
  assert.equal(root.child, deep);
  const other = { key: 'x' };
  addEntry(root, other);
  assert.deepEqual([...root.children!.values()], [deep, other]);
});

test('removing an entry that is not there is a fault of the program', () => {
  const root = new LevelNode<Entry>();
  addEntry(root, { key: 'a' });
  assert.throws(() => removeEntry(root, { key: 'a' }), /invariant broken/);
  assert.throws(() => removeEntry(root, { key: 'b' }), /invariant broken/);
});
