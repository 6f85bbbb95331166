/** A disk with little room left: what is still written, and what is not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { STORE_AHEAD_BYTES, STORE_TREE_BYTES } from '../../../src/base/limits.js';
import { eventually } from '../../support/waiting.js';
import { runOf, TemporaryStore, temporaryFolder } from './temporary-store.js';

const SNAPSHOT = new URL('../../../src/store/store-snapshot.js', import.meta.url).href;
/** Looks at a store, and goes on doing so. */
const READER = `
  const { StoreSnapshot } = await import(process.argv[1]);
  const snapshot = new StoreSnapshot(process.argv[2]);
  snapshot.get('sessions', Buffer.from([0]));
  setInterval(() => snapshot, 1_000);
  process.stdout.write('reads');
`;

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
    const args = ['--input-type=module', '-e', READER, SNAPSHOT, store.folder];
    const reader = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(reader.stdout, 'data');
    assert.equal(environment.isReadElsewhere, true);
    const closed = once(reader, 'close');
    reader.kill('SIGKILL');
    await closed;
    assert.equal(environment.isReadElsewhere, false);
  });
});
