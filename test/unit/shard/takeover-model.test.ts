/** Takeovers under every order of events that a random choice finds: see model-net.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { CLIENT_ID, FILTERS, ModelNet, type ModelShard } from './model-net.js';

type Topics = TopicsProvider<Session, RetainedMessage>;
const SHARDS = 3;
/** Shrinking a failure takes minutes: for that, give fast-check the seed and path it reports. */
const RUNS = { numRuns: 400, endOnFailure: true } as const;
const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };

/** Providers are made asynchronously, nets are not. */
const providers: Topics[] = [];
async function makeProviders(count: number): Promise<void> {
  for (let left = count; left > 0; left--) providers.push(await createTopicsProvider('mem'));
}

/** Somebody else's subscription on a shard comes or goes: it changes what peers send there. */
class Others {
  readonly #sessions = new Map<ModelShard, Session>();

  toggle(shard: ModelShard): void {
    const session = this.#sessions.get(shard);
    shard.isScheduled = true;
    if (session !== undefined) {
      this.#sessions.delete(shard);
      shard.registry.unsubscribe(session, 'a/+');
      return;
    }
    const other = new Session('other', 0, 4, 0, LIMITS, new AbsentQueues());
    this.#sessions.set(shard, other);
    shard.registry.subscribe(other, [['a/+', 0]], () => {});
  }
}

/** Does one of the things that can happen now. Things that are under way are the likelier ones. */
function act(net: ModelNet, others: Others, choice: number, isCleanAllowed = false): void {
  const steps = net.steps();
  const { ready } = net;
  const shard = ready[(choice >>> 8) % ready.length];
  const kind = choice & 0xff;
  if (kind < 160 && steps.length > 0) steps[(choice >>> 8) % steps.length]();
  else if (kind < 215) net.publish(shard, 1 + (kind & 1));
  else if (kind < 235) net.client.acknowledge();
  else if (kind < 244) net.connect(shard);
  else if (kind < 248) others.toggle(shard);
  else if (kind < 250) net.client.connection?.close();
  else if (kind < 252) net.connections.at(-1)?.close();
  else if (kind < 254) net.setRingFull(shard, (choice & 0x1_0000) !== 0);
  else if (isCleanAllowed) net.connect(shard, true);
}

/** A net with the client's session on shard 0, everything quiet. */
function quietNet(choices: readonly number[], others: Others): ModelNet {
  const net = new ModelNet(SHARDS, () => providers.pop()!);
  net.connect(net.shards[0]!);
  net.settle();
  for (const shard of net.ready) if ((choices[0] >>> shard.index) & 1) others.toggle(shard);
  net.settle();
  return net;
}

/** Connects once more, publishes once more everywhere, and gives the client all there is. */
function finish(net: ModelNet): void {
  for (const shard of net.ready) net.setRingFull(shard, false);
  net.settle();
  const last = net.connect(net.ready[net.ready.length - 1]);
  net.settle();
  assert.equal(net.client.connection, last, 'the last CONNECT got its session');
  assert.deepEqual([...net.client.open], [last], '[MQTT-3.1.4-2]');
  for (const shard of net.ready) net.publish(shard, 2);
  net.settle();
  while (net.client.unacknowledged.size > 0) net.client.acknowledge();
  assert.deepEqual(net.client.expected, net.published);
  const holders = net.ready.filter((shard) => shard.store.get(CLIENT_ID) !== undefined);
  assert.deepEqual(holders, [last.shard], 'one shard has the session');
  assert.equal(net.directory.holderOf(CLIENT_ID), last.shard.index);
  assert.equal(net.directory.claimCount, 1);
  assert.equal(last.session?.subscriptions.size, FILTERS.length);
  last.shard.registry.discard(last.session);
  const kept = net.ready.map(({ queuedTotal, registry: { absentQueues } }) => {
    return [queuedTotal.bytes, absentQueues.queuedMessages, absentQueues.inflightMessages];
  });
  const nothing = net.ready.map(() => [0, 0, 0]);
  assert.deepEqual(kept, nothing, 'no shard keeps anything of a session that has ended');
}

const choices = fc.array(fc.nat({ max: 0xff_ffff }), {
  minLength: 1,
  maxLength: 150,
  size: 'max',
});

describe('a session that moves between shards', () => {
  test('gets every message once and in order, whatever overtakes what', async () => {
    // [MQTT-4.6.0-6] order, [MQTT-3.1.4-2] one connection, [MQTT-3.1.2-4] the session goes on
    const property = fc.asyncProperty(choices, async (list) => {
      await makeProviders(SHARDS - providers.length);
      const others = new Others();
      const net = quietNet(list, others);
      for (const choice of list) act(net, others, choice);
      finish(net);
    });
    await fc.assert(property, RUNS);
  });

  test('is discarded by a clean session that comes in the middle', async () => {
    // [MQTT-3.1.2-6]
    const property = fc.asyncProperty(choices, async (list) => {
      await makeProviders(SHARDS - providers.length);
      const others = new Others();
      const net = quietNet(list, others);
      for (const choice of list) act(net, others, choice, true);
      finish(net);
    });
    await fc.assert(property, RUNS);
  });

  test('is lost with its shard at most, and neither stuck nor doubled', async () => {
    const deaths = fc.record({
      before: choices,
      between: choices,
      behind: choices,
      dead: fc.nat(2),
    });
    const property = fc.asyncProperty(deaths, async ({ before, between, behind, dead }) => {
      await makeProviders(SHARDS + 1 - providers.length);
      const others = new Others();
      const net = quietNet(before, others);
      for (const choice of before) act(net, others, choice);
      net.client.isLossAllowed = true;
      net.die(dead);
      for (const choice of between) act(net, others, choice);
      net.replace(dead);
      for (const choice of behind) act(net, others, choice);
      finish(net);
    });
    await fc.assert(property, RUNS);
  });
});
