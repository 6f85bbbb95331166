import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { CLIENT_ID, ModelNet } from './model-net.js';

// What had come of the session was ended, and the claim told off with it: the directory forgot a
// client that was connected, and gave its id to a second one [MQTT-3.1.4-2].
test('a client whose session dies on its way here keeps its client id', async () => {
  const providers: TopicsProvider<Session, RetainedMessage>[] = [];
  for (let shard = 0; shard < 3; shard++) providers.push(await createTopicsProvider('mem'));
  const net = new ModelNet(3, () => providers.pop()!);
  const [holder, claimer, third] = net.shards;
  net.connect(holder!);
  net.settle();
  net.connect(claimer!);
  while (claimer!.store.get(CLIENT_ID) === undefined) net.steps()[0]();
  net.die(holder!.index);
  net.settle();
  assert.equal(net.client.connection?.shard, claimer);
  assert.equal(net.directory.holderOf(CLIENT_ID), claimer!.index);
  // And it can be taken over like any other.
  net.connect(third!);
  net.settle();
  assert.equal(net.client.connection?.shard, third);
  assert.equal(claimer!.store.get(CLIENT_ID), undefined);
  assert.equal(net.directory.claimCount, 1);
});
