/** The client as browsers get it: one file, without anything of Node's, and in Chromium. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import * as nodeClient from '../../src/client/index.js';
import { byWebSocket } from '../interop/web-socket-relay.js';
import { startBroker } from '../support/broker.js';
import { runPage, whyNoChromium } from '../support/chromium.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BUNDLE = fileURLToPath(new URL('../../browser/client.js', import.meta.url));
const AUTHENTICATOR = new URL('../support/exchanging-authenticator.js', import.meta.url).href;
/** What a page loads: more than this is worth a thought. */
const GZIPPED_BYTES_MAX = 60 * 1024;

describe('the client for browsers', () => {
  test('is bundled by an import of surgemq/client, without anything left to be found', async () => {
    const { metafile, outputFiles } = await build({
      stdin: {
        contents: "import { connect } from 'surgemq/client'; globalThis.connect = connect;",
        resolveDir: ROOT,
      },
      bundle: true,
      minify: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      metafile: true,
      logLevel: 'silent',
    });
    const [output] = Object.values(metafile.outputs);
    assert.deepEqual(output.imports, []);
    const inputs = Object.keys(metafile.inputs).filter((name) => name !== '<stdin>');
    assert.deepEqual(inputs, ['dist/browser/client.js']);
    const bytes = gzipSync(outputFiles[0].contents).length;
    assert.ok(bytes <= GZIPPED_BYTES_MAX, `${bytes} bytes when compressed`);
  });

  test('is one file that names no module, and no global of Node', (t) => {
    const text = readFileSync(BUNDLE, 'utf8');
    t.diagnostic(`${text.length} bytes, ${gzipSync(text).length} compressed`);
    // Not by assert.match, which would print all of it.
    const module = /\bfrom\s*["']|\bimport\s*["'(]|\brequire\(|["']node:/;
    assert.equal(module.exec(text)?.[0], undefined);
    assert.equal(/\bprocess\.|globalThis\.Buffer|\b__dirname\b/.exec(text)?.[0], undefined);
  });

  test('has the names that it has for Node', async () => {
    const { names } = (await import(BUNDLE).then((all) => ({ names: Object.keys(all) }))) as {
      names: string[];
    };
    assert.deepEqual(names.sort(), Object.keys(nodeClient).sort());
  });

  test('publishes, subscribes and answers in Chromium', async (t) => {
    const why = whyNoChromium();
    if (why !== null) {
      t.diagnostic(`${why}: nothing was tested`);
      return;
    }
    const broker = await byWebSocket(
      await startBroker({ workers: 2, authenticator: AUTHENTICATOR }),
    );
    t.after(() => broker.close());
    const uri = `ws://127.0.0.1:${broker.port}`;
    const page = `
      import { connect, scramSha256, ConnectFailedError } from '/client.js';
      const seen = [];
      for (const protocolVersion of [5, 4]) {
        const client = await connect('${uri}', { protocolVersion });
        let isLast;
        const last = new Promise((resolve) => { isLast = resolve; });
        await client.subscribe({ filter: 'größe/#', qos: 2 }, (message) => {
          seen.push(protocolVersion + ' ' + message.topic + ' ' + message.qos + ' ' +
            (message.payload.length > 100 ? message.payload.length : message.payload));
          if (message.topic.endsWith('end')) isLast();
        });
        for (const qos of [0, 1, 2]) await client.publish('größe/' + qos, 'žluť ' + qos, { qos });
        await client.publish('größe/large', new Uint8Array(1_000_000).fill(7), { qos: 1 });
        await Promise.all(Array.from({ length: 500 }, (_, at) =>
          client.publish('other/' + at, 'x', { qos: at % 3 })));
        await client.publish('größe/end', '', { qos: 2 });
        await last;
        await client.ping();
        await client.disconnect();
      }
      const server = await connect('${uri}');
      await server.subscribe('ask', async ({ properties, payload }) => {
        const { responseTopic, correlationData } = properties;
        await server.publish(responseTopic, 're: ' + payload, { properties: { correlationData } });
      });
      seen.push(String((await server.request('ask', 'what')).payload));
      const authentication = scramSha256({ username: 'ada', password: 'lovelace' });
      const proven = await connect('${uri}', { authentication });
      seen.push('proven ' + proven.isConnected);
      await Promise.all([server.disconnect(), proven.disconnect()]);
      for (const wrong of ['ws://127.0.0.1:1', 'mqtt://127.0.0.1']) {
        await connect(wrong).catch((error) => seen.push(error.name + ': ' + error.message));
      }
      await report(seen);`;
    const seen = (await runPage(page, { 'client.js': BUNDLE })) as string[];
    const expected = [5, 4].flatMap((version) => [
      ...[0, 1, 2].map((qos) => `${version} größe/${qos} ${qos} žluť ${qos}`),
      `${version} größe/large 1 1000000`,
      `${version} größe/end 2 `,
    ]);
    assert.deepEqual(seen, [
      ...expected,
      're: what',
      'proven true',
      'ConnectFailedError: cannot connect to ws://127.0.0.1:1/mqtt: the browser does not say ' +
        'why, but to its console',
      'ConfigError: a browser connects by ws:// or wss:// alone',
    ]);
  });
});
