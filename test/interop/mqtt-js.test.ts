/** MQTT.js as a client of the broker: another implementation, used as its users do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { type Broker, unique } from '../support/broker.js';
import { describeTheme, numbers } from '../support/suite.js';
import { eventually, within } from '../support/waiting.js';

/** A message as MQTT.js hands it out. */
interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
}

/** Connects, and collects messages from the first on. */
async function connectTo(
  broker: Broker,
  options: IClientOptions = {},
): Promise<{ client: MqttClient; messages: Received[] }> {
  const messages: Received[] = [];
  const client = await connectAsync({
    host: broker.host,
    port: broker.port,
    reconnectPeriod: 0,
    ...options,
  });
  client.on('message', (topic, payload, { qos, retain }) => {
    messages.push({ topic, payload: payload.toString(), qos, retain });
  });
  return { client, messages };
}

describeTheme('MQTT.js', (theme) => {
  for (const protocolVersion of [3, 4] as const) {
    test(`of protocol level ${protocolVersion} publishes and subscribes in every QoS`, async () => {
      const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
      const options: IClientOptions = { protocolVersion, protocolId };
      const subscriber = await connectTo(theme.broker, options);
      const publisher = await connectTo(theme.broker, options);
      const topic = unique('js');
      const granted = await subscriber.client.subscribeAsync({
        [`${topic}/0`]: { qos: 0 },
        [`${topic}/1`]: { qos: 1 },
        [`${topic}/2`]: { qos: 2 },
      });
      assert.deepEqual(
        granted.map(({ qos }) => qos),
        [0, 1, 2],
      );
      for (const qos of [0, 1, 2] as const) {
        await publisher.client.publishAsync(`${topic}/${qos}`, `at ${qos}`, { qos });
      }
      await eventually(() => subscriber.messages.length === 3, 'three messages');
      assert.deepEqual(subscriber.messages.map(({ payload, qos }) => [payload, qos]).sort(), [
        ['at 0', 0],
        ['at 1', 1],
        ['at 2', 2],
      ]);
      await subscriber.client.unsubscribeAsync(`${topic}/0`);
      await Promise.all([subscriber.client.endAsync(), publisher.client.endAsync()]);
    });
  }

  test('gets thousands of messages of each QoS in order', async () => {
    const subscriber = await connectTo(theme.broker);
    const publisher = await connectTo(theme.broker);
    const topic = unique('order');
    await subscriber.client.subscribeAsync(`${topic}/+`, { qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      subscriber.messages.length = 0;
      const payloads = numbers(1, 1_000);
      const published = payloads.map((payload) =>
        publisher.client.publishAsync(`${topic}/${qos}`, payload, { qos }),
      );
      await Promise.all(published);
      await eventually(() => subscriber.messages.length === 1_000, 'all messages');
      assert.deepEqual(
        subscriber.messages.map(({ payload }) => payload),
        payloads,
      );
    }
    await Promise.all([subscriber.client.endAsync(), publisher.client.endAsync()]);
  });

  test('sees retained messages and the will of one that breaks off', async () => {
    const topic = unique('will');
    const watcher = await connectTo(theme.broker);
    await watcher.client.subscribeAsync(topic, { qos: 1 });
    const will = { topic, payload: Buffer.from('gone'), qos: 1 as const, retain: true };
    const mortal = await connectTo(theme.broker, { will });
    mortal.client.stream.destroy();
    await eventually(() => watcher.messages.length === 1, 'the will');
    const late = await connectTo(theme.broker);
    await late.client.subscribeAsync(topic, { qos: 1 });
    await eventually(() => late.messages.length === 1, 'the retained will');
    assert.deepEqual(late.messages, [{ topic, payload: 'gone', qos: 1, retain: true }]);
    await Promise.all([watcher.client.endAsync(), late.client.endAsync()]);
    await mortal.client.endAsync(true);
  });

  test('resumes its session by itself after a lost connection', async () => {
    const topic = unique('session');
    const options = { clientId: unique('js'), clean: false, reconnectPeriod: 20 };
    const subscriber = await connectTo(theme.broker, options);
    const publisher = await connectTo(theme.broker);
    await subscriber.client.subscribeAsync(topic, { qos: 2 });
    for (let round = 0; round < 5; round++) {
      const { client } = subscriber;
      const reconnected = new Promise<boolean>((resolve) => {
        client.once('connect', (connack) => resolve(connack.sessionPresent));
      });
      subscriber.client.stream.destroy();
      await publisher.client.publishAsync(topic, String(round), { qos: 2 });
      assert.equal(await within(reconnected, 'the reconnect'), true);
    }
    await eventually(() => subscriber.messages.length >= 5, 'all messages');
    assert.deepEqual(
      subscriber.messages.map(({ payload }) => payload),
      ['0', '1', '2', '3', '4'],
    );
    await Promise.all([subscriber.client.endAsync(), publisher.client.endAsync()]);
  });

  test('pings within its keep alive and stays', async () => {
    const { client } = await connectTo(theme.broker, { keepalive: 1 });
    for (let n = 0; n < 2; n++) {
      const received = new Promise<string>((resolve) => {
        client.once('packetreceive', (packet) => resolve(packet.cmd));
      });
      assert.equal(await within(received, 'PINGRESP'), 'pingresp');
    }
    assert.equal(client.connected, true);
    await client.endAsync();
  });

  test('of MQTT 5 connects, subscribes, unsubscribes and leaves', async () => {
    const { client } = await connectTo(theme.broker, { protocolVersion: 5 });
    const granted = await client.subscribeAsync('a/+', { qos: 1 });
    assert.equal(granted[0]?.qos, 1);
    await client.unsubscribeAsync('a/+');
    await client.endAsync();
  });
});
