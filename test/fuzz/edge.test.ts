/** A short run of what scripts/fuzz-edge.ts does for long. */
import { describe, test } from 'node:test';
import { fuzzEdge } from './edge.js';
import { SEED } from './random.js';

describe(`the edge of a broker under fuzz, seed ${SEED}`, () => {
  test('WebSockets and proxies gone wrong leave nothing behind, and nobody notices', async () => {
    await fuzzEdge(SEED, 2, 150);
  });
});
