/** A disk with little room left: what is still written, and what is not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  RETAINED_WAIT_TICKS,
  STORE_AHEAD_BYTES,
  STORE_TREE_BYTES,
} from '../../../src/base/limits.js';
import { KeptRetained } from '../../../src/store/kept-retained.js';
import { eventually } from '../../support/waiting.js';
import { retainedIn, runOf, TemporaryStore, temporaryFolder } from './temporary-store.js';

const SNAPSHOT = new URL('../../../src/store/store-snapshot.js', import.meta.url).href;
/** Looks at a store, and goes on doing so. */
const READER = `
  const { StoreSnapshot } = await import(process.argv[1]);
  const snapshot = new StoreSnapshot(process.argv[2]);
  snapshot.get('sessions', Buffer.from([0]));
  setInterval(() => snapshot, 1_000);
  process.stdout.write('reads');
`;

/** Has another process read. @returns what kills it. */
async function readElsewhere({ folder }: TemporaryStore): Promise<() => Promise<void>> {
  const args = ['--input-type=module', '-e', READER, SNAPSHOT, folder];
  const reader = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(reader.stdout, 'data');
  return async () => {
    const closed = once(reader, 'close');
    reader.kill('SIGKILL');
    await closed;
  };
}

describe('a disk with little room left', () => {
  // [MQTT-4.3.2-2], README: nothing more is acknowledged, and what was is taken away by who comes.
  test('takes what is on its way, and what lets messages go, but no more', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    store.diskRoom = STORE_AHEAD_BYTES;
    const run = runOf('x'.repeat(1_000));
    journal.putSession(1, 'a', {});
    journal.queue(1, 0, run, run.bytes.length, 0x32, 1);
    await settled();
    assert.equal(journal.isFailing, true);
    journal.left(1, 1);
    await settled();
    assert.deepEqual(store.rows().queue, undefined);
    assert.equal(journal.isFailing, true);
    assert.match(store.failures[0]!, /^the disk is full/);
    store.diskRoom = Number.POSITIVE_INFINITY;
    await eventually(() => !journal.isFailing, 'publishers to go on');
    assert.equal(store.failures.at(-1), null);
  });

  // LMDB must not meet a full disk (disk-reserve.ts): a long row is no use of pages here and there.
  test('takes no long message for pages that do not follow each other', async (context) => {
    const folder = temporaryFolder(context);
    const count = 1_600;
    const before = new TemporaryStore(context, folder);
    const filled = before.journal();
    for (let n = 0; n < count; n++) filled.journal.retain(`t${n}`, `1${'x'.repeat(3_000)}`);
    await filled.settled();
    for (let n = 0; n < count; n += 2) filled.journal.retain(`t${n}`, null);
    await filled.settled();
    await before.close();
    const store = new TemporaryStore(context, folder);
    const { journal, settled } = store.journal();
    store.diskRoom = STORE_TREE_BYTES;
    journal.retain('short', `1${'x'.repeat(1_000)}`);
    await settled();
    journal.retain('long', `1${'x'.repeat(100_000)}`);
    const written = settled();
    // Twice: once for what is ahead, and once for this one.
    await eventually(() => store.failures.length > 1, 'it to be refused');
    assert.ok(journal.durable < journal.appended);
    store.diskRoom = Number.POSITIVE_INFINITY;
    await written;
  });

  test('is known to have no pages to spare that another process reads', async (context) => {
    const store = new TemporaryStore(context);
    const { environment } = store;
    assert.equal(environment.isReadElsewhere, false);
    const end = await readElsewhere(store);
    assert.equal(environment.isReadElsewhere, true);
    await end();
    assert.equal(environment.isReadElsewhere, false);
  });

  // As when `surgemq store dump` is interrupted: LMDB takes it to read for ever.
  test('is not filled because of a process that has ended while it read', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const growth = async () => {
      const before = statSync(store.environment.path).size;
      for (let n = 0; n < 20; n++) {
        for (let topic = 0; topic < 20; topic++)
          journal.retain(`t${topic}`, `1${'x'.repeat(3_000)}`);
        await settled();
      }
      return statSync(store.environment.path).size - before;
    };
    const end = await readElsewhere(store);
    assert.ok((await growth()) > 0);
    await end();
    await eventually(async () => (await growth()) === 0, 'pages to be used again');
  });

  // Nobody who publishes at QoS 0 can be asked to wait. [MQTT-3.3.1-5]: the last of it is retained.
  test('gathers no more than a journal holds of what few topics retain', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal(() => kept.onDurable());
    const parts = { journal, reader: store.reader, shardIndex: 0, shardCount: 1 };
    const kept: KeptRetained = new KeptRetained({ ...parts, isOwn: () => true });
    store.isDiskFull = true;
    const filling = 'x'.repeat(2 ** 20);
    while (!journal.isFull) kept.set('a', `1${filling}`, false);
    const { appended } = journal;
    kept.set('a', '1second last', false);
    kept.set('a', '1last', false);
    kept.set('b', '1another', false);
    kept.noteTotals(2, 13);
    assert.equal(journal.appended, appended);
    assert.equal(kept.get('a'), '1last');
    store.isDiskFull = false;
    await settled();
    for (let tick = 0; tick < RETAINED_WAIT_TICKS; tick++) kept.onTick();
    kept.beforeSubmit();
    await settled();
    assert.deepEqual(retainedIn(store.reader), [
      { topicKey: 'a', message: '1last' },
      { topicKey: 'b', message: '1another' },
    ]);
  });
});
