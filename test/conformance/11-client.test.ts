/**
 * The client library against the broker, where both are held to a statement that no test of one
 * alone shows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../../src/client/index.js';
import { unique } from '../support/broker.js';
import { describeTheme } from '../support/suite.js';
import { eventually } from '../support/waiting.js';

describeTheme('the client library', (theme) => {
  // [MQTT-1.5.3-3] [MQTT-4.7.3-4]
  test('a byte order mark in a topic is kept by the client too', async () => {
    const { host, port } = theme.broker;
    await using client = await connect(`mqtt://${host}:${port}`, { clientId: unique('bom') });
    const topic = unique('bom');
    const topics = [`\ufeff${topic}`, `${topic}/\ufeff`, topic];
    const received: string[] = [];
    await client.subscribe(topics, (message) => void received.push(message.topic), { qos: 1 });
    for (const name of topics) await client.publish(name, 'm', { qos: 1 });
    await eventually(() => received.length === topics.length, 'three messages');
    assert.deepEqual(received, topics);
  });
});
