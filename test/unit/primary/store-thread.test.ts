/** The thread that writes the store, as the primary sees it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Durability } from '../../../src/base/durability.js';
import { silentLogger } from '../../../src/base/log.js';
import { Server } from '../../../src/index.js';
import { StoreThread } from '../../../src/primary/store-thread.js';
import { Journal } from '../../../src/store/journal.js';
import { sessionKey } from '../../../src/store/keys.js';
import type { ShardStoreStart } from '../../../src/store/store-messages.js';
import { StoreReader } from '../../../src/store/store-reader.js';
import { eventually } from '../../support/waiting.js';
import { runOf, TemporaryStore, temporaryFolder } from '../store/temporary-store.js';

const options = (dataDir: string) => ({
  config: { sessions: 'lmdb', dataDir, durability: 'fsync' as Durability, storeBytes: 0 },
  logger: silentLogger,
  onFailed: (error: Error) => assert.fail(error),
});

async function open(context: TestContext): Promise<{ store: StoreThread; folder: string }> {
  const folder = temporaryFolder(context);
  const store = await StoreThread.open(options(folder));
  context.after(() => store?.close());
  return { store: store!, folder };
}

function journalOf({ port, words }: ShardStoreStart): Journal {
  return new Journal({ port, words, onDurable: () => {}, onState: () => {} });
}

describe('the thread of the store', () => {
  test('is not there where sessions are in memory', async (context) => {
    const { config, ...others } = options(temporaryFolder(context));
    const store = await StoreThread.open({ ...others, config: { ...config, sessions: 'mem' } });
    assert.equal(store, null);
  });

  test('gives each shard numbers above all that are there, and apart', async (context) => {
    const { store } = await open(context);
    const starts = [await store.attach(0), await store.attach(1)];
    assert.deepEqual(
      starts.map(({ base }) => base),
      [32, 32],
    );
    const journal = journalOf(starts[0]);
    journal.putSession(32 + 5 * 32, 'a', {});
    await journal.close();
    assert.equal((await store.attach(0)).base, 7 * 32);
    starts[1].port.close();
  });

  test('has what a dead shard said on disk before its successor starts', async (context) => {
    const { store } = await open(context);
    const journal = journalOf(await store.attach(0));
    for (let n = 0; n < 1_000; n++) {
      journal.putSession(32 * n, `client ${n}`, {});
      journal.queue(32 * n, 0, runOf('a'), 5, 0x32, 1);
      journal.submit();
    }
    const successor = await store.attach(0);
    assert.equal(successor.base, 1_000 * 32);
    const reader = new StoreReader(successor);
    assert.equal([...reader.sessions(() => true)].length, 1_000);
    assert.notEqual(reader.ends(32 * 999), null);
    await reader.close();
    successor.port.close();
  });

  test('writes all that was said before it closes', async (context) => {
    const { store, folder } = await open(context);
    const journal = journalOf(await store.attach(0));
    journal.putSession(1, 'a', {});
    journal.submit();
    await store.close();
    const again = await StoreThread.open(options(folder));
    const reader = new StoreReader({ folder, durability: 'fsync' });
    assert.equal([...reader.sessions(() => true)].length, 1);
    await reader.close();
    await again!.close();
  });

  test('says so when it dies', async (context) => {
    const died = new Promise<Error>((onFailed) => {
      const folder = temporaryFolder(context);
      StoreThread.open({ ...options(folder), onFailed }).then(async (store) => {
        const { port } = await store!.attach(0);
        // What no journal writes.
        port.postMessage({ ticket: 1, position: 1, bytes: new ArrayBuffer(32), length: 32 });
      }, onFailed);
    });
    assert.match((await died).message, /the thread of the store died: a segment has a change/);
  });
});

describe('a server that keeps sessions on disk', () => {
  const server = (dataDir: string) => new Server({ workers: 2, sessionsProvider: 'lmdb', dataDir });
  const uri = 'tcp://127.0.0.1:0';

  test('starts and stops, and again', async (context) => {
    const folder = temporaryFolder(context);
    for (let n = 0; n < 2; n++) {
      const broker = server(folder);
      await broker.listenAndServe(uri);
      await broker.close();
    }
  });

  test('refuses a folder that another broker has, by its process id', async (context) => {
    const folder = temporaryFolder(context);
    await using first = server(folder);
    await first.listenAndServe(uri);
    await using second = server(folder);
    await assert.rejects(second.listenAndServe(uri), {
      code: 'SURGEMQ_CONFIG',
      message: new RegExp(`dataDir .* belongs to surgemq with process id ${process.pid}`),
    });
  });

  test('refuses a store that is none, in one line', async (context) => {
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, 'store.mdb'), 'x'.repeat(10_000));
    await using broker = server(folder);
    await assert.rejects(broker.listenAndServe(uri), {
      code: 'SURGEMQ_CONFIG',
      message: /^[^\n]*store\.mdb is no store[^\n]*$/,
    });
  });

  test('refuses a store that has what it cannot read, in one line', async (context) => {
    const folder = temporaryFolder(context);
    const store = new TemporaryStore(context, folder);
    store.environment.tables.sessions.putSync(sessionKey('a'), Buffer.from('?'));
    await store.close();
    await using broker = server(folder);
    await assert.rejects(broker.listenAndServe(uri), {
      code: 'SURGEMQ_CONFIG',
      message: /^the store in [^\n]* is damaged \(surgemq store check says more\): [^\n]*$/,
    });
  });

  test('that is closed while it starts leaves nothing behind', async (context) => {
    const folder = temporaryFolder(context);
    const broker = server(folder);
    const started = broker.listenAndServe(uri);
    const closed = once(broker, 'closed');
    await eventually(() => existsSync(join(folder, 'store.mdb')), 'the store to be opened');
    await Promise.all([
      assert.rejects(started, /closed while it started|is not open/),
      broker.close(),
    ]);
    await closed;
    await using again = server(folder);
    await again.listenAndServe(uri);
  });
});
