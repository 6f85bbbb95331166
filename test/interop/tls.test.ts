/** Other programs' clients behind TLS, and by a unix socket. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import mqtt from 'mqtt';
import type { Broker } from '../support/broker.js';
import { TlsFiles } from '../support/tls-broker.js';
import { within } from '../support/waiting.js';

const run = promisify(execFile);

describe('a broker behind TLS', () => {
  let files: TlsFiles;
  let broker: Broker;
  before(async () => {
    files = new TlsFiles();
    broker = await files.start({
      workers: 2,
      tlsCa: files.path('ca.pem'),
      tlsClientCert: 'optional',
    });
    const device = files.authority.issue({ name: 'device' });
    files.write('device.pem', device.cert);
    files.write('device.key', device.key);
  });
  after(async () => {
    await broker.close();
    files[Symbol.dispose]();
  });

  /** Flags of Mosquitto's clients. */
  function flags(...more: string[]): string[] {
    const { host, port } = broker;
    return ['-h', host, '-p', String(port), '--cafile', files.path('ca.pem'), '-t', 't', ...more];
  }

  test('serves mosquitto_sub and mosquitto_pub, with a client certificate too', async () => {
    await run('mosquitto_pub', flags('-m', 'kept', '-r', '-q', '1'));
    const { stdout } = await run('mosquitto_sub', flags('-C', '1'));
    assert.equal(stdout, 'kept\n');
    const own = ['--cert', files.path('device.pem'), '--key', files.path('device.key')];
    for (const version of ['tlsv1.2', 'tlsv1.3']) {
      const got = await run('mosquitto_sub', flags('-C', '1', '--tls-version', version, ...own));
      assert.equal(got.stdout, 'kept\n', version);
    }
  });

  test('serves MQTT.js by mqtts', async () => {
    const { host, port } = broker;
    const ca = files.authority.cert;
    const client = await mqtt.connectAsync(`mqtts://${host}:${port}`, { ca });
    const got = new Promise<string>((resolve) =>
      client.on('message', (_topic, payload) => resolve(String(payload))),
    );
    await client.subscribeAsync('js', { qos: 1 });
    await client.publishAsync('js', 'hello', { qos: 1 });
    assert.equal(await within(got, 'the message'), 'hello');
    await client.endAsync();
  });

  test('serves mosquitto_sub by a unix socket', async () => {
    const path = join(files.folder, 'socket');
    await broker.server.listenAndServe(`unix://${path}`);
    await run('mosquitto_pub', ['--unix', path, '-t', 'u', '-m', 'kept', '-r']);
    const { stdout } = await run('mosquitto_sub', ['--unix', path, '-t', 'u', '-C', '1']);
    assert.equal(stdout, 'kept\n');
  });
});
