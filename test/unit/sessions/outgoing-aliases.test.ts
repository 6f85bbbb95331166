import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutgoingAliases } from '../../../src/sessions/outgoing-aliases.js';

/** Aliases of these topics in turn, negative where the client has to be told the topic with it. */
function given(aliases: OutgoingAliases, topics: readonly string[]): number[] {
  return topics.map((topic) => {
    const alias = aliases.aliasOf(topic);
    return aliases.isKnown ? alias : -alias;
  });
}

test('a topic that comes again gets an alias, told with the topic once', () => {
  const aliases = new OutgoingAliases(10);
  assert.deepEqual(given(aliases, ['a', 'b', 'a', 'a', 'b', 'b', 'c']), [-0, -0, -1, 1, -2, 2, -0]);
});

// [MQTT-3.1.2-26]
test('no alias is above the maximum of the client', () => {
  const aliases = new OutgoingAliases(2);
  const topics = Array.from({ length: 300 }, (_, at) => `t/${(at * 7) % 5}`);
  for (const alias of given(aliases, topics)) assert.ok(Math.abs(alias) <= 2);
});

test('a topic that comes often keeps its alias beside many that come twice', () => {
  const aliases = new OutgoingAliases(1);
  given(aliases, ['often', 'often']);
  for (let at = 0; at < 100; at++) {
    assert.deepEqual(given(aliases, [`t/${at}`, `t/${at}`, 'often', 'often']), [-0, -0, 1, 1]);
  }
});

test('an alias that is not used any more goes to a topic that is', () => {
  const aliases = new OutgoingAliases(1);
  given(aliases, ['old', 'old', 'old', 'old']);
  const got = given(
    aliases,
    Array.from({ length: 20 }, () => 'new'),
  );
  assert.deepEqual(got.slice(-3), [1, 1, 1]);
  assert.equal(aliases.aliasOf('old'), 0);
});
