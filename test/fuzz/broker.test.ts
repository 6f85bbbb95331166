/**
 * Bad streams from random seeds against a whole broker: nobody else may notice, and nothing of them
 * may stay. A seed that fails is run again with `--seed=<number>`.
 */
import { describe, test } from 'node:test';
import { startBroker, WORKER_COUNTS } from '../support/broker.js';
import { eventually } from '../support/waiting.js';
import { attack } from './attack.js';
import { badStream } from './bad-streams.js';
import { discardSessions, expectNothingLeft, warmUp } from './leavings.js';
import { Random, SEED } from './random.js';
import { Witness } from './witness.js';

const AUTHENTICATOR = new URL('../support/exchanging-authenticator.js', import.meta.url).href;
const STREAMS = 200;
/** Connections open at a time. */
const ABREAST = 25;

for (const workers of WORKER_COUNTS) {
  describe(`a broker under fuzz, ${workers} workers, seed ${SEED}`, () => {
    test('bad streams leave nothing behind, and a good pair notices nothing', async () => {
      const random = new Random(SEED + workers);
      await using broker = await startBroker({
        workers,
        connectTimeout: 1,
        authTimeout: 1,
        authenticator: AUTHENTICATOR,
        logLevel: 'error',
      });
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
