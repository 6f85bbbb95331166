/**
 * Clients that leave while nothing is read of them, as they owe a lot of their rate: whatever their
 * bytes come through, it is seen that they have left (`Transport.hasLeft`).
 */
import assert from 'node:assert/strict';
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
import { TlsFiles } from '../support/tls-broker.js';
import { eventually } from '../support/waiting.js';

/** Seconds that a client owes: more than a test takes. */
const OWED = 1_000;
/** In all more than TLS deciphers ahead, and less than the kernel has room for. */
const PAYLOAD_BYTES = 100;

/** A client that is paused. */
interface Paused extends Pick<SchemeConnection, 'tcp' | 'stream'> {
  readonly clientId: string;
}

/** Clients whose bytes come through the same. */
interface Kind {
  readonly how: string;
  readonly scheme: Scheme;
  readonly isProxied: boolean;
  readonly paused: Paused[];
}

const KINDS: readonly Kind[] = SCHEMES.flatMap((scheme) => [
  { how: `over ${scheme}`, scheme, isProxied: false, paused: [] },
  { how: `over ${scheme} behind a proxy`, scheme, isProxied: true, paused: [] },
]);

describe('a client that has left while it is not read, as it owes a lot', () => {
  const files = new TlsFiles();
  let ports: ReadonlyMap<Scheme, number>;
  let broker: Broker;

  /** Why the connections of client ids have ended. */
  const ended = new Map<string, string>();

  before(async () => {
    broker = await startBroker({ workers: 2, maxMessageRate: 1, ...schemeOptions(files) });
    broker.server.on('disconnected', (clientId, reason) => ended.set(clientId, reason));
    ports = await listenByScheme(broker);
    for (const kind of KINDS) {
      for (let n = 0; n < 3; n++) kind.paused.push(await pausedClient(kind));
    }
    // It is looked every few seconds: of all together.
    for (const { paused } of KINDS) {
      paused[1]!.stream.end();
      paused[2]!.tcp.resetAndDestroy();
    }
  });
  after(async () => {
    for (const { tcp } of KINDS.flatMap(({ paused }) => paused)) tcp.destroy();
    await broker.close();
    files[Symbol.dispose]();
  });

  /** Connects as the scheme says, and publishes so much that it is paused. */
  async function pausedClient({ scheme, isProxied }: Kind): Promise<Paused> {
    const clientId = unique('left');
    const { overRate } = broker.server.stats();
    const port = ports.get(scheme)!;
    const { tcp, stream, framed } = await openByScheme(scheme, port, isProxied, files);
    const payload = 'x'.repeat(PAYLOAD_BYTES);
    const flood = numbers(1, OWED).map((topic) => publish({ topic, payload }));
    const packets = Buffer.concat([connect({ clientId }), ...flood]);
    stream.write(framed(packets));
    await eventually(() => broker.server.stats().overRate > overRate, 'it to be paused');
    return { clientId, tcp, stream };
  }

  for (const { how, paused } of KINDS) {
    test(`is closed, and one that has not left is not, ${how}`, async () => {
      const [stays, ends, resets] = paused.map(({ clientId }) => clientId);
      await eventually(() => ended.has(ends!), 'the one that has ended to be closed');
      await eventually(() => ended.has(resets!), 'the one that has reset to be closed');
      for (const clientId of [ends!, resets!]) {
        assert.equal(ended.get(clientId), 'connection-lost');
      }
      assert.equal(ended.has(stays!), false);
    });
  }
});
