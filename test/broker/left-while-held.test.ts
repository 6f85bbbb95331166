/**
 * Clients that leave while nothing is read of them, as what they publish cannot be kept on disk:
 * whatever their bytes come through, and however long they may be silent, it is seen.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import {
  listenByScheme,
  openByScheme,
  SCHEMES,
  type Scheme,
  type SchemeConnection,
  schemeOptions,
} from '../support/by-scheme.js';
import { connect, publish } from '../support/packets.js';
import { numbers } from '../support/suite.js';
import type { TestClient } from '../support/test-client.js';
import { TlsFiles } from '../support/tls-broker.js';
import { eventually } from '../support/waiting.js';

/** What each publishes: nothing that is read in one go, so that the end is behind what is not. */
const MESSAGES = 1_000;
const PAYLOAD_BYTES = 100;

/** A client that is held; it has no keep alive. */
interface Held extends Pick<SchemeConnection, 'tcp' | 'stream'> {
  readonly clientId: string;
}

describe('a client that has left while it is held, as the store is full', () => {
  const files = new TlsFiles();
  const dataDir = mkdtempSync(join(tmpdir(), 'surgemq-store-'));
  const topic = unique('hoard');
  const held = new Map<Scheme, Held[]>();
  let ports: ReadonlyMap<Scheme, number>;
  let broker: Broker;
  let watcher: TestClient;

  /** Why the connections of client ids have ended. */
  const ended = new Map<string, string>();

  before(async () => {
    const kept = { sessionsProvider: 'lmdb', dataDir, storeBytes: 400_000 } as const;
    broker = await startBroker({ workers: 2, ...kept, ...schemeOptions(files) });
    broker.server.on('disconnected', (clientId, reason) => ended.set(clientId, reason));
    ports = await listenByScheme(broker);
    await fill();
    watcher = await broker.client();
    await watcher.subscribe(['wills/#', 0]);
    for (const scheme of SCHEMES) {
      const clients: Held[] = [];
      for (let n = 0; n < 3; n++) clients.push(await heldClient(scheme));
      held.set(scheme, clients);
    }
    // It is looked every few seconds: of all together.
    for (const [, ends, resets] of held.values()) {
      ends!.stream.end();
      resets!.tcp.resetAndDestroy();
    }
  });
  after(async () => {
    for (const { tcp } of [...held.values()].flat()) tcp.destroy();
    await broker.close();
    files[Symbol.dispose]();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** Publishes to somebody who is away until the store is full. */
  async function fill(): Promise<void> {
    const hoarder = await broker.client({ clientId: unique('hoarder'), cleanSession: false });
    await hoarder.subscribe([topic, 1]);
    await hoarder.disconnect();
    const publisher = await broker.client();
    await publisher.publish(topic, 'x'.repeat(500_000), { qos: 1 });
    const isFull = () => broker.logs.some(({ message }) => message.startsWith('the store is full'));
    await eventually(isFull, 'the store to be full');
    await publisher.disconnect();
  }

  /** Connects as the scheme says, with a will, and publishes what there is no room for. */
  async function heldClient(scheme: Scheme): Promise<Held> {
    const clientId = unique('held');
    const { tcp, stream, framed } = await openByScheme(scheme, ports.get(scheme)!, false, files);
    const payload = 'x'.repeat(PAYLOAD_BYTES);
    const flood = numbers(1, MESSAGES).map((packetId) =>
      publish({ topic, payload, qos: 1, packetId: Number(packetId) }),
    );
    const will = { topic: `wills/${clientId}` };
    stream.write(framed(Buffer.concat([connect({ clientId, will }), ...flood])));
    return { clientId, tcp, stream };
  }

  for (const scheme of SCHEMES) {
    test(`is closed, and one that has not left is not, over ${scheme}`, async () => {
      const [stays, ends, resets] = held.get(scheme)!.map(({ clientId }) => clientId);
      await eventually(() => ended.has(ends!), 'the one that has ended to be closed');
      await eventually(() => ended.has(resets!), 'the one that has reset to be closed');
      for (const clientId of [ends!, resets!]) {
        assert.equal(ended.get(clientId), 'connection-lost');
      }
      assert.equal(ended.has(stays!), false);
    });
  }

  // [MQTT-3.1.2-8]
  test('has its will published', async () => {
    const left = [...held.values()].flatMap(([, ...those]) => those);
    const wills = await watcher.nextMessages(left.length);
    const expected = left.map(({ clientId }) => `wills/${clientId}`);
    assert.deepEqual(wills.map(({ topic }) => topic).sort(), expected.sort());
  });
});
