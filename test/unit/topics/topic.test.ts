import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { STRING_BYTES_MAX, TOPIC_LEVELS_MAX } from '../../../src/base/limits.js';
import {
  beginsWithDollar,
  beginsWithWildcard,
  fromTopicKey,
  hasWildcard,
  isUtf8TopicBytes,
  isValidTopicFilter,
  isValidTopicName,
  matches,
  matchesTail,
  toTopicKey,
} from '../../../src/topics/topic.js';
import { filterKey, topicKey } from './arbitraries.js';

test('a topic key has one character for each byte of UTF-8, and gives the string back', () => {
  assert.equal(toTopicKey('a/é'), 'a/\u00c3\u00a9');
  assert.equal(toTopicKey('a/😀').length, 6);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.equal(fromTopicKey(toTopicKey(text)), text);
    }),
  );
});

// MQTT-1.5.3-3, MQTT-4.7.3-4
test('a leading U+FEFF is kept, and names that only look alike stay two', () => {
  assert.equal(fromTopicKey(toTopicKey('\ufeffa')), '\ufeffa');
  assert.notEqual(toTopicKey('\u00e9'), toTopicKey('e\u0301'));
  assert.equal(matches(toTopicKey('\u00e9'), toTopicKey('e\u0301')), false);
});

// MQTT-1.5.3-1, MQTT-1.5.3-2, MQTT-4.7.3-2
test('topic bytes must be UTF-8 without surrogates, overlong forms and NUL', () => {
  const isValid = (bytes: number[]) => {
    const buffer = Buffer.from([0xff, ...bytes, 0x00]);
    return isUtf8TopicBytes(buffer, 1, 1 + bytes.length);
  };
  const good: number[][] = [
    [],
    [0x61],
    [0xc3, 0xa9],
    [0xed, 0x9f, 0xbf],
    [0xee, 0x80, 0x80],
    [0xef, 0xbb, 0xbf],
    [0xf0, 0x9f, 0x98, 0x80],
    [0xf4, 0x8f, 0xbf, 0xbf],
  ];
  const bad: number[][] = [
    [0x61, 0x00, 0x62],
    [0x80],
    [0xc3],
    [0xc0, 0x80],
    [0xe0, 0x80, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xf4, 0x90, 0x80, 0x80],
    [0xfe],
  ];
  for (const bytes of good) assert.equal(isValid(bytes), true, bytes.join());
  for (const bytes of bad) assert.equal(isValid(bytes), false, bytes.join());
});

// MQTT-4.7.1-1, MQTT-3.3.2-2, MQTT-4.7.3-1, MQTT-4.7.3-2
test('a topic name has at least one character, no wildcard and no NUL', () => {
  for (const name of ['a', '/', '//', ' ', '/a', 'a/', 'a//b', '$SYS/x', 'Accounts payable']) {
    assert.equal(isValidTopicName(name), true, name);
  }
  for (const name of ['', '+', '#', 'a+', 'a/#', 'a/b#', 'a/+/b', 'a\0b', '\0']) {
    assert.equal(isValidTopicName(name), false, name);
  }
});

// MQTT-4.7.1-2, MQTT-4.7.1-3, MQTT-4.7.3-1, MQTT-4.7.3-2
test('in a filter # is alone in the last level and + is alone in any level', () => {
  const good = [
    'a',
    '/',
    '#',
    '+',
    'a/#',
    'a/+',
    '+/a',
    '/+',
    '+/',
    '/#',
    '+/+/#',
    'a/+/b',
    '$a/#',
  ];
  for (const filter of good) assert.equal(isValidTopicFilter(filter), true, filter);
  const bad = ['', 'a#', '#/', '#/a', 'a/#/b', '##', 'a/##', 'a+', '+a', 'a/+b', '++', '+#', '\0'];
  for (const filter of bad) assert.equal(isValidTopicFilter(filter), false, filter);
});

// MQTT-4.7.3-3
test('a name or filter has at most 65,535 bytes', () => {
  for (const isValid of [isValidTopicName, isValidTopicFilter]) {
    assert.equal(isValid('a'.repeat(STRING_BYTES_MAX)), true);
    assert.equal(isValid('a'.repeat(STRING_BYTES_MAX + 1)), false);
  }
});

test('a name or filter has at most TOPIC_LEVELS_MAX levels', () => {
  const most = '/'.repeat(TOPIC_LEVELS_MAX - 1);
  for (const isValid of [isValidTopicName, isValidTopicFilter]) {
    assert.equal(isValid(most), true);
    assert.equal(isValid(`${most}/`), false);
  }
});

test('generated names and filters are valid, and a name is a filter too', () => {
  fc.assert(
    fc.property(topicKey, filterKey, (topic, filter) => {
      assert.ok(isValidTopicName(topic) && isValidTopicFilter(topic) && isValidTopicFilter(filter));
      assert.equal(hasWildcard(topic), false);
      assert.equal(hasWildcard(filter), !isValidTopicName(filter));
    }),
  );
});

test('the first character tells wildcard filters and $ topics', () => {
  for (const filter of ['+', '#', '+/a']) assert.equal(beginsWithWildcard(filter), true, filter);
  for (const filter of ['a', '/+', 'a/#', '$']) assert.equal(beginsWithWildcard(filter), false);
  assert.equal(beginsWithDollar('$SYS'), true);
  for (const topic of ['a', '/$', 'a$']) assert.equal(beginsWithDollar(topic), false, topic);
});

/** Filter, topics it matches, topics it does not: the examples of section 4.7 first. */
const EXAMPLES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  // 4.7.1.2
  [
    'sport/tennis/player1/#',
    ['sport/tennis/player1', 'sport/tennis/player1/ranking'],
    ['sport/tennis'],
  ],
  ['sport/#', ['sport', 'sport/', 'sport/a/b'], ['sports', 'Sport']],
  ['#', ['a', '/', '//', 'a/b/c'], []],
  // 4.7.1.3
  [
    'sport/tennis/+',
    ['sport/tennis/player1', 'sport/tennis/'],
    ['sport/tennis/player1/ranking', 'sport/tennis'],
  ],
  ['sport/+', ['sport/'], ['sport', 'sport/a/b']],
  ['+/+', ['/finance'], ['finance']],
  ['/+', ['/finance', '/'], ['finance', '/finance/']],
  ['+', ['finance', ' '], ['/finance', 'finance/']],
  ['+/tennis/#', ['sport/tennis', 'sport/tennis/a'], ['tennis', 'a/b/tennis']],
  ['a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/b/c', 'a/b/c/']],
  // 4.7.3: levels may be empty, names differ by case and by a leading or trailing /
  ['ACCOUNTS', ['ACCOUNTS'], ['Accounts']],
  ['/a', ['/a'], ['a']],
  ['a/', ['a/'], ['a']],
  ['a//b', ['a//b'], ['a/b', 'a///b']],
];

// MQTT-4.7.3-4
test('a filter matches a topic level by level', () => {
  for (const [filter, matching, others] of EXAMPLES) {
    for (const topic of matching) assert.equal(matches(filter, topic), true, `${filter} ${topic}`);
    for (const topic of others) assert.equal(matches(filter, topic), false, `${filter} ${topic}`);
  }
});

// MQTT-4.7.2-1
test('a filter that begins with a wildcard matches no $ topic, another filter does', () => {
  for (const filter of ['#', '+', '+/monitor/Clients', '+/#']) {
    assert.equal(matches(filter, '$SYS/monitor/Clients'), false, filter);
    assert.equal(matches(filter, '$SYS'), false, filter);
  }
  for (const filter of ['$SYS/#', '$SYS/monitor/+', '$SYS/+/Clients', '$SYS/monitor/Clients']) {
    assert.equal(matches(filter, '$SYS/monitor/Clients'), true, filter);
  }
  assert.equal(matches('a/+', 'a/$SYS'), true);
  assert.equal(matches('#', 'a/$SYS'), true);
});

test('the quick comparison agrees with the plain one wherever it starts', () => {
  for (const [filter, matching, others] of EXAMPLES) {
    for (const topic of matching) assert.equal(matchesTail(filter, 0, topic, 0), true, filter);
    for (const topic of others) assert.equal(matchesTail(filter, 0, topic, 0), false, filter);
  }
  fc.assert(
    fc.property(filterKey, topicKey, topicKey, (filter, topic, prefix) => {
      const hides = beginsWithWildcard(filter) && beginsWithDollar(topic);
      if (!hides) assert.equal(matchesTail(filter, 0, topic, 0), matches(filter, topic));
      const after = prefix.length + 1;
      const isTailMatched = matchesTail(`${prefix}/${filter}`, after, `${prefix}/${topic}`, after);
      assert.equal(isTailMatched, matches(`x/${filter}`, `x/${topic}`));
      // One of them has ended where the other goes on.
      assert.equal(matchesTail(filter, 0, prefix, after), filter === '#');
      assert.equal(matchesTail(prefix, after, topic, 0), false);
      assert.equal(matchesTail(prefix, after, prefix, after), true);
    }),
    { numRuns: 1_000 },
  );
});
