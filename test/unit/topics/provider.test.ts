import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTopicsProvider } from '../../../src/topics/provider.js';
import {
  MatchResult,
  type Subscriber,
  Unsubscribed,
} from '../../../src/topics/subscription-tree.js';

test('mem holds subscriptions, the interest of shards, and retained values', async () => {
  const topics = await createTopicsProvider<Subscriber, string>('mem');
  const [one, two] = [{ matchIndex: 0 }, { matchIndex: 0 }];
  assert.equal(topics.subscribe('a/+', one, 1), true);
  assert.equal(topics.subscribe('a/+', two, 0), false);
  topics.addShard('a/b', 4);
  topics.addShard('a/#', 5);
  assert.deepEqual([topics.filterCount, [...topics.localFilters()]], [3, ['a/+']]);
  const result = new MatchResult<Subscriber>();
  topics.match('a/b', result);
  assert.deepEqual([result.count, result.shardMask], [2, 0b110000]);
  topics.removeShard('a/b', 4);
  while (!topics.removeShardEverywhere(5).next().done);
  assert.equal(topics.unsubscribe('a/+', one), Unsubscribed.removed);
  assert.equal(topics.unsubscribe('a/+', two), Unsubscribed.last);
  assert.equal(topics.filterCount, 0);

  assert.equal(topics.setRetained('a/b', 'one'), undefined);
  assert.equal(topics.setRetained('a/b', 'two'), 'one');
  assert.deepEqual([topics.retainedCount, topics.getRetained('a/b')], [1, 'two']);
  assert.deepEqual([...topics.matchRetained('a/+')], [['a/b', 'two']]);
  assert.deepEqual([...topics.matchRetained('+/x', 1)], [null, null]);
  assert.equal(topics.deleteRetained('a/b'), 'two');
  assert.equal(topics.retainedCount, 0);
  await topics.close();
});

test('every shard gets a provider of its own', async () => {
  const one = await createTopicsProvider<Subscriber, string>('mem');
  const two = await createTopicsProvider<Subscriber, string>('mem');
  one.setRetained('a', 'value');
  assert.equal(two.getRetained('a'), undefined);
});
