/** Sessions that expire while their client comes back on another shard: see model-net.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { CLIENT_ID, ModelNet } from './model-net.js';

type Topics = TopicsProvider<Session, RetainedMessage>;
const SHARDS = 3;

async function quietNet(): Promise<ModelNet> {
  const providers: Topics[] = [];
  for (let n = 0; n < SHARDS; n++) providers.push(await createTopicsProvider('mem'));
  const net = new ModelNet(SHARDS, () => providers.pop()!);
  net.connect(net.shards[0]!);
  net.settle();
  return net;
}

/** Shards that have the session. */
function holders(net: ModelNet): number[] {
  const held = net.ready.filter((shard) => shard.store.get(CLIENT_ID) !== undefined);
  return held.map((shard) => shard.index);
}

/** Sessions whose end is set, on all shards. */
function deadlines(net: ModelNet): number {
  return net.ready.reduce((sum, shard) => sum + shard.deadlines.size, 0);
}

/** Does one of the things that can happen now. */
function act(net: ModelNet, choice: number): void {
  const steps = net.steps();
  const shard = net.ready[(choice >>> 8) % SHARDS];
  const kind = choice & 0xff;
  if (kind < 150 && steps.length > 0) steps[(choice >>> 8) % steps.length]();
  else if (kind < 180) net.publish(shard, 1 + (kind & 1));
  else if (kind < 200) net.client.acknowledge();
  else if (kind < 215) net.connect(shard);
  else if (kind < 235) net.client.connection?.close();
  else shard.expire();
}

describe('a session that expires', () => {
  test('is gone from its shard and from the directory', async () => {
    const net = await quietNet();
    net.client.connection!.close();
    net.settle();
    assert.deepEqual(holders(net), [0]);
    net.shards[0]!.expire();
    net.settle();
    assert.deepEqual(holders(net), []);
    assert.equal(net.directory.holderOf(CLIENT_ID), -1);
    assert.equal(net.directory.claimCount, 0);
  });

  test('does not while its client is there', async () => {
    const net = await quietNet();
    net.shards[0]!.expire();
    net.settle();
    assert.deepEqual(holders(net), [0]);
    assert.equal(deadlines(net), 0);
  });

  // The client is back: the primary has granted it the session, and its holder has been asked for
  // it when the time is over.
  test('does not on its way to another shard', async () => {
    const net = await quietNet();
    net.client.connection!.close();
    net.publish(net.shards[0]!, 3);
    net.settle();
    const back = net.connect(net.shards[1]!);
    const holder = net.shards[0]!;
    const isAsked = () => holder.fromPrimary.some(({ kind }) => kind === 'release');
    for (let wasAsked = false; !wasAsked || isAsked(); wasAsked ||= isAsked()) {
      net.steps()[0]();
    }
    assert.deepEqual(holders(net), [0]);
    holder.expire();
    net.settle();
    assert.equal(net.client.connection, back);
    assert.equal(net.client.expected[0], 3);
  });

  test('whatever happens at the same moment, ends once and leaves nothing behind', async () => {
    const choices = fc.array(fc.nat({ max: 0xff_ffff }), { maxLength: 150, size: 'max' });
    const property = fc.asyncProperty(choices, async (list) => {
      const net = await quietNet();
      net.client.mayBeginAnew = true;
      for (const choice of list) act(net, choice);
      net.settle();
      const last = net.connect(net.ready[SHARDS - 1]);
      net.settle();
      assert.equal(net.client.connection, last, 'the last CONNECT got its session');
      assert.deepEqual([...net.client.open], [last], '[MQTT-3.1.4-2]');
      assert.deepEqual(holders(net), [last.shard.index], 'one shard has the session');
      assert.equal(net.directory.holderOf(CLIENT_ID), last.shard.index);
      assert.equal(net.directory.claimCount, 1);
      assert.equal(deadlines(net), 0);
      for (const shard of net.ready) net.publish(shard, 2);
      net.settle();
      while (net.client.unacknowledged.size > 0) net.client.acknowledge();
      assert.deepEqual(net.client.expected, net.published);
      last.close();
      net.settle();
      assert.equal(deadlines(net), 1);
      last.shard.expire();
      net.settle();
      assert.deepEqual(holders(net), []);
      assert.equal(net.directory.claimCount, 0);
      assert.equal(net.directory.size, 0);
    });
    await fc.assert(property, { numRuns: 400, endOnFailure: true });
  });
});
