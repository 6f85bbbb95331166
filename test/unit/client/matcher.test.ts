/** The exported matcher: the specification's own examples, and what it refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArgumentError, compileFilter, matches } from '../../../src/client/index.js';

// [MQTT-4.7.1-1] to [MQTT-4.7.3-4] and the examples of sections 4.7.1.2 to 4.7.2.
const CASES: readonly [string, string, boolean][] = [
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/#', 'sport', true],
  ['sport/#', 'sports', false],
  ['#', 'sport/tennis', true],
  ['sport/tennis/+', 'sport/tennis/player1', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+', '/finance', false],
  ['+/tennis/#', 'sport/tennis', true],
  ['#', '$SYS/x', false],
  ['+/monitor/Clients', '$SYS/monitor/Clients', false],
  ['$SYS/#', '$SYS/', true],
  ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
  ['a/+/c', 'a/$x/c', true],
  ['ACCOUNTS', 'Accounts', false],
  ['a', 'a', true],
  ['a//b', 'a/b', false],
  ['größe/+', 'größe/😀', true],
  ['größe', 'grosse', false],
];
test('the specification examples', () => {
  for (const [filter, topic, expected] of CASES) {
    assert.equal(matches(filter, topic), expected, `${filter} and ${topic}`);
    assert.equal(compileFilter(filter)(topic), expected, `${filter} and ${topic}`);
  }
});

test('what is no filter or no topic name is refused', () => {
  for (const filter of ['', 'a#', '#/a', 'a+', 'a\0', 3, undefined]) {
    assert.throws(() => compileFilter(filter as string), ArgumentError, String(filter));
  }
  for (const topic of ['', 'a/+', '#', 'a\0', '\ud800', 3, undefined]) {
    assert.throws(() => matches('#', topic as string), ArgumentError, String(topic));
  }
});
