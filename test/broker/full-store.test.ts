/** A store that holds as many bytes as it may: what is published, who waits, and who goes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { STORE_FULL_POLICIES, type StoreFullPolicy } from '../../src/base/store-full-policy.js';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { MAY_BE_SILENT, openOn } from '../support/on-shard.js';
import { connect, publish } from '../support/packets.js';
import { connect5, publish5 } from '../support/packets5.js';
import { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';
import { temporaryFolder } from '../unit/store/temporary-store.js';

const authenticator = new URL('../support/lethal-authenticator.js', import.meta.url).href;
/** Reason code: Quota exceeded. */
const QUOTA_EXCEEDED = 0x97;

/** A broker with two shards whose store is soon full. */
function started(context: TestContext, storeFull: StoreFullPolicy = 'reject'): Promise<Broker> {
  const settings = { ...MAY_BE_SILENT, workers: 2, sessionsProvider: 'lmdb' } as const;
  const dataDir = temporaryFolder(context);
  return startBroker({ ...settings, authenticator, dataDir, storeFull, storeBytes: 400_000 });
}

async function says(broker: Broker, what: string): Promise<void> {
  const isSaid = () => broker.logs.some(({ message }) => message.startsWith(what));
  await eventually(isSaid, what);
}

/** One whose store is full. */
async function full(context: TestContext): Promise<Broker> {
  const broker = await started(context);
  const topic = unique('hoard');
  await absent(broker, unique('hoarder'), topic);
  const publisher = await broker.client();
  await publisher.publish(topic, 'x'.repeat(500_000), { qos: 1 });
  await says(broker, 'the store is full');
  await publisher.disconnect();
  return broker;
}

/** A session on shard 0 whose client leaves. */
async function absent(broker: Broker, clientId: string, topic: string): Promise<void> {
  const client = await TestClient.over(await openOn(broker, 0), { clientId, cleanSession: false });
  await client.subscribe([topic, 1]);
  await client.disconnect();
}

/** The reason code of a PUBACK or PUBREC, which success need not have [MQTT 5.0, 3.4.2.1]. */
function codeOf(packet: Buffer): number {
  return packet.length > 4 ? packet[4]! : 0;
}

describe('while the store is full', () => {
  // [MQTT-4.4.0-1]: who was acknowledged does not send it again. A shard that is dead tells nobody
  // what its sessions have subscribed to.
  test('what is for the sessions of a dead shard is not acknowledged', async (context) => {
    await using broker = await full(context);
    const topic = unique('orphaned');
    await absent(broker, unique('absent'), topic);
    const publisher = await openOn(broker, 1);
    publisher.send(connect5());
    await publisher.readPacket('CONNACK');
    const died = within(once(broker.server, 'shardDied'), 'a shard to die');
    const started = within(once(broker.server, 'shardStarted'), 'its successor');
    const lethal = await openOn(broker, 0);
    lethal.send(connect({ clientId: unique('lethal') }));
    let isOver = false;
    const ends = () => {
      isOver = true;
    };
    started.then(ends, ends);
    const codes = new Set<number>();
    for (let packetId = 1; !isOver; packetId = (packetId % 1_000) + 1) {
      publisher.send(publish5({ topic, payload: 'a', qos: 1, packetId }));
      codes.add(codeOf(await publisher.readPacket('PUBACK')));
    }
    await Promise.all([died, started]);
    assert.deepEqual([...codes], [QUOTA_EXCEEDED]);
  });

  // [MQTT-4.3.3-10]: what has come before is taken, and what has not is not, in whichever order
  // they come again.
  test('of QoS 2 what came before is acknowledged, and no more of its run', async (context) => {
    await using broker = await started(context);
    const topic = unique('again');
    await absent(broker, unique('absent'), topic);
    const publisher = await openOn(broker, 1);
    publisher.send(connect5());
    await publisher.readPacket('CONNACK');
    const message = { topic, qos: 2 } as const;
    publisher.send(publish5({ ...message, payload: 'x'.repeat(500_000), packetId: 2 }));
    assert.equal(codeOf(await publisher.readPacket('PUBREC')), 0);
    await says(broker, 'the store is full');
    const again = [1, 2, 3].map((packetId) => publish5({ ...message, dup: true, packetId }));
    publisher.send(Buffer.concat(again));
    const codes: number[] = [];
    for (const _ of again) codes.push(codeOf(await publisher.readPacket('PUBREC')));
    assert.deepEqual(codes, [QUOTA_EXCEEDED, 0, QUOTA_EXCEEDED]);
  });

  // [MQTT-3.3.1-10], [MQTT-3.3.1-6]: an empty one is not stored, it makes room.
  for (const [version, open, cleared] of [
    ['3.1.1', connect, publish],
    ['5.0', connect5, publish5],
  ] as const) {
    test(`what is retained can be cleared, ${version}`, async (context) => {
      await using broker = await started(context);
      const topic = unique('retained');
      const client = await broker.raw();
      client.send(open());
      await client.readPacket('CONNACK');
      const retained = { topic, qos: 1, retain: true } as const;
      client.send(cleared({ ...retained, payload: 'x'.repeat(500_000), packetId: 1 }));
      await client.readPacket('PUBACK');
      await says(broker, 'the store is full');
      client.send(cleared({ ...retained, packetId: 2 }));
      assert.ok(codeOf(await client.readPacket('PUBACK')) < 0x80);
      await says(broker, 'the store has room again');
    });
  }

  // Nothing that is retained gives way to anything: a store of nothing else would grow on.
  for (const policy of STORE_FULL_POLICIES) {
    test(`only what is retained in place of as much is taken, ${policy}`, async (context) => {
      await using broker = await started(context, policy);
      const client = await broker.raw();
      client.send(connect5());
      await client.readPacket('CONNACK');
      const retain = async (topic: string, length: number): Promise<number> => {
        const message = { topic, payload: 'x'.repeat(length), qos: 1, retain: true } as const;
        client.send(publish5({ ...message, packetId: 1 }));
        return codeOf(await client.readPacket('PUBACK'));
      };
      // Of both shards.
      const topics = Array.from({ length: 8 }, () => unique('retained'));
      for (const topic of topics) await retain(topic, 1_000);
      await retain(unique('retained'), 500_000);
      await says(broker, 'the store is full');
      for (const topic of topics) {
        assert.equal(await retain(topic, 1_001), QUOTA_EXCEEDED);
        assert.ok((await retain(topic, 1_000)) < 0x80);
        assert.equal(await retain(unique('new'), 1), QUOTA_EXCEEDED);
      }
    });

    // [MQTT-3.3.1-7]: it need not be kept, and what was retained before it goes.
    test(`what is retained at QoS 0 is dropped where it takes more, ${policy}`, async (context) => {
      await using broker = await started(context, policy);
      const client = await broker.client();
      const { server } = broker;
      const topic = unique('retained');
      await client.publish(topic, 'x'.repeat(500_000), { qos: 1, retain: true });
      await says(broker, 'the store is full');
      await client.publish(topic, 'y'.repeat(500_000), { retain: true });
      for (let n = 0; n < 8; n++) await client.publish(unique('new'), 'new', { retain: true });
      await eventually(() => server.stats().droppedRetained === 8, 'the others to be dropped');
      assert.equal(server.stats().retainedMessages, 1);
    });
  }

  // [MQTT-4.4.0-1]: MQTT 3.1.1 has no way to say so.
  test('what would be retained is not acknowledged without room, 3.1.1', async (context) => {
    await using broker = await started(context, 'drop-oldest');
    const [topic, other] = [unique('retained'), unique('other')];
    const client = await broker.client();
    await client.publish(topic, 'x'.repeat(500_000), { qos: 1, retain: true });
    await says(broker, 'the store is full');
    const late = await broker.raw();
    late.send(connect());
    await late.readPacket('CONNACK');
    late.send(publish({ topic: other, payload: 'x', qos: 1, retain: true, packetId: 7 }));
    let isAnswered = false;
    const answer = late.readPacket('PUBACK').then((packet) => {
      isAnswered = true;
      return packet;
    });
    // Not for the sake of others, which may wait for something else.
    for (let n = 0; n < 20; n++) await client.publish(unique('any'), 'x', { qos: 1 });
    assert.equal(isAnswered, false);
    await client.publish(topic, '', { qos: 1, retain: true });
    await says(broker, 'the store has room again');
    await answer;
  });
});
