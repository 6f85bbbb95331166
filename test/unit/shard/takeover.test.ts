/** Takeovers step by step, on the shards of model-net.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConnectionState } from '../../../src/connection/connection.js';
import { RecordKind } from '../../../src/router/records.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import type { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { CLIENT_ID, FILTERS, ModelNet } from './model-net.js';

type Topics = TopicsProvider<Session, RetainedMessage>;

/** Three shards; the client is connected to shard 0, and nothing is under way. */
async function makeNet(): Promise<ModelNet> {
  const topics: Topics[] = [];
  for (let left = 4; left > 0; left--) topics.push(await createTopicsProvider('mem'));
  const net = new ModelNet(3, () => topics.pop()!);
  net.connect(net.shards[0]!);
  net.settle();
  return net;
}

/** Lets everything happen but what `isHeldBack` names. */
function settleBut(net: ModelNet, isHeldBack: ModelNet['isHeldBack']): void {
  net.isHeldBack = isHeldBack;
  net.settle();
  net.isHeldBack = () => false;
}

describe('a takeover', () => {
  test('moves the session with what waits for it', async () => {
    // [MQTT-3.1.2-4], [MQTT-3.1.4-2]
    const net = await makeNet();
    const first = net.client.connection!;
    net.publish(net.shards[2]!, 3);
    net.settle();
    const second = net.connect(net.shards[1]!);
    net.settle();
    assert.equal(first.state, ConnectionState.closed);
    assert.equal(net.client.connection, second);
    assert.equal(net.shards[0]!.store.count, 0);
    assert.equal(net.shards[0]!.topics.filterCount, FILTERS.length, 'the other shard wants them');
    assert.deepEqual([...net.client.unacknowledged.values()], ['2:0', '2:1', '2:2']);
  });

  test('ends at once for a CONNECT whose connection is gone: the session stays', async () => {
    const net = await makeNet();
    net.connect(net.shards[1]!).close();
    net.settle();
    assert.equal(net.client.connection, null);
    assert.equal(net.directory.holderOf(CLIENT_ID), 1);
    net.publish(net.shards[2]!, 2);
    net.settle();
    net.connect(net.shards[2]!);
    net.settle();
    assert.deepEqual(net.client.expected, [0, 0, 2]);
  });

  test('waits for a ring that the new holder is behind with', async () => {
    const net = await makeNet();
    const second = net.connect(net.shards[1]!);
    settleBut(net, (from, to) => from === 2 && to === 1);
    assert.equal(second.state, ConnectionState.connecting);
    net.settle();
    assert.equal(second.state, ConnectionState.open);
  });

  test('begins a new session when the holder dies, and the client id stays taken', async () => {
    // [MQTT-3.1.4-2]: the next CONNECT has to find this one
    const net = await makeNet();
    const second = net.connect(net.shards[1]!);
    settleBut(net, (from, to) => from === 2 && to === 0);
    assert.equal(second.state, ConnectionState.connecting, 'the old holder waits for shard 2');
    net.client.isLossAllowed = true;
    net.die(0);
    net.settle();
    assert.equal(second.state, ConnectionState.open);
    assert.equal(net.directory.holderOf(CLIENT_ID), 1);
    const third = net.connect(net.shards[2]!);
    net.settle();
    assert.equal(second.state, ConnectionState.closed);
    assert.equal(net.client.connection, third);
  });

  test('keeps a session that came whole before its former holder died', async () => {
    const net = await makeNet();
    net.publish(net.shards[0]!, 2);
    const second = net.connect(net.shards[1]!);
    const { handoverCutDone } = RecordKind;
    settleBut(net, (from, to, kind) => from === 2 && to === 1 && kind === handoverCutDone);
    assert.equal(second.state, ConnectionState.connecting);
    net.die(0);
    net.settle();
    assert.equal(second.state, ConnectionState.open);
    assert.equal(second.session?.subscriptions.size, FILTERS.length);
    assert.deepEqual([...net.client.unacknowledged.values()], ['0:0', '0:1']);
  });

  test('goes on with the successor of a shard that died meanwhile', async () => {
    const net = await makeNet();
    net.die(2);
    net.settle();
    const second = net.connect(net.shards[1]!);
    // Shard 1 announces itself to shard 0 before it knows of the successor, which 0 knows already.
    settleBut(net, (from, to) => from === 1 && to === 0);
    net.replace(2);
    net.settle();
    assert.equal(second.state, ConnectionState.open);
    net.publish(net.shards[2]!, 2);
    net.settle();
    assert.deepEqual(net.client.expected, [0, 0, 2]);
  });

  test('is given up when the claimer dies: the session is lost with it', async () => {
    const net = await makeNet();
    net.connect(net.shards[1]!);
    settleBut(net, (from, to) => from === 1 && to === 0);
    net.die(1);
    net.settle();
    assert.equal(net.shards[0]!.store.count, 0);
    assert.equal(net.directory.size, 0);
    const third = net.connect(net.shards[0]!);
    net.settle();
    assert.equal(net.client.connection, third);
  });
});
