/**
 * Random histories of dozens of clients against the sequential reference: see rules.ts for what
 * must hold. Always the same seeds here, some with rings that are always full;
 * `node dist/scripts/model.js` runs others, more of them, and with shards that die;
 * `--restarts` those with a broker that is ended and killed. Where a seed
 * fails, its shortest history is what the test says.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkSeeds } from './check-seeds.js';

/** Which histories. */
interface ModelRun {
  readonly workers: number;
  readonly seeds: number;
  /** Of rings that are small. */
  readonly ringBytes?: number;
  /** The broker, with a store, is ended and killed meanwhile. */
  readonly restarts?: boolean;
}

const RUNS: readonly ModelRun[] = [
  { workers: 1, seeds: 20 },
  { workers: 2, seeds: 20 },
  { workers: 3, seeds: 20 },
  { workers: 3, seeds: 10, ringBytes: 65_536 },
  { workers: 1, seeds: 10, restarts: true },
  { workers: 2, seeds: 10, restarts: true },
];
/** Rules that the broker does not keep yet. */
const NOT_KEPT_YET: readonly string[] = [];
const PATIENCE_MS = 8_000;
const SHRINK_MS = 20_000;

for (const { workers, seeds, ringBytes, restarts = false } of RUNS) {
  const rings = ringBytes === undefined ? '' : ', full rings';
  const ends = restarts ? ', restarts' : '';
  describe(`random histories, ${workers} workers, ${seeds} seeds${rings}${ends}`, () => {
    test('what clients observe is explained by one order of what they did', async () => {
      const { texts, deliveries } = await checkSeeds({
        workers,
        first: 1,
        seeds,
        ...(ringBytes === undefined ? {} : { ringBytes }),
        kills: false,
        restarts,
        fillsRings: ringBytes !== undefined,
        patienceMs: PATIENCE_MS,
        shrinkMs: SHRINK_MS,
        ignored: new Set(NOT_KEPT_YET),
        faultySeedsMax: 1,
      });
      assert.deepEqual(texts, [], texts.join('\n'));
      assert.ok(deliveries > seeds * (restarts ? 10 : 100), `${deliveries} deliveries`);
    });
  });
}
