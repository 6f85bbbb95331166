/** Our client library with Mosquitto's broker and Mosquitto's clients. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { connect } from '../../src/client/index.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { eventually } from '../support/waiting.js';
import { clientSuite } from './client-suite.js';

clientSuite('the client library with Mosquitto', () => startMosquitto());
clientSuite('the client library with Mosquitto in MQTT 5.0', () => startMosquitto(), {
  protocolVersion: 5,
  protocolFallback: false,
});

describe('our client beside mosquitto_pub and mosquitto_sub', () => {
  let broker: Mosquitto | null = null;
  before(async () => {
    broker = await startMosquitto();
  });
  after(() => broker?.close());
  const port = (): string => String(broker?.port);

  test('what mosquitto_pub publishes reaches our handler', async () => {
    await using client = await connect(`mqtt://127.0.0.1:${port()}`);
    const seen: string[] = [];
    await client.subscribe(
      'a/#',
      ({ topic, payload, qos }) => {
        seen.push(`${topic} ${payload} ${qos}`);
      },
      { qos: 2 },
    );
    for (const qos of ['0', '1', '2']) {
      const args = ['-h', '127.0.0.1', '-p', port(), '-t', 'a/b', '-m', `text ${qos}`, '-q', qos];
      await promisify(execFile)('mosquitto_pub', args);
    }
    await eventually(() => seen.length === 3, 'three messages');
    assert.deepEqual(seen, ['a/b text 0 0', 'a/b text 1 1', 'a/b text 2 2']);
  });

  test('what our client publishes reaches mosquitto_sub', async () => {
    // Retained, because mosquitto_sub does not say in time when it has subscribed.
    await using client = await connect(`mqtt://127.0.0.1:${port()}`);
    for (const qos of [0, 1, 2] as const) {
      await client.publish(`b/${qos}`, `größe ${qos}`, { qos, retain: true });
    }
    const args = ['-h', '127.0.0.1', '-p', port(), '-t', 'b/#', '-q', '2', '-v', '-C', '3'];
    const { stdout } = await promisify(execFile)('mosquitto_sub', [...args, '-W', '10']);
    assert.deepEqual(stdout.split('\n').sort(), ['', 'b/0 größe 0', 'b/1 größe 1', 'b/2 größe 2']);
  });
});
