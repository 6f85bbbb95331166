/**
 * Sequences that a broker keeps state for, against a model of what it must do. The seed is always
 * the same here; `node dist/scripts/fuzz.js` runs others, for as long as one likes.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startBroker } from '../support/broker.js';
import { Random } from './random.js';
import { runTraffic, TRAFFIC_OPTIONS } from './traffic.js';

const SEED = 9;
const PACKETS = 8_000;

for (const workers of [2, 3]) {
  describe(`stateful sequences, ${workers} workers, seed ${SEED}`, () => {
    test('of held, released and repeated messages every subscriber gets each once', async () => {
      await using broker = await startBroker({ ...TRAFFIC_OPTIONS, workers });
      const report = await runTraffic(broker, workers, new Random(SEED + workers), PACKETS);
      assert.ok(report.received > PACKETS);
    });
  });
}
