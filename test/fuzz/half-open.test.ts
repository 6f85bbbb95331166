/** Hundreds of clients that begin and do not go on. A seed that fails: `--seed=<number>`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { startBroker, WORKER_COUNTS } from '../support/broker.js';
import { connect } from '../support/packets.js';
import { dial } from '../support/raw-client.js';
import { expectNothingLeft, warmUp } from './leavings.js';
import { Random, SEED } from './random.js';
import { Witness } from './witness.js';

const HALF_OPEN = 800;

for (const workers of WORKER_COUNTS) {
  describe(`a broker and half-open clients, ${workers} workers, seed ${SEED}`, () => {
    test('half of a CONNECT, hundreds of times, is closed at its time-out', async () => {
      const random = new Random(SEED + workers + 100);
      await using broker = await startBroker({ workers, connectTimeout: 1, logLevel: 'error' });
      const descriptors = await warmUp(broker);
      const witness = await Witness.start(broker);
      const whole = connect({ clientId: 'half', will: { topic: 'never', payload: 'sent' } });
      const closed: Promise<void>[] = [];
      for (let count = 0; count < HALF_OPEN; count++) {
        const socket = dial(broker);
        socket.on('error', () => {}).resume();
        socket.write(whole.subarray(0, random.below(whole.length)));
        closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
        if (count % 100 === 0) await nextTurn();
      }
      await Promise.all(closed);
      assert.equal(broker.server.stats().closed['connect-timeout'], HALF_OPEN);
      await witness.stop();
      await expectNothingLeft(broker, descriptors);
    });
  });
}
