/**
 * Wills: published when a connection ends without DISCONNECT, whatever the reason, and only then.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IS_MOSQUITTO, unique } from '../support/broker.js';
import { connack, connect, hex, publish, type WillFields } from '../support/packets.js';
import { connectEverywhere, describeTheme } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';

describeTheme('will', (theme) => {
  /** A client that watches `topic` and everything below it, and one that has its will there. */
  async function watched(
    topic: string,
    will: Omit<WillFields, 'topic'> = {},
    clientId = unique('mortal'),
  ): Promise<{ watcher: TestClient; mortal: TestClient }> {
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([`${topic}/#`, 2]);
    const mortal = await theme.broker.client({
      clientId,
      will: { topic, payload: 'gone', ...will },
    });
    return { watcher, mortal };
  }

  // [MQTT-3.1.2-8] [MQTT-3.1.2-9]
  for (const qos of [0, 1, 2] as const) {
    test(`a will of QoS ${qos} is published when the network fails`, async () => {
      const { watcher, mortal } = await watched(unique('lost'), { qos });
      await mortal.cut();
      const message = await watcher.nextMessage();
      assert.deepEqual([message.payload, message.qos, message.retain], ['gone', qos, false]);
    });
  }

  // [MQTT-3.1.2-8]: closed in order, and still no DISCONNECT.
  test('a will is published when the client just closes the connection', async () => {
    const { watcher, mortal } = await watched(unique('closed'));
    await mortal.raw.end();
    assert.equal((await watcher.nextMessage()).payload, 'gone');
  });

  // [MQTT-3.14.4-3] [MQTT-3.1.2-10]
  test('a will is not published after DISCONNECT', async () => {
    const topic = unique('disconnect');
    const { watcher, mortal } = await watched(topic, { qos: 1, retain: true });
    await mortal.disconnect();
    const next = await theme.broker.client({
      clientId: unique('next'),
      will: { topic, payload: 'the next will' },
    });
    await next.cut();
    assert.deepEqual(await watcher.messagesUntil('the next will'), []);
    await watcher.subscribe([topic, 1]);
    await watcher.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await watcher.messagesUntil('end'), [], 'nothing retained');
  });

  // [MQTT-3.1.2-8]: protocol errors of every kind.
  for (const [what, bytes] of [
    ['a malformed packet', '36 05 0001 61 0001'],
    ['a second CONNECT', connect({ clientId: 'again' }).toString('hex')],
    ['a DISCONNECT with wrong flags', 'e1 00'],
    ['a DISCONNECT with a body', 'e0 01 00'],
    ['a packet over the size limit', '30 ff ff ff 7f'],
    ['a packet that only the broker may send', '20 02 0000'],
    ['a remaining length of five bytes', '30 ff ff ff ff 01'],
  ] as const) {
    test(`a will is published after ${what}`, async () => {
      const { watcher, mortal } = await watched(unique('error'));
      mortal.raw.send(hex(bytes));
      await mortal.untilClosed();
      assert.equal((await watcher.nextMessage()).payload, 'gone');
    });
  }

  // [MQTT-3.1.2-8] [MQTT-3.1.0-2]
  test('a will is published when the fault comes in the same write as CONNECT', async () => {
    const topic = unique('same');
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([topic, 1]);
    const mortal = await theme.broker.raw();
    const will = { topic, payload: 'gone' };
    mortal.send(
      connect({ clientId: unique('mortal'), will }),
      publish({ topic, payload: 'last words', qos: 1, packetId: 1 }),
      publish({ topic, payload: 'bad', qos: 3, packetId: 2 }),
    );
    await mortal.expect(connack(false, 0));
    await mortal.expect('40 02 0001');
    await mortal.expectClose();
    const payloads = (await watcher.nextMessages(2)).map((message) => message.payload);
    assert.deepEqual(payloads, ['last words', 'gone']);
  });

  // [MQTT-3.1.4-2] [MQTT-3.1.2-8]
  test('a will is published when another connection takes the client id', async () => {
    const clientId = unique('taken');
    const { watcher, mortal } = await watched(unique('taken'), { qos: 1 }, clientId);
    await theme.broker.client({ clientId });
    await mortal.untilClosed();
    assert.equal((await watcher.nextMessage()).payload, 'gone');
  });

  // [MQTT-3.1.2-10]: once, and never again by a later connection.
  test('a will is published once and belongs to one connection', async () => {
    const topic = unique('once');
    const clientId = unique('once');
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([topic, 1]);
    const session = { clientId, cleanSession: false };
    const first = await theme.broker.client({ ...session, will: { topic, payload: 'first' } });
    await first.cut();
    await watcher.messagesUntil('first');
    const second = await theme.broker.client(session);
    await second.cut();
    const third = await theme.broker.client({ ...session, will: { topic, payload: 'third' } });
    await third.disconnect();
    const fourth = await theme.broker.client({ ...session, will: { topic, payload: 'fourth' } });
    await fourth.cut();
    assert.deepEqual(await watcher.messagesUntil('fourth'), []);
    await watcher.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await watcher.messagesUntil('end'), []);
  });

  // [MQTT-3.1.2-12]
  test('a client without a will leaves none', async () => {
    const topic = unique('none');
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe(['#', 0]);
    const plain = await theme.broker.client({ clientId: unique('plain') });
    await plain.publish(topic, 'last words', { qos: 1 });
    await plain.cut();
    await watcher.messagesUntil('last words');
    const next = await theme.broker.client({ clientId: unique('next') });
    await next.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await watcher.messagesUntil('end'), []);
  });

  // [MQTT-3.1.2-17]
  test('a will with will retain is kept for later subscribers', async () => {
    const topic = unique('retained');
    const { watcher, mortal } = await watched(topic, { qos: 1, retain: true });
    const everywhere = await connectEverywhere(theme, topic);
    await mortal.cut();
    for (const client of [watcher, ...everywhere]) {
      assert.equal((await client.nextMessage()).retain, false, 'established subscriber');
    }
    for (let n = 0; n < theme.workers; n++) {
      const later = await theme.broker.client({ clientId: unique('later') });
      await later.subscribe([topic, 2]);
      const message = await later.nextMessage();
      assert.deepEqual([message.payload, message.retain, message.qos], ['gone', true, 1]);
    }
  });

  // [MQTT-3.1.2-16]
  test('a will without will retain is not kept and replaces nothing', async () => {
    const topic = unique('passing');
    const { watcher, mortal } = await watched(topic, { qos: 1 });
    await watcher.publish(topic, 'kept', { qos: 1, retain: true });
    await watcher.messagesUntil('kept');
    await mortal.cut();
    await watcher.messagesUntil('gone');
    const later = await theme.broker.client({ clientId: unique('later') });
    await later.subscribe([topic, 1]);
    assert.equal((await later.nextMessage()).payload, 'kept');
  });

  // [MQTT-3.1.2-17] [MQTT-3.3.1-11]
  test('an empty will with will retain clears the retained message', async () => {
    const topic = unique('clear');
    const { watcher, mortal } = await watched(topic, { payload: '', retain: true });
    await watcher.publish(topic, 'kept', { qos: 1, retain: true });
    const everywhere = await connectEverywhere(theme, topic);
    for (const client of everywhere) assert.equal((await client.nextMessage()).payload, 'kept');
    await mortal.cut();
    for (const client of everywhere) assert.equal((await client.nextMessage()).payload, '');
    const later = await theme.broker.client({ clientId: unique('later') });
    await later.subscribe([topic, 1]);
    await later.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await later.messagesUntil('end'), []);
  });

  // [MQTT-3.1.2-5]
  test('a will waits for an absent subscriber like other messages', async () => {
    const topic = unique('absent');
    const clientId = unique('absent');
    const first = await theme.broker.client({ clientId, cleanSession: false });
    await first.subscribe([topic, 1]);
    await first.disconnect();
    const { watcher, mortal } = await watched(topic, { qos: 2 });
    await mortal.cut();
    await watcher.nextMessage();
    const next = await theme.broker.client({ clientId, cleanSession: false });
    const message = await next.nextMessage();
    assert.deepEqual([message.payload, message.qos], ['gone', 1]);
  });

  // [MQTT-3.1.2-8]: "if the Connect request is accepted".
  test('a refused CONNECT has no will', async () => {
    const topic = unique('refused');
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([topic, 1]);
    const will = { topic, payload: 'gone' };
    for (const [fields, code] of [
      [{ clientId: '', cleanSession: false, will }, 2],
      [{ clientId: unique('refused'), level: 9, will }, 1],
    ] as const) {
      const refused = await theme.broker.raw();
      refused.send(connect(fields));
      await refused.expect(connack(false, code));
      await refused.expectClose();
      const next = await theme.broker.client({ clientId: unique('next') });
      await next.publish(topic, `end ${code}`, { qos: 1 });
      assert.deepEqual(await watcher.messagesUntil(`end ${code}`), []);
    }
  });

  // [MQTT-3.1.2-8]: bytes as they are, to the last.
  test('a will keeps its bytes and its topic', async () => {
    const topic = `${unique('bytes')}/é/火`;
    const payload = Buffer.from(Array.from({ length: 60_000 }, (_, at) => (at * 7) & 0xff));
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([topic, 2]);
    const mortal = await theme.broker.client({
      clientId: unique('mortal'),
      will: { topic, payload, qos: 2 },
    });
    await mortal.cut();
    const message = await watcher.nextMessage();
    assert.equal(message.topic, topic);
    assert.ok(message.payloadBytes.equals(payload));
  });

  // [MQTT-3.1.2-8]: the server's own doing.
  test('a will is published when the server kicks the client', async () => {
    // Mosquitto has no such call.
    if (IS_MOSQUITTO) return;
    const clientId = unique('kicked');
    const { watcher, mortal } = await watched(unique('kicked'), { qos: 1 }, clientId);
    assert.equal(theme.broker.server.kick(clientId), true);
    await mortal.untilClosed();
    assert.equal((await watcher.nextMessage()).payload, 'gone');
    assert.equal(theme.broker.server.kick(unique('nobody')), false);
  });
});
