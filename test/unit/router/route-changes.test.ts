import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import {
  ROUTE_CACHE_TOPIC_BYTES_MAX,
  ROUTE_CHANGES_KEPT,
  TOPIC_LEVELS_MAX,
} from '../../../src/base/limits.js';
import { RouteChanges } from '../../../src/router/route-changes.js';

describe('the changes of wildcard filters', () => {
  let changes: RouteChanges;
  let last: number;
  beforeEach(() => {
    changes = new RouteChanges();
    last = 0;
  });

  function note(filterKey: string, times = 1): void {
    for (let n = 0; n < times; n++) changes.note(++last, filterKey);
  }

  test('spare the topics that none of them matches, since any of them', () => {
    note('a/+');
    note('b/#');
    assert.equal(changes.haveSpared('c', 0, last), true);
    assert.equal(changes.haveSpared('a/x', 0, last), false);
    assert.equal(changes.haveSpared('a/x', 1, last), true);
    assert.equal(changes.haveSpared('b', 1, last), false);
    assert.equal(changes.haveSpared('b', 2, last), true);
  });

  test('spare nothing when the first of them is not known any more', () => {
    note('a/+');
    note('b/+', ROUTE_CHANGES_KEPT - 1);
    assert.equal(changes.haveSpared('c', 0, last), true);
    assert.equal(changes.haveSpared('a/x', 0, last), false);
    note('b/+');
    assert.equal(changes.haveSpared('a/x', 0, last), false);
    assert.equal(changes.haveSpared('a/x', 1, last), true);
  });

  test('need not be kept where a filter is too long for any topic that is cached', () => {
    const topic = 'x'.repeat(ROUTE_CACHE_TOPIC_BYTES_MAX);
    note(`${topic}/#`);
    assert.equal(changes.haveSpared(topic, 0, last), false);
    const levels = '/'.repeat(TOPIC_LEVELS_MAX - 1);
    note(`${levels.replaceAll('/', '+/')}+/#`);
    assert.equal(changes.haveSpared(levels, 1, last), false);
    note(`${topic}${'x'.repeat(TOPIC_LEVELS_MAX + 3)}`);
    assert.equal(changes.haveSpared(topic, 2, last), true);
  });
});
