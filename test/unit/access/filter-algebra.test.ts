import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { covers, intersect, overlap } from '../../../src/access/filter-algebra.js';
import { isValidTopicFilter, matches } from '../../../src/topics/topic.js';
import { filterKey } from '../topics/arbitraries.js';

/** Every topic of one to four levels of these names: enough to tell the filters of below apart. */
const NAMES = ['a', 'b', 'c', '', '$SYS'];
const topics: string[] = [];
for (let level = 0, longest = ['']; level < 4; level++) {
  longest = longest.flatMap((front) =>
    NAMES.map((name) => (level === 0 ? name : `${front}/${name}`)),
  );
  topics.push(...longest.filter((topic) => topic !== ''));
}
const level = fc.constantFrom('a', 'b', '', '+', '$SYS');
const shortFilter = fc
  .tuple(fc.array(level, { maxLength: 3 }), fc.constantFrom('a', '', '+', '#'))
  .map(([front, last]) => [...front, last].join('/'))
  .filter((filter) => isValidTopicFilter(filter));

function topicsOf(filter: string): string[] {
  return topics.filter((topic) => matches(filter, topic));
}

test('what two filters have in common is the filter of the topics that both match', () => {
  fc.assert(
    fc.property(shortFilter, shortFilter, (one, other) => {
      const common = intersect(one, other);
      const both = topicsOf(one).filter((topic) => matches(other, topic));
      assert.deepEqual(common === null ? [] : topicsOf(common), both);
      assert.equal(overlap(one, other), common !== null);
      if (common !== null) assert.ok(isValidTopicFilter(common), common);
    }),
    { numRuns: 3_000 },
  );
});

test('a filter covers another when it matches every topic of it', () => {
  fc.assert(
    fc.property(shortFilter, shortFilter, (outer, inner) => {
      // What would match it too is the empty topic, which is none.
      fc.pre(inner !== '/#');
      const isCovered = topicsOf(inner).every((topic) => matches(outer, topic));
      assert.equal(covers(outer, inner), isCovered);
    }),
    { numRuns: 3_000 },
  );
});

test('filters of any length overlap each other, or do not, the same way around', () => {
  fc.assert(
    fc.property(filterKey, filterKey, (one, other) => {
      assert.equal(overlap(one, other), intersect(one, other) !== null);
      assert.equal(overlap(one, other), overlap(other, one));
      assert.ok(overlap(one, one) && covers(one, one));
    }),
  );
});
