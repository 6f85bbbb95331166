/** Walks over sorted topics, against the matcher that reads as section 4.7 does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { behindTopic, FilterRange } from '../../../src/topics/filter-range.js';
import { matches } from '../../../src/topics/topic.js';
import { filterKey, oddTopicKey, topicKey } from './arbitraries.js';

/** Sorted as bytes are: keys are latin1. */
function sorted(topics: Iterable<string>): string[] {
  return [...topics].sort((a, b) => (a < b ? -1 : 1));
}

/** Topics found by going on where the range says, and how many were looked at. */
function walk(topics: readonly string[], filter: string): { found: string[]; looks: number } {
  const range = new FilterRange(filter);
  const found: string[] = [];
  let from: string | null = range.start;
  for (let looks = 0; ; looks++) {
    const at = from;
    const topic = at === null ? undefined : topics.find((each) => each >= at);
    if (topic === undefined) return { found, looks };
    if (range.admits(topic)) {
      found.push(topic);
      from = behindTopic(topic);
    } else {
      assert.ok(range.next === null || range.next > topic, `${filter} goes on from ${topic}`);
      from = range.next;
    }
  }
}

// MQTT-4.7.1-2, MQTT-4.7.1-3, MQTT-4.7.2-1
test('any filter finds the topics that the plain matcher finds, in order, each once', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.oneof(topicKey, oddTopicKey), { maxLength: 80, size: 'max' }),
      fc.array(fc.oneof(filterKey, oddTopicKey), { minLength: 1, maxLength: 12 }),
      (given, filters) => {
        const topics = sorted(given);
        for (const filter of filters) {
          const expected = topics.filter((topic) => matches(filter, topic));
          assert.deepEqual(walk(topics, filter).found, expected, filter);
        }
      },
    ),
    { numRuns: 3_000 },
  );
});

test('topics whose order is not that of their levels are all found', () => {
  const topics = sorted(['a', 'a!', 'a!b', 'a!/b', 'a/', 'a/b', 'a/b!', 'a/b/c', 'a0', 'ab', 'b']);
  assert.deepEqual(walk(topics, 'a/#').found, ['a', 'a/', 'a/b', 'a/b!', 'a/b/c']);
  assert.deepEqual(walk(topics, '+/b').found, ['a!/b', 'a/b']);
  assert.deepEqual(walk(topics, '+').found, ['a', 'a!', 'a!b', 'a0', 'ab', 'b']);
  assert.deepEqual(walk(topics, 'a/+/c').found, ['a/b/c']);
});

test('what cannot match is passed by', () => {
  const device = (site: number, n: number) => `site/${site}/device/${n}/state`;
  const topics: string[] = [];
  for (let site = 0; site < 10; site++) {
    for (let n = 0; n < 20; n++)
      topics.push(device(site, n), `$site/${site}/${n}`, `x/${site}/${n}`);
  }
  const all = sorted(topics);
  const looks = (filter: string) => walk(all, filter).looks;
  assert.equal(looks('site/3/device/7/state'), 2);
  assert.equal(looks('none/#'), 1);
  // One topic of each site says that there is no other.
  assert.equal(looks('site/+/other/#'), 11);
  assert.equal(looks('+/3/device/7/state'), 8);
  assert.equal(looks('$site/+'), 11);
  // All that begin with `$` are passed at once.
  assert.equal(looks('+/0/device/0/none'), 4);
});
