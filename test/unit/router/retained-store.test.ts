/** The retained store of one shard, and the share of the limits that it keeps to. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Counter, Counters } from '../../../src/base/counters.js';
import { RetainedInMemory } from '../../../src/router/retained-in-memory.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { RetainedStore, retainedShare } from '../../../src/router/retained-store.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { toTopicKey } from '../../../src/topics/topic.js';
import { publish } from '../../support/packets.js';

describe('a retained store', () => {
  let topics: TopicsProvider<Session, RetainedMessage>;
  let counters: Counters;
  let store: RetainedStore;

  async function makeStore(maxRetainedMessages: number, maxRetainedBytes: number): Promise<void> {
    topics = await createTopicsProvider('mem');
    counters = new Counters();
    store = new RetainedStore(new RetainedInMemory(topics), counters, {
      maxRetainedMessages,
      maxRetainedBytes,
    });
  }

  /** The frame of a retained message. Of a topic of one character: 5 bytes and the payload's. */
  function frame(topic: string, payload: string): Buffer {
    return publish({ topic, payload, retain: true });
  }

  function retain(topic: string, ...payloads: string[]): void {
    const run = Buffer.concat(payloads.map((payload) => frame(topic, payload)));
    store.store(toTopicKey(topic), run, 0, run.length, 0x31);
  }

  function kept(): string[] {
    return [...topics.matchRetained('#')]
      .map(([topic, message]) => `${topic}=${message.slice(5)}`)
      .sort();
  }

  function figures(): { messages: number; bytes: number; dropped: number } {
    return {
      messages: counters.get(Counter.retainedMessages),
      bytes: counters.get(Counter.retainedBytes),
      dropped: counters.get(Counter.droppedRetained),
    };
  }

  test('keeps nothing that takes more memory while that is short', async () => {
    await makeStore(10, 1_000);
    const memory = { isShort: false };
    const share = { maxRetainedMessages: 10, maxRetainedBytes: 1_000 };
    store = new RetainedStore(new RetainedInMemory(topics), counters, share, memory);
    for (const topic of ['a', 'b', 'c', 'd']) retain(topic, '11');
    memory.isShort = true;
    retain('new', '1');
    retain('a', '22');
    retain('b', '222');
    retain('c', '');
    assert.deepEqual(kept(), ['a=22', 'd=11']);
    assert.equal(figures().dropped, 2);
    memory.isShort = false;
    retain('b', '333');
    assert.deepEqual(kept(), ['a=22', 'b=333', 'd=11']);
  });

  describe('with room for two messages', () => {
    beforeEach(() => makeStore(2, 1_000));

    test('keeps no third topic, and counts it', () => {
      for (const topic of ['a', 'b', 'c']) retain(topic, '1');
      assert.deepEqual(kept(), ['a=1', 'b=1']);
      assert.deepEqual(figures(), { messages: 2, bytes: 12, dropped: 1 });
    });

    test('counts one refusal for a run, of which it would have kept one message', () => {
      retain('a', '1', '2', '3');
      retain('b', '1');
      retain('c', '1', '2', '3');
      assert.deepEqual(kept(), ['a=3', 'b=1']);
      assert.equal(figures().dropped, 1);
    });

    test('replaces what it has', () => {
      for (const topic of ['a', 'b', 'a']) retain(topic, topic.repeat(3));
      retain('b', 'new');
      assert.deepEqual(kept(), ['a=aaa', 'b=new']);
      assert.equal(figures().dropped, 0);
    });

    test('has room for a new topic once one was cleared', () => {
      for (const topic of ['a', 'b']) retain(topic, '1');
      retain('a', '');
      retain('c', '1');
      assert.deepEqual(kept(), ['b=1', 'c=1']);
      assert.deepEqual(figures(), { messages: 2, bytes: 12, dropped: 0 });
    });

    test('takes no notice of the clearing of a topic that it has not', () => {
      for (const topic of ['a', 'b']) retain(topic, '1');
      retain('c', '');
      assert.deepEqual(figures(), { messages: 2, bytes: 12, dropped: 0 });
    });
  });

  describe('with room for 20 bytes', () => {
    beforeEach(() => makeStore(1_000, 20));

    test('keeps what fits to the byte', () => {
      retain('a', '12345');
      retain('b', '123456');
      assert.deepEqual(kept(), ['a=12345']);
      retain('b', '12345');
      assert.deepEqual(kept(), ['a=12345', 'b=12345']);
      assert.deepEqual(figures(), { messages: 2, bytes: 20, dropped: 1 });
    });

    test('replaces a message by one for which its own bytes make room', () => {
      retain('a', '12345');
      retain('b', '12345');
      retain('a', 'abcde');
      assert.deepEqual(kept(), ['a=abcde', 'b=12345']);
      assert.equal(figures().dropped, 0);
    });

    // [MQTT-3.3.1-7]: what is no longer the last message of its topic must not be taken for it.
    test('has nothing of a topic whose newer message does not fit', () => {
      retain('a', '12345');
      retain('b', '12345');
      retain('a', '123456');
      assert.deepEqual(kept(), ['b=12345']);
      assert.deepEqual(figures(), { messages: 1, bytes: 10, dropped: 1 });
    });
  });

  test('with room for nothing keeps nothing', async () => {
    await makeStore(0, 1_000);
    retain('a', '1');
    assert.deepEqual(figures(), { messages: 0, bytes: 0, dropped: 1 });
  });
});

test('the shares of all shards together hold what the limits say, and hardly more', () => {
  const limits = { maxRetainedMessages: 10, maxRetainedBytes: 1_000 };
  assert.deepEqual(retainedShare(limits, 1), limits);
  assert.deepEqual(retainedShare(limits, 3), { maxRetainedMessages: 4, maxRetainedBytes: 334 });
  assert.deepEqual(retainedShare({ maxRetainedMessages: 1, maxRetainedBytes: 0 }, 32), {
    maxRetainedMessages: 1,
    maxRetainedBytes: 0,
  });
});
