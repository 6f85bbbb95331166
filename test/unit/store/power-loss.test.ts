/**
 * Power is lost while a transaction is being written. Between two syncs a disk writes what it likes
 * of what it was given, in any order, and the last page perhaps in part: each such file is opened,
 * and what was durable before must be there, and nothing else.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { StoreReader } from '../../../src/store/store-reader.js';
import { Random } from '../../fuzz/random.js';
import { TemporaryStore, temporaryFolder } from './temporary-store.js';
import { contentAfter, contentOf, Workload } from './workload.js';

const PAGE_BYTES = 4_096;
/** Pages that say which tree is valid: written last, behind a sync of all others. */
const META_PAGES = 2;

/** The file when only some pages of a transaction have reached the disk. */
function interrupted(before: Buffer, after: Buffer, random: Random): Buffer {
  const pages = after.length / PAGE_BYTES;
  // A file that has not grown yet, or has, or in part.
  const last = random.onceIn(2) ? pages : before.length / PAGE_BYTES;
  const file = Buffer.alloc(last * PAGE_BYTES);
  before.copy(file);
  for (let page = META_PAGES; page < last; page++) {
    if (random.onceIn(2)) continue;
    const start = page * PAGE_BYTES;
    const bytes = random.onceIn(4) ? 512 * random.below(8) : PAGE_BYTES;
    after.copy(file, start, start, start + bytes);
  }
  return file;
}

async function opened(context: TestContext, file: Buffer, check: (reader: StoreReader) => void) {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'store.mdb'), file);
  const reader = new StoreReader({ folder, durability: 'fsync' });
  check(reader);
  await reader.close();
}

describe('a store that loses power', () => {
  for (const seed of [1, 2]) {
    test(`has what was durable, seed ${seed}`, async (context) => {
      const random = new Random(seed);
      const store = new TemporaryStore(context);
      const { journal, settled } = store.journal();
      const workload = new Workload(seed, 0);
      await settled();
      let before = readFileSync(store.environment.path);
      let steps = 0;
      for (let round = 0; round < 25; round++) {
        for (let n = 1 + random.below(100); n > 0; n--) workload.step(journal);
        await settled();
        const after = readFileSync(store.environment.path);
        const expected = contentAfter(seed, [steps]);
        for (let n = 0; n < 3; n++) {
          await opened(context, interrupted(before, after, random), (reader) => {
            assert.deepEqual(contentOf(reader), expected, `round ${round}`);
          });
        }
        steps = workload.steps;
        before = after;
      }
      const last = contentAfter(seed, [steps]);
      await opened(context, before, (reader) => assert.deepEqual(contentOf(reader), last));
    });
  }
});
