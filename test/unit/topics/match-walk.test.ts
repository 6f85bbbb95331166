/** Matches that are left before their end, and gone on with while filters come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FilterIndex, UNFINISHED } from '../../../src/topics/filter-index.js';
import type { MatchWalk } from '../../../src/topics/match-walk.js';
import {
  MatchResult,
  type Subscriber,
  SubscriptionTree,
} from '../../../src/topics/subscription-tree.js';
import { matches } from '../../../src/topics/topic.js';
import { filterKey, topicKey } from './arbitraries.js';

const LEVELS = 12;

/** All filters of LEVELS levels that are `a` or `+`: every one of their nodes is on the way. */
function everyFilter(last: string): string[] {
  return Array.from({ length: 2 ** LEVELS }, (_, bits) => {
    const levels = Array.from({ length: LEVELS }, (_, at) => ((bits >> at) & 1 ? '+' : 'a'));
    return [...levels, last].join('/');
  });
}

const changes = fc.array(fc.nat(39), { maxLength: 6 });

test('a match left again and again finds what matches at its end, whatever came and went', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(filterKey, { minLength: 40, maxLength: 40, size: 'max' }),
      fc.array(fc.record({ topicKey, stepsMax: fc.integer({ min: 1, max: 4 }) }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.array(changes, { minLength: 1, maxLength: 30, size: 'max' }),
      (filters, begun, rounds) => {
        const index = new FilterIndex();
        const idOf = new Map<string, number>();
        for (const filter of filters.slice(0, 25)) idOf.set(filter, index.add(filter));
        const check = (topic: string, ids: number[], count: number): void => {
          const found = ids.slice(0, count).map((id) => index.keyOf(id));
          const expected = [...idOf.keys()].filter((filter) => matches(filter, topic));
          assert.deepEqual(found.sort(), expected.sort(), topic);
        };
        const ids: number[] = [];
        const left: { walk: MatchWalk; stepsMax: number }[] = [];
        for (const { topicKey: topic, stepsMax } of begun) {
          const count = index.match(topic, ids, stepsMax);
          if (count === UNFINISHED) left.push({ walk: index.leave(), stepsMax });
          else check(topic, ids, count);
        }
        for (let round = 0; left.length > 0; round++) {
          for (const at of rounds[round] ?? []) {
            const filter = filters[at]!;
            const id = idOf.get(filter);
            if (id === undefined) idOf.set(filter, index.add(filter));
            else index.remove(id);
            if (id !== undefined) idOf.delete(filter);
          }
          const next = left.shift()!;
          const count = index.resume(next.walk, ids, next.stepsMax);
          if (count === UNFINISHED) left.push(next);
          else check(next.walk.topicKey, ids, count);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a match of a topic that thousands of filters lead to takes no more steps than it may', () => {
  const index = new FilterIndex();
  const filters = everyFilter('x');
  for (const filter of filters) index.add(filter);
  const topic = `${'a/'.repeat(LEVELS)}x`;
  const ids: number[] = [];
  assert.equal(index.match(topic, ids, 100), UNFINISHED);
  const walk = index.leave();
  let count = UNFINISHED;
  let parts = 1;
  while (count === UNFINISHED) {
    const before = index.steps;
    count = index.resume(walk, ids, 100);
    assert.ok(index.steps - before <= 102, `${index.steps - before}`);
    parts++;
  }
  assert.ok(parts > 80, `${parts}`);
  assert.deepEqual(
    ids
      .slice(0, count)
      .map((id) => index.keyOf(id))
      .sort(),
    filters.sort(),
  );
});

test('many matches are left at once, and one given up is of no consequence', () => {
  const tree = new SubscriptionTree<Subscriber>();
  const subscriber = { matchIndex: 0 };
  for (const filter of everyFilter('+')) tree.subscribe(filter, subscriber, 1);
  const topicOf = (last: number) => `${'a/'.repeat(LEVELS)}${last}`;
  const result = new MatchResult<Subscriber>();
  const walks = Array.from({ length: 10 }, (_, last) =>
    tree.matchWithin(topicOf(last), result, 10 + last),
  );
  tree.abandonMatch(walks[3]!);
  for (const [last, walk] of walks.entries()) {
    if (last === 3) continue;
    while (!tree.resumeMatch(walk!, result, 500)) assert.equal(result.count, last === 0 ? 0 : 1);
    assert.deepEqual(
      [result.count, result.subscribers[0], result.grants[0]! & 3],
      [1, subscriber, 1],
    );
  }
  assert.equal(tree.matchWithin('a', result, 10), null);
  assert.equal(result.count, 0);
});

test('who ends a subscription while a match is left is not found, who makes one is', () => {
  const tree = new SubscriptionTree<Subscriber>();
  const [stays, goes, comes] = Array.from({ length: 3 }, () => ({ matchIndex: 0 }));
  for (const filter of everyFilter('+')) {
    tree.subscribe(filter, stays!, 0);
    tree.subscribe(filter, goes!, 0);
  }
  const topic = `${'a/'.repeat(LEVELS)}x`;
  const result = new MatchResult<Subscriber>();
  const walk = tree.matchWithin(topic, result, 4_000)!;
  for (const filter of everyFilter('+')) tree.unsubscribe(filter, goes!);
  tree.subscribe('a/#', comes!, 2);
  tree.subscribe(topic, comes!, 0);
  while (!tree.resumeMatch(walk, result, 4_000));
  const found = result.subscribers.slice(0, result.count);
  assert.deepEqual(new Set(found), new Set([stays, comes]));
  assert.equal(result.grants[found.indexOf(comes!)]! & 3, 2);
});
