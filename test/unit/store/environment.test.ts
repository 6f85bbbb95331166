/** The store on disk: its folder, its lock, its version, and what a kill leaves of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { open } from 'lmdb';
import { sharedMs } from '../../../src/base/clock.js';
import { DataFolder } from '../../../src/store/data-folder.js';
import { Environment } from '../../../src/store/environment.js';
import { entryKey, positionOf, sessionKey, subscriptionKey } from '../../../src/store/keys.js';
import { runOf, TemporaryStore, temporaryFolder } from './temporary-store.js';

/** A user who may do nothing. */
const NOBODY = 65_534;

function openIn(context: TestContext, folder: string): Environment {
  const environment = new Environment(folder, 'fsync');
  context.after(() => environment.close());
  return environment;
}

describe('a data folder', () => {
  test('belongs to one broker, which is named to others', (context) => {
    const folder = temporaryFolder(context);
    const first = DataFolder.open(folder);
    assert.throws(() => DataFolder.open(folder), {
      code: 'SURGEMQ_CONFIG',
      message: new RegExp(`belongs to surgemq with process id ${process.pid}`),
    });
    first.close();
    DataFolder.open(folder).close();
  });

  test('is made where there is none, and refused where a file is', (context) => {
    const folder = temporaryFolder(context);
    DataFolder.open(join(folder, 'a', 'b')).close();
    writeFileSync(join(folder, 'file'), '');
    assert.throws(() => DataFolder.open(join(folder, 'file')), /it is no folder/);
    assert.throws(() => DataFolder.open(join(folder, 'file', 'c')), /is no folder/);
  });
});

describe('a data folder that is read-only', () => {
  test('is refused by name', (context) => {
    const parent = temporaryFolder(context);
    mkdirSync(join(parent, 'data'));
    chmodSync(join(parent, 'data'), 0o555);
    chmodSync(parent, 0o755);
    // Root may write everywhere.
    const user = process.getuid!();
    if (user === 0) process.seteuid!(NOBODY);
    try {
      assert.throws(() => DataFolder.open(join(parent, 'data')), {
        code: 'SURGEMQ_CONFIG',
        message: /dataDir .*data cannot be used: this process may not write there/,
      });
    } finally {
      process.seteuid!(user);
    }
  });
});

describe('the store', () => {
  test('keeps what is durable when its process is killed', async (context) => {
    const folder = temporaryFolder(context);
    const module = (name: string) =>
      JSON.stringify(new URL(`../../../src/store/${name}.js`, import.meta.url).href);
    const program = `
      import { Environment } from ${module('environment')};
      import { entryKey } from ${module('keys')};
      const environment = new Environment(${JSON.stringify(folder)}, 'fsync');
      let position = 0;
      const more = () => {
        environment.transaction(() => {
          for (let n = 0; n < 100; n++) {
            const row = Buffer.from(String(position));
            environment.tables.queue.putSync(entryKey(1, position), row);
            position++;
          }
        });
        process.stdout.write(position + '\\n');
        setImmediate(more);
      };
      more();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    let said = '';
    child.stdout.on('data', (text: Buffer) => {
      said += text;
      if (said.split('\n').length > 5) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const durable = Number(said.trim().split('\n').at(-1));
    const { tables } = openIn(context, folder);
    for (let position = 0; position < durable; position++) {
      assert.equal(String(tables.queue.get(entryKey(1, position))), String(position));
    }
    assert.ok(durable > 100, said);
  });

  test('gives the rows of a session in the order of their positions', async (context) => {
    const environment = openIn(context, temporaryFolder(context));
    for (const [session, position] of [
      [1, 256],
      [1, 2],
      [2, 0],
      [1, 65_536],
      [0, 7],
    ] as const) {
      environment.tables.queue.putSync(entryKey(session, position), Buffer.from('x'));
    }
    const range = { start: entryKey(1, 0), end: entryKey(2, 0) };
    const positions = [...environment.tables.queue.getKeys(range)].map(positionOf);
    assert.deepEqual(positions, [2, 256, 65_536]);
  });

  test('takes client ids and topics of any length, and tells them apart', async (context) => {
    const environment = openIn(context, temporaryFolder(context));
    const long = 'x'.repeat(65_534);
    for (const end of ['a', 'b']) {
      environment.tables.sessions.putSync(sessionKey(long + end), Buffer.from(end));
      environment.tables.subscriptions.putSync(subscriptionKey(1, long + end), Buffer.from(end));
    }
    const { sessions, subscriptions } = environment.tables;
    assert.equal(String(sessions.get(sessionKey(`${long}b`))), 'b');
    assert.equal(String(subscriptions.get(subscriptionKey(1, `${long}a`))), 'a');
  });

  test('of a newer version is refused by name', async (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, 'store.mdb');
    const newer = open({ path, noSubdir: true, encoding: 'binary', keyEncoding: 'binary' });
    newer.putSync(Buffer.from('version'), Buffer.from([9]));
    await newer.close();
    assert.throws(() => new Environment(folder, 'fsync'), {
      code: 'SURGEMQ_CONFIG',
      message: /store\.mdb is a store of version 9, and this program knows 1/,
    });
  });

  test('of an older version is migrated, once', async (context) => {
    const folder = temporaryFolder(context);
    const key = sessionKey('a');
    const old = new Environment(folder, 'fsync');
    old.tables.sessions.putSync(key, Buffer.from('of 1'));
    await old.close();
    const steps = [2, 3].map((version) => ({ tables }: Pick<Environment, 'tables'>) => {
      const row = tables.sessions.get(key);
      tables.sessions.putSync(key, Buffer.from(`${row}, ${version}`));
    });
    for (const migrations of [steps, steps]) {
      const environment = new Environment(folder, 'fsync', migrations);
      assert.equal(String(environment.tables.sessions.get(key)), 'of 1, 2, 3');
      await environment.close();
    }
    assert.throws(() => new Environment(folder, 'fsync'), /is a store of version 3/);
  });

  test('is for its owner alone', (context) => {
    const { path } = openIn(context, temporaryFolder(context));
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  // What has no expiry of its own is not touched by the date, and what has lives longer.
  test('loses nothing when the clock is set back', async (context) => {
    const store = new TemporaryStore(context);
    const { journal, settled } = store.journal();
    const run = runOf('a', 1, sharedMs() + 60_000);
    journal.queue(1, 0, run, run.bytes.length, 0x32, 1);
    await settled();
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() - 86_400_000 });
    const [entry] = store.reader.entries(1, 0, 1);
    assert.ok(entry.run.expiresAt > sharedMs() + 86_400_000);
  });

  test('that is no store is refused by name', (context) => {
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, 'store.mdb'), 'x'.repeat(20_000));
    assert.throws(() => new Environment(folder, 'fsync'), {
      code: 'SURGEMQ_CONFIG',
      message: /store\.mdb is no store, or its beginning is damaged: restore a backup/,
    });
  });

  test('that was cut off is refused by name', async (context) => {
    const folder = temporaryFolder(context);
    const environment = new Environment(folder, 'fsync');
    environment.transaction(() => {
      for (let n = 0; n < 1_000; n++) {
        environment.tables.queue.putSync(entryKey(1, n), Buffer.alloc(100));
      }
    });
    await environment.close();
    const path = join(folder, 'store.mdb');
    truncateSync(path, statSync(path).size / 2);
    assert.throws(() => new Environment(folder, 'fsync'), {
      code: 'SURGEMQ_CONFIG',
      message: /store\.mdb was cut off: it has \d+ of \d+ bytes: restore a backup/,
    });
  });

  test('that has only its first bytes is refused by name', (context) => {
    const folder = temporaryFolder(context);
    const environment = new Environment(folder, 'fsync');
    context.after(() => environment.close());
    const other = temporaryFolder(context);
    const bytes = readFileSync(environment.path).subarray(0, 4_096);
    writeFileSync(join(other, 'store.mdb'), bytes);
    assert.throws(() => new Environment(other, 'fsync'), /its second page is none of a store/);
  });

  test('is copied while it is written to', async (context) => {
    const folder = temporaryFolder(context);
    const environment = openIn(context, folder);
    const { queue } = environment.tables;
    queue.putSync(entryKey(1, 1), Buffer.from('before'));
    const copies = temporaryFolder(context);
    const copied = environment.backup(join(copies, 'store.mdb'));
    queue.putSync(entryKey(1, 2), Buffer.from('meanwhile'));
    await copied;
    const copy = openIn(context, copies);
    assert.equal(String(copy.tables.queue.get(entryKey(1, 1))), 'before');
  });
});
