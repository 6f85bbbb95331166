/**
 * A client as Home Assistant is one, by MQTT.js: 5.0, Clean Start 0, a session that outlives its
 * connection, a will with a delay, retained discovery topics of QoS 1, Subscription Identifiers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import mqtt, { type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import { startBroker, WORKER_COUNTS } from '../support/broker.js';
import { eventually, within } from '../support/waiting.js';

const CLIENT_ID = 'home';
const STATUS = 'home/status';
const [DISCOVERY, STATES] = [1, 2];

/** A message as the client's application sees it. */
interface Seen {
  readonly topic: string;
  readonly payload: string;
  readonly retain: boolean;
  readonly identifiers: number | number[] | undefined;
}

function watch(client: MqttClient): Seen[] {
  const seen: Seen[] = [];
  client.on('message', (topic: string, payload: Buffer, packet: IPublishPacket) => {
    const identifiers = packet.properties?.subscriptionIdentifier;
    seen.push({ topic, payload: payload.toString(), retain: packet.retain, identifiers });
  });
  return seen;
}

function nextConnack(client: MqttClient): Promise<IConnackPacket> {
  return new Promise((resolve) => client.once('connect', resolve));
}

for (const workers of WORKER_COUNTS) {
  test(`a home goes on when its connection has broken, ${workers} workers`, async () => {
    await using broker = await startBroker({ workers });
    const url = `mqtt://${broker.host}:${broker.port}`;
    const device = await mqtt.connectAsync(url, { protocolVersion: 5, clientId: 'device' });
    const config = { qos: 1, retain: true } as const;
    await device.publishAsync('discovery/light/config', '{"name":"light"}', config);
    const others = watch(device);
    await device.subscribeAsync(STATUS, { qos: 1 });

    const home = mqtt.connect(url, {
      protocolVersion: 5,
      clientId: CLIENT_ID,
      clean: false,
      resubscribe: false,
      reconnectPeriod: 100,
      properties: { sessionExpiryInterval: 3_600 },
      will: {
        topic: STATUS,
        payload: Buffer.from('offline'),
        qos: 1,
        retain: true,
        properties: { willDelayInterval: 30 },
      },
    });
    const seen = watch(home);
    assert.equal((await nextConnack(home)).sessionPresent, false);
    await home.publishAsync(STATUS, 'online', config);
    await home.subscribeAsync('discovery/+/config', {
      qos: 1,
      properties: { subscriptionIdentifier: DISCOVERY },
    });
    await home.subscribeAsync('states/#', {
      qos: 1,
      properties: { subscriptionIdentifier: STATES },
    });
    await device.publishAsync('states/light', 'on', { qos: 1 });
    await eventually(() => seen.length === 2, 'discovery and a state');
    assert.deepEqual(seen, [
      {
        topic: 'discovery/light/config',
        payload: '{"name":"light"}',
        retain: true,
        identifiers: DISCOVERY,
      },
      { topic: 'states/light', payload: 'on', retain: false, identifiers: STATES },
    ]);

    // Its connection breaks; what comes meanwhile waits for it.
    const gone = new Promise((resolve) => home.once('close', () => resolve(true)));
    const back = nextConnack(home);
    assert.equal(broker.server.kick(CLIENT_ID), true);
    await within(gone, 'the close');
    await device.publishAsync('states/light', 'off', { qos: 1 });
    assert.equal((await back).sessionPresent, true);
    await device.publishAsync('states/light', 'dimmed', { qos: 1 });
    await eventually(() => seen.length === 4, 'what was published meanwhile, and after');
    assert.deepEqual(
      seen.slice(2).map(({ payload, identifiers }) => [payload, identifiers]),
      [
        ['off', STATES],
        ['dimmed', STATES],
      ],
    );
    // It was back before the delay of its will was over [MQTT-3.1.3-9].
    assert.deepEqual(
      others.map(({ payload }) => payload),
      ['online'],
    );
    await Promise.all([home.endAsync(), device.endAsync()]);
  });
}
