/** Streams gone wrong before MQTT, from random seeds, against a whole broker. */
import assert from 'node:assert/strict';
import { startBroker } from '../support/broker.js';
import { eventually } from '../support/waiting.js';
import { attack } from './attack.js';
import { edgeStream } from './edge-streams.js';
import { discardSessions, expectNothingLeft, warmUp } from './leavings.js';
import { Random } from './random.js';
import { Witness } from './witness.js';

/** Connections open at a time. */
const ABREAST = 25;
/** Who comes from here is a proxy; other clients come from 127.0.0.1. */
const PROXY = '127.0.0.2';

/**
 * Sends `streams` streams to a broker, half of them as a proxy's.
 * @throws AssertionError when a good pair notices something, or something is left behind.
 */
export async function fuzzEdge(seed: number, workers: number, streams: number): Promise<void> {
  const random = new Random(seed);
  await using broker = await startBroker({
    workers,
    connectTimeout: 1,
    proxyProtocolFrom: [PROXY],
    maxConnectionsPerAddress: 3,
    logLevel: 'error',
  });
  await broker.server.listenAndServe('ws://127.0.0.1:0');
  const webSocket = broker.server.addresses.at(-1)!;
  const descriptors = await warmUp(broker);
  const clientIds = new Set<string>();
  broker.server.on('connected', (clientId) => clientIds.add(clientId));
  const witness = await Witness.start(broker);
  let left = streams;
  const attackOn = async (): Promise<void> => {
    while (left-- > 0) {
      const isProxied = random.onceIn(2);
      const stream = edgeStream(random, isProxied);
      await attack(webSocket, stream, random, isProxied ? PROXY : undefined);
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, attackOn));
  await witness.stop();
  await discardSessions(broker, clientIds);
  await eventually(() => broker.server.stats().clientIds === 0, 'client ids to be free');
  await expectNothingLeft(broker, descriptors);
  assert.equal(broker.server.stats().shardDeaths, 0);
  const { closed } = broker.server.stats();
  const reasons = ['proxy-header', 'handshake-failed', 'malformed-packet'] as const;
  for (const reason of reasons) assert.ok(closed[reason] > 0, `some are closed as ${reason}`);
}
