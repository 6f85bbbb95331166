/**
 * Random histories of dozens of clients against the sequential reference: see rules.ts for what
 * must hold. Always the same seeds here, some with rings that are always full;
 * `node dist/scripts/model.js` runs others, more of them, and with shards that die. Where a seed
 * fails, its shortest history is what the test says.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkSeeds } from './check-seeds.js';

/** Which histories: numbers of workers, of seeds, and bytes of the rings where they are small. */
const RUNS: readonly { workers: number; seeds: number; ringBytes?: number }[] = [
  { workers: 1, seeds: 20 },
  { workers: 2, seeds: 20 },
  { workers: 3, seeds: 20 },
  { workers: 3, seeds: 10, ringBytes: 65_536 },
];
/** Rules that the broker does not keep yet, with any number of workers. */
const NOT_KEPT_YET: readonly string[] = [];
/** And with several, as a SUBACK would have to wait for the answers of other shards. */
const NOT_KEPT_BETWEEN_SHARDS_YET: readonly string[] = [
  // What another shard retains is left out when a newer one comes live before it.
  'retainedValueComesAsRetained',
];
const PATIENCE_MS = 8_000;
const SHRINK_MS = 20_000;

for (const { workers, seeds, ringBytes } of RUNS) {
  const rings = ringBytes === undefined ? '' : ', full rings';
  describe(`random histories, ${workers} workers, ${seeds} seeds${rings}`, () => {
    test('what clients observe is explained by one order of what they did', async () => {
      const { texts, deliveries } = await checkSeeds({
        workers,
        first: 1,
        seeds,
        ...(ringBytes === undefined ? {} : { ringBytes }),
        kills: false,
        fillsRings: ringBytes !== undefined,
        patienceMs: PATIENCE_MS,
        shrinkMs: SHRINK_MS,
        ignored: new Set([...NOT_KEPT_YET, ...(workers > 1 ? NOT_KEPT_BETWEEN_SHARDS_YET : [])]),
        faultySeedsMax: 1,
      });
      assert.deepEqual(texts, [], texts.join('\n'));
      assert.ok(deliveries > seeds * 100, `${deliveries} deliveries`);
    });
  });
}
