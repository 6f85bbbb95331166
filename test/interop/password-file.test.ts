/** Password files between mosquitto_passwd, Mosquitto and this broker. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ConnectRefusedError, connect } from '../../src/client/index.js';
import { startBroker } from '../support/broker.js';
import { startMosquitto } from '../support/mosquitto.js';
import type { Endpoint } from '../support/raw-client.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const run = promisify(execFile);

function passwd(...args: readonly string[]): Promise<unknown> {
  return run(process.execPath, [MAIN, 'passwd', ...args]);
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'surgemq-passwd-'));
});
after(() => rm(folder, { recursive: true }));

async function expectUsers(at: Endpoint, users: Readonly<Record<string, string>>): Promise<void> {
  const uri = `tcp://${at.host}:${at.port}`;
  for (const [username, password] of Object.entries(users)) {
    const options = { username, reconnect: false } as const;
    await (await connect(uri, { ...options, password })).disconnect();
    await assert.rejects(
      connect(uri, { ...options, password: `${password}.` }),
      ConnectRefusedError,
    );
  }
}

test('a file of mosquitto_passwd works here unchanged', async () => {
  const passwordFile = join(folder, 'theirs');
  const users = { ada: 'lovelace', 'us er': 'p:w$ä', bob: 'builder' };
  await run('mosquitto_passwd', ['-c', '-b', passwordFile, 'ada', users.ada]);
  await run('mosquitto_passwd', ['-b', passwordFile, 'us er', users['us er']]);
  await run('mosquitto_passwd', ['-H', 'sha512', '-b', passwordFile, 'bob', users.bob]);
  await using broker = await startBroker({ workers: 1, passwordFile });
  await expectUsers(broker, users);
});

test('a file of surgemq passwd works in Mosquitto, but for hashes of our own', async () => {
  const file = join(folder, 'ours');
  await passwd('-c', '-b', file, 'ada', 'lovelace');
  await passwd('-b', '-H', 'sha512', file, 'bob', 'builder');
  await passwd('-b', '-I', '101', file, 'eve', 'p:w$ä');
  // As root it would become a user who may not read the file.
  const more = [`password_file ${file}`, 'allow_anonymous false', 'user root'];
  const mosquitto = await startMosquitto(20, more);
  try {
    await expectUsers(mosquitto, { ada: 'lovelace', bob: 'builder', eve: 'p:w$ä' });
  } finally {
    await mosquitto.close();
  }
});

test('surgemq passwd changes, removes and upgrades users, each time the whole file', async () => {
  const file = join(folder, 'edited');
  await writeFile(file, '# users\nada:lovelace\nbob:builder\n', { mode: 0o644 });
  await passwd('-U', file);
  const upgraded = await readFile(file, 'utf8');
  assert.match(upgraded, /^# users\nada:\$7\$1000\$\S+\nbob:\$7\$1000\$\S+\n$/);
  // What others could read of it they cannot any more.
  assert.equal((await stat(file)).mode & 0o777, 0o640);
  await passwd('-U', file);
  assert.equal(await readFile(file, 'utf8'), upgraded, 'hashed once more');
  await passwd('-b', '--hash', 'scrypt', file, 'ada', 'byron');
  await passwd('-D', file, 'bob');
  assert.match(await readFile(file, 'utf8'), /^# users\nada:\$scrypt\$ln=14,r=8,p=1\$\S+\n$/);
  await passwd('--scram', '-b', '-c', join(folder, 'fresh'), 'ada', 'lovelace');
  assert.equal((await stat(join(folder, 'fresh'))).mode & 0o777, 0o600);
});

test('surgemq passwd leaves the file as it is when something is wrong', async () => {
  const file = join(folder, 'kept');
  await passwd('-c', '-b', file, 'ada', 'lovelace');
  const before = await readFile(file, 'utf8');
  const wrong = [
    ['-D', file, 'bob'],
    ['-b', file, 'a:b', 'x'],
    ['-b', file, 'a\nb', 'x'],
    ['-b', file, '#a', 'x'],
    ['-b', file, ' a', 'x'],
    ['-b', file, 'a', ''],
    ['-b', '-H', 'md5', file, 'a', 'x'],
    ['-b', '-I', '0', file, 'a', 'x'],
    ['-b', '--scram', '-H', 'sha512', file, 'a', 'x'],
    ['-b', '-D', file, 'a'],
    ['-b', join(folder, 'nothing'), 'a', 'x'],
    [file],
  ];
  for (const args of wrong) {
    const error = await passwd(...args).then(
      () => null,
      (fault: { code: number; stderr: string }) => fault,
    );
    assert.equal(error?.code, 1, args.join(' '));
    assert.match(error.stderr, /^surgemq: [^\n]+\n$/, args.join(' '));
  }
  assert.equal(await readFile(file, 'utf8'), before);
  await writeFile(`${file}.new`, '');
  await assert.rejects(passwd('-b', file, 'a', 'x'), /somebody edits the file/);
});

test('a password may be piped in, once or twice', async () => {
  const passwordFile = join(folder, 'piped');
  for (const [args, lines, isRight] of [
    [['-c', passwordFile, 'ada'], 'lovelace\nlovelace\n', true],
    [[passwordFile, 'bob'], 'builder\n', true],
    [[passwordFile, 'eve'], 'one\ntwo\n', false],
    [[passwordFile, 'eve'], '', false],
  ] as const) {
    const child = run(process.execPath, [MAIN, 'passwd', ...args]);
    child.child.stdin?.end(lines);
    if (isRight) await child;
    else await assert.rejects(child);
  }
  await using broker = await startBroker({ workers: 1, passwordFile });
  await expectUsers(broker, { ada: 'lovelace', bob: 'builder' });
});
