/** `surgemq store` on what a broker keeps, while it runs and after. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server } from '../../src/index.js';
import { TestClient } from '../support/test-client.js';
import { runOf, TemporaryStore, temporaryFolder } from '../unit/store/temporary-store.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SESSION = { clientId: 'absent', cleanSession: false };

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function store(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, 'store', ...args]);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

async function serve(dataDir: string): Promise<Server> {
  const server = new Server({ workers: 1, sessionsProvider: 'lmdb', dataDir });
  await server.listenAndServe('tcp://127.0.0.1:0');
  return server;
}

describe('surgemq store', () => {
  test('explains itself, and says what it does not do', async () => {
    const [help, nothing, wrong, more] = await Promise.all([
      store('--help'),
      store(),
      store('chek'),
      store('compact', 'a', 'b'),
    ]);
    assert.deepEqual(help, nothing);
    assert.equal(help.code, 0);
    for (const action of ['check', 'dump', 'backup', 'restore', 'compact']) {
      assert.match(help.out, new RegExp(`^  ${action} `, 'm'));
    }
    const hint = 'surgemq: chek is nothing that store does; did you mean check?\n';
    assert.deepEqual(wrong, { code: 1, out: '', err: hint });
    assert.deepEqual(more, { code: 1, out: '', err: 'surgemq: b is no flag of store\n' });
  });

  test('copies a running broker, and another one has its sessions', async (context) => {
    const folder = temporaryFolder(context);
    const [data, copied] = [join(folder, 'data'), join(folder, 'other')];
    const backup = join(folder, 'backup');
    {
      await using server = await serve(data);
      const absent = await TestClient.connect(server.addresses[0], SESSION);
      await absent.subscribe(['a/+', 2]);
      await absent.disconnect();
      const publisher = await TestClient.connect(server.addresses[0]);
      await publisher.publish('a/b', 'kept', { qos: 2 });
      const dumped = await store('dump', '--data-dir', data);
      const lines = dumped.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ kind }) => kind),
        ['store', 'session', 'subscription', 'message'],
      );
      assert.equal(lines[3].payload, Buffer.from('kept').toString('base64'));
      const checked = await store('check', '--data-dir', data);
      assert.match(checked.out, /1 sessions, 1 subscriptions, 1 messages.*: nothing is wrong\n$/);
      assert.equal(checked.code, 0);
      assert.equal((await store('backup', backup, '--data-dir', data)).code, 0);
      assert.equal(statSync(backup).mode & 0o777, 0o600);
      const again = await store('backup', backup, '--data-dir', data);
      assert.match(again.err, /backup is there: a backup replaces nothing/);
      const refused = await store('compact', '--data-dir', data);
      assert.match(refused.err, /belongs to surgemq with process id \d+/);
      await publisher.cut();
    }
    assert.equal((await store('check', backup)).code, 0);
    assert.equal((await store('restore', backup, '--data-dir', copied)).code, 0);
    await using server = await serve(copied);
    const present = await TestClient.connect(server.addresses[0], SESSION);
    assert.equal(String((await present.nextMessage()).payload), 'kept');
    await present.cut();
  });

  test('gives room that is not used back to the disk', async (context) => {
    const kept = new TemporaryStore(context);
    const { journal, settled } = kept.journal();
    journal.putSession(1, 'a', {});
    for (let n = 0; n < 50; n++) {
      const run = runOf('x'.repeat(100_000));
      journal.queue(1, n, run, run.bytes.length, 0x32, 1);
    }
    await settled();
    journal.left(1, 49);
    await settled();
    await kept.close();
    const before = statSync(kept.environment.path).size;
    const compacted = await store('compact', '--data-dir', kept.folder);
    assert.equal(compacted.code, 0, compacted.err);
    assert.ok(statSync(kept.environment.path).size < before / 10);
    assert.match((await store('check', kept.folder)).out, /1 messages.*: nothing is wrong/);
  });

  // A backup may come from another machine, or by other hands.
  test('restores to its owner alone what anybody may read and nobody write', async (context) => {
    const kept = new TemporaryStore(context);
    const { journal, settled } = kept.journal();
    journal.putSession(1, 'a', {});
    await settled();
    await kept.close();
    const file = kept.environment.path;
    const data = temporaryFolder(context);
    const target = join(data, 'store.mdb');
    for (const mode of [0o444, 0o666]) {
      chmodSync(file, mode);
      assert.equal((await store('restore', file, '--data-dir', data)).code, 0);
      assert.equal(statSync(target).mode & 0o777, 0o600);
    }
    assert.equal((await store('check', `${target}.replaced`)).code, 0);
  });

  test('says in a line that a dump is not written, as the disk is full', async (context) => {
    const kept = new TemporaryStore(context);
    await kept.close();
    const full = openSync('/dev/full', 'w');
    context.after(() => closeSync(full));
    const args = [MAIN, 'store', 'dump', '--data-dir', kept.folder];
    const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] });
    let err = '';
    child.stderr!.on('data', (chunk) => {
      err += chunk;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
    assert.match(err, /^surgemq: what is printed is not written: ENOSPC.*\n$/);
  });

  test('says in words what is wrong with a file', async (context) => {
    const folder = temporaryFolder(context);
    const kept = new TemporaryStore(context, join(folder));
    const { journal, settled } = kept.journal();
    const run = runOf('x'.repeat(3_000));
    for (const number of [1, 2]) {
      journal.putSession(number, `client ${number}`, {});
      journal.queue(number, 0, run, run.bytes.length, 0x32, 1);
    }
    await settled();
    await kept.close();
    const whole = readFileSync(kept.environment.path);
    const [cut, none] = [join(folder, 'cut'), join(folder, 'none')];
    writeFileSync(cut, whole);
    truncateSync(cut, whole.length / 2);
    writeFileSync(none, 'no store');
    const cases = [
      [cut, /cut was cut off: it has \d+ of \d+ bytes: restore a backup/],
      [none, /none is no store, or its beginning is damaged: restore a backup/],
      [join(folder, 'nowhere'), /there is no store in .*nowhere/],
    ] as const;
    for (const [path, what] of cases) {
      const { code, err } = await store('check', path);
      assert.equal(code, 1);
      assert.match(err, what);
      const restored = await store('restore', path, '--data-dir', join(folder, 'other'));
      assert.equal(restored.code, 1);
    }
    // A page of noise in the place of each; those that hold no more than a payload tell nothing.
    const noise = Buffer.alloc(4_096, 0xa5);
    let damaged = 0;
    for (let at = 2 * noise.length; at < whole.length; at += 3 * noise.length) {
      const path = join(folder, 'noise');
      const file = Buffer.from(whole);
      noise.copy(file, at);
      writeFileSync(path, file);
      const { code, err } = await store('check', path);
      if (code === 0) continue;
      damaged++;
      // LMDB may say something of its own before.
      assert.match(err, /^surgemq: /m);
      assert.doesNotMatch(err, /\n {4}at /);
    }
    assert.ok(damaged > 0);
  });
});
