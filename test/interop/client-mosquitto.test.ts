/** Our client library with Mosquitto's broker and Mosquitto's clients. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Authority } from '../../bench/support/certificates.js';
import { connect } from '../../src/client/index.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { eventually } from '../support/waiting.js';
import { clientSuite, type RunningBroker } from './client-suite.js';
import { byWebSocket } from './web-socket-relay.js';

clientSuite('the client library with Mosquitto', () => startMosquitto());
clientSuite('the client library with Mosquitto in MQTT 5.0', () => startMosquitto(), {
  protocolVersion: 5,
  protocolFallback: false,
});
clientSuite(
  'the client library with Mosquitto by WebSocket',
  async () => byWebSocket(await startMosquitto()),
  { protocolVersion: 5, protocolFallback: false },
);

const authority = new Authority();
clientSuite('the client library with Mosquitto by TLS', startWithTls, {
  protocolVersion: 5,
  protocolFallback: false,
  tls: { ca: authority.cert, ...authority.issue({ name: 'client' }) },
});

/** Mosquitto with a certificate, and asking for one. */
async function startWithTls(): Promise<RunningBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'surgemq-tls-'));
  const { cert, key } = authority.issue({ name: 'server', hosts: ['127.0.0.1'] });
  const files = { cafile: authority.cert, certfile: cert, keyfile: key };
  const lines = Object.keys(files).map((name) => `${name} ${join(folder, name)}`);
  for (const [name, pem] of Object.entries(files)) await writeFile(join(folder, name), pem);
  // Started by root it would be somebody else, who may not read them.
  const broker = await startMosquitto(20, [...lines, 'require_certificate true', 'user root']);
  const close = async (): Promise<void> => {
    await broker.close();
    await rm(folder, { recursive: true });
  };
  return { port: broker.port, scheme: 'mqtts', close };
}

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
