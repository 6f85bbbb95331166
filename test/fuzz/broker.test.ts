/**
 * Bad streams from random seeds against a whole broker: nobody else may notice, and nothing of them
 * may stay. A seed that fails is run again with `--seed=<number>`.
 */
import { createConnection } from 'node:net';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Broker, startBroker, WORKER_COUNTS } from '../support/broker.js';
import { eventually } from '../support/waiting.js';
import { badStream } from './bad-streams.js';
import { discardSessions, expectNothingLeft, warmUp } from './leavings.js';
import { Random, SEED } from './random.js';
import { Witness } from './witness.js';

const STREAMS = 200;
/** Connections open at a time. */
const ABREAST = 25;

/** Sends a stream, in pieces or whole, and ends it in one of the ways there are. */
function attack(broker: Broker, bytes: Buffer, random: Random): Promise<void> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.onceIn(3) ? 1 + random.below(100) : bytes.length;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  const ending = random.below(3);
  const isDeaf = random.onceIn(4);
  return new Promise((resolve) => {
    const socket = createConnection(broker.port, broker.host);
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    if (isDeaf) socket.pause();
    else socket.resume();
    socket.on('connect', async () => {
      for (const piece of pieces) {
        if (!socket.writable) break;
        socket.write(piece);
        if (pieces.length < 50) await nextTurn();
      }
      if (ending === 0) socket.destroy();
      else if (ending === 1) socket.resetAndDestroy();
      else socket.end().resume();
    });
  });
}

for (const workers of WORKER_COUNTS) {
  describe(`a broker under fuzz, ${workers} workers, seed ${SEED}`, () => {
    test('bad streams leave nothing behind, and a good pair notices nothing', async () => {
      const random = new Random(SEED + workers);
      await using broker = await startBroker({ workers, connectTimeout: 1, logLevel: 'error' });
      const descriptors = await warmUp(broker);
      // Bits flip in client ids too, so nobody else knows all that there were.
      const clientIds = new Set<string>();
      broker.server.on('connected', (clientId) => clientIds.add(clientId));
      const witness = await Witness.start(broker);
      let left = STREAMS;
      const attackOn = async () => {
        while (left-- > 0) await attack(broker, badStream(random), random);
      };
      await Promise.all(Array.from({ length: ABREAST }, attackOn));
      await witness.stop();
      await discardSessions(broker, clientIds);
      await eventually(() => broker.server.stats().clientIds === 0, 'client ids to be free');
      await expectNothingLeft(broker, descriptors);
    });
  });
}
