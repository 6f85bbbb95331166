/** Random work of two journals: what is found is what they have said. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../fuzz/random.js';
import { TemporaryStore } from './temporary-store.js';
import { contentAfter, contentOf, Workload } from './workload.js';

describe('the store', () => {
  for (const seed of [1, 2, 3, 4]) {
    test(`has what two journals have said, seed ${seed}`, async (context) => {
      const store = new TemporaryStore(context);
      const random = new Random(seed);
      const journals = [store.journal(), store.journal()];
      const workloads = journals.map((_, index) => new Workload(seed, index));
      for (let round = 0; round < 60; round++) {
        for (const [index, { journal }] of journals.entries()) {
          for (let n = random.below(40); n > 0; n--) {
            workloads[index].step(journal);
            if (random.onceIn(5)) journal.submit();
          }
        }
        for (const { settled } of journals) await settled();
        const steps = workloads.map((workload) => workload.steps);
        assert.deepEqual(contentOf(store.reader), contentAfter(seed, steps));
      }
      for (const { clientId, number } of [...store.reader.sessions(() => true)]) {
        journals[0].journal.dropSession(number, clientId);
      }
      await journals[0].settled();
      // Nothing stays behind of sessions, runs and counts.
      assert.deepEqual(Object.keys(store.rows()), ['retained']);
    });
  }
});
