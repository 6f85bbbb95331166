import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RetainedTree } from '../../../src/topics/retained-tree.js';
import { matches } from '../../../src/topics/topic.js';
import { filterKey, topicKey } from './arbitraries.js';

function treeOf(topics: Iterable<string>): RetainedTree<string> {
  const tree = new RetainedTree<string>();
  for (const topic of topics) tree.set(topic, `value of ${topic}`);
  return tree;
}

function topicsOf(tree: RetainedTree<string>, filter: string): string[] {
  return Array.from(tree.match(filter), ([topic]) => topic).sort();
}

// MQTT-3.3.1-5, MQTT-3.3.1-10
test('a topic has the value set last, until it is deleted', () => {
  const tree = new RetainedTree<string>();
  assert.equal(tree.get('a'), undefined);
  assert.equal(tree.set('a', 'one'), undefined);
  assert.equal(tree.set('a', 'two'), 'one');
  assert.equal(tree.set('a/b', 'three'), undefined);
  assert.deepEqual([tree.count, tree.get('a'), tree.get('a/b')], [2, 'two', 'three']);
  assert.equal(tree.delete('a'), 'two');
  assert.equal(tree.delete('a'), undefined);
  assert.deepEqual([tree.count, tree.get('a'), tree.get('a/b')], [1, undefined, 'three']);
});

// MQTT-3.3.1-6, MQTT-4.7.2-1
test('# finds its parent, + an empty level, and a first wildcard no $ topic', () => {
  const tree = treeOf(['a', 'a/b', 'a/b/c', '/a', 'a/', '/', '$SYS', '$SYS/a', '$SYS/a/b']);
  assert.deepEqual(topicsOf(tree, '#'), ['/', '/a', 'a', 'a/', 'a/b', 'a/b/c']);
  assert.deepEqual(topicsOf(tree, 'a/#'), ['a', 'a/', 'a/b', 'a/b/c']);
  assert.deepEqual(topicsOf(tree, '+'), ['a']);
  assert.deepEqual(topicsOf(tree, '+/+'), ['/', '/a', 'a/', 'a/b']);
  assert.deepEqual(topicsOf(tree, '+/b/#'), ['a/b', 'a/b/c']);
  assert.deepEqual(topicsOf(tree, '$SYS/#'), ['$SYS', '$SYS/a', '$SYS/a/b']);
  assert.deepEqual(topicsOf(tree, '$SYS/+/b'), ['$SYS/a/b']);
  assert.deepEqual(topicsOf(tree, 'a/b'), ['a/b']);
  assert.deepEqual(topicsOf(tree, 'b/#'), []);
});

test('a $ topic that is alone is not found by a first wildcard either', () => {
  const tree = treeOf(['$SYS/a']);
  assert.deepEqual(topicsOf(tree, '#'), []);
  assert.deepEqual(topicsOf(tree, '+/a'), []);
  assert.deepEqual(topicsOf(tree, '$SYS/+'), ['$SYS/a']);
});

test('any filter finds the topics that the plain matcher finds, each once, with its value', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(topicKey, { maxLength: 60, size: 'max' }),
      fc.array(topicKey, { maxLength: 20, size: 'max' }),
      fc.array(filterKey, { minLength: 1, maxLength: 10 }),
      (topics, deleted, filters) => {
        const tree = treeOf(topics);
        for (const topic of deleted) tree.delete(topic);
        const left = topics.filter((topic) => !deleted.includes(topic));
        assert.equal(tree.count, left.length);
        for (const filter of filters) {
          const expected = left.filter((topic) => matches(filter, topic)).sort();
          assert.deepEqual(topicsOf(tree, filter), expected, filter);
          for (const [topic, value] of tree.match(filter)) assert.equal(value, `value of ${topic}`);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('while a match is left, topics may come and go, and those left alone come once', () => {
  const change = fc.record({ topicKey, isSet: fc.boolean() });
  const pause = fc.array(change, { maxLength: 6 });
  fc.assert(
    fc.property(
      fc.uniqueArray(topicKey, { maxLength: 40, size: 'max' }),
      filterKey,
      fc.array(pause, { maxLength: 20, size: 'max' }),
      fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY),
      (topics, filter, pauses, stepsMax) => {
        const tree = treeOf(topics);
        const model = new Map(topics.map((topic) => [topic, `value of ${topic}`]));
        const untouched = new Set(topics.filter((topic) => matches(filter, topic)));
        const found: string[] = [];
        let paused = 0;
        for (const match of tree.match(filter, stepsMax)) {
          if (match !== null) {
            // What comes is there, now.
            assert.equal(model.get(match[0]), match[1]);
            assert.ok(matches(filter, match[0]));
            found.push(match[0]);
          }
          for (const { topicKey, isSet } of pauses[paused++] ?? []) {
            untouched.delete(topicKey);
            if (isSet) {
              model.set(topicKey, `new value ${paused}`);
              tree.set(topicKey, `new value ${paused}`);
            } else {
              model.delete(topicKey);
              tree.delete(topicKey);
            }
          }
        }
        // Those touched may come or not, even twice if they left and came back.
        const once = found.filter((topic) => untouched.has(topic)).sort();
        assert.deepEqual(once, [...untouched].sort());
      },
    ),
    { numRuns: 1_000 },
  );
});

test('the first of many topics comes without the others being looked at', () => {
  const tree = new RetainedTree<number>();
  for (let i = 0; i < 100_000; i++) tree.set(`site/${i}/temperature`, i);
  let steps = 0;
  for (const match of tree.match('site/+/temperature', 1)) {
    steps++;
    if (match !== null) break;
  }
  assert.ok(steps < 10, `${steps} steps`);
});

test('a match that finds nothing stops for breath after every stepsMax levels', () => {
  const tree = new RetainedTree<number>();
  for (let i = 0; i < 10_000; i++) tree.set(`${i}/temperature`, i);
  const breaths = [...tree.match('+/pressure', 100)];
  assert.ok(breaths.every((match) => match === null));
  assert.ok(breaths.length >= 100 && breaths.length <= 102, `${breaths.length} breaths`);
  assert.deepEqual([...tree.match('+/pressure')], []);
});

test('a match outlives the deletion of everything it walks through', () => {
  const topics = Array.from({ length: 1_000 }, (_, i) => `a/${i % 10}/${i}/x`);
  const tree = treeOf(topics);
  const match = tree.match('a/+/#');
  for (let i = 0; i < 500; i++) assert.equal(match.next().done, false);
  for (const topic of topics) tree.delete(topic);
  tree.set('a/new', 'value');
  assert.equal(tree.count, 1);
  assert.ok([...match].length <= 1);
});
