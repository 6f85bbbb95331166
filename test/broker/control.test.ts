/** `surgemq reload`, `surgemq config check` and SIGHUP, with a broker that runs as a process. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmodSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { within } from '../support/waiting.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const LISTENERS = 'listeners:\n  - uri: tcp://127.0.0.1:0\n';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('a broker that runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'control-'));
  const file = join(folder, 'surgemq.yaml');
  const env = { PATH: '/usr/bin', XDG_RUNTIME_DIR: folder };
  const base = `workers: 1\nmaxInflight: 10\n${LISTENERS}`;
  let child: ChildProcess;
  let lines: AsyncIterator<string>;

  const surgemq = (...args: string[]): Promise<Outcome> =>
    new Promise((resolve) => {
      execFile(process.execPath, [MAIN, ...args], { env }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
    });
  const logged = async (message: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const { value, done } = await within(lines.next(), message);
      assert.notEqual(done, true, message);
      const line = JSON.parse(value as string) as Record<string, unknown>;
      if (line.msg === message) return line;
    }
  };

  before(async () => {
    writeFileSync(file, base);
    child = spawn(process.execPath, [MAIN, 'serve', '--config', file], {
      // What it keeps is kept there.
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
    await logged('broker is listening');
    // It is asked when it has its socket.
    let outcome = await surgemq('reload');
    while (outcome.code !== 0) outcome = await surgemq('reload');
  });
  beforeEach(() => writeFileSync(file, base));
  after(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  test('is reloaded by surgemq reload, which says what has changed', async () => {
    writeFileSync(file, `workers: 2\nmaxInflight: 20\n${LISTENERS}`);
    assert.deepEqual(await surgemq('reload'), {
      code: 0,
      stdout: 'reloaded; changed: maxInflight\nchanged by a restart alone: workers\n',
      stderr: '',
    });
    writeFileSync(file, base);
    assert.match((await surgemq('reload', '--pid', String(child.pid))).stdout, /maxInflight/);
  });

  test('refuses a file that is wrong, and tells who asks', async () => {
    writeFileSync(file, `maxInflight: 0\nmaxQs: 1\n${LISTENERS}`);
    const { code, stdout, stderr } = await surgemq('reload');
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(
      stderr,
      `surgemq: ${file}:2:1: there is no setting "maxQs"; did you mean maxQos?\n` +
        `surgemq: ${file}:1:14: maxInflight is 0; allowed: a whole number from 1 to 65,535\n`,
    );
    const { faults } = await logged('configuration refused: everything stays as it was');
    assert.equal((faults as string[]).length, 2);
  });

  test('reloads by SIGHUP, and its log goes by the new level', async () => {
    writeFileSync(file, `${base}logLevel: error\n`);
    child.kill('SIGHUP');
    const { changed } = await logged('configuration reloaded');
    assert.deepEqual(changed, ['logLevel']);
    writeFileSync(file, `${base}maxInflght: 1\n`);
    child.kill('SIGHUP');
    await logged('configuration refused: everything stays as it was');
    writeFileSync(file, base);
    assert.equal((await surgemq('reload')).stdout, 'reloaded; changed: logLevel\n');
  });

  test('is compared with a file by config check, which shows no password', async () => {
    const users = 'users:\n  - {name: a, password: geheim}\n';
    writeFileSync(file, `workers: 3\nmaxInflight: 30\n${LISTENERS}${users}`);
    const { code, stdout } = await surgemq('config', 'check', file, '--against', 'auto');
    assert.equal(code, 0);
    const said = stdout.split('\n').map((line) => line.replace(/ +# /, ' # '));
    assert.deepEqual(said.slice(0, 2), [
      `workers: 1 -> 3 # ${file}:1:10, needs a restart`,
      `maxInflight: 10 -> 30 # ${file}:2:14`,
    ]);
    assert.match(stdout, /users: \[\] -> \[\{"name":"a"/);
    assert.doesNotMatch(stdout, /geheim/);
    writeFileSync(file, base);
    const same = await surgemq('config', 'check', file, '--against', String(child.pid));
    assert.equal(same.stdout, 'the broker goes by the same\n');
  });

  test('has a socket for its user alone, and outlives what strangers send to it', async () => {
    const path = join(folder, 'surgemq', `${child.pid}.sock`);
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
    assert.equal(lstatSync(join(folder, 'surgemq')).mode & 0o777, 0o700);
    for (const bytes of ['\n', '{}\n', 'null\n', '\0'.repeat(5_000), '{"ask":"__proto__"}\n']) {
      const socket = connect(path);
      socket.setEncoding('utf8');
      let text = '';
      socket.on('data', (more) => {
        text += more;
      });
      socket.on('error', () => {});
      socket.write(bytes);
      await within(new Promise((resolve) => socket.once('close', resolve)), 'the end');
      if (text !== '') assert.ok('faults' in JSON.parse(text));
    }
    assert.equal((await surgemq('reload')).code, 0);
  });

  test('is not asked through a directory that others may write to', async () => {
    chmodSync(join(folder, 'surgemq'), 0o777);
    const { code, stderr } = await surgemq('reload', '--pid', String(child.pid));
    chmodSync(join(folder, 'surgemq'), 0o700);
    assert.equal(code, 1);
    assert.match(stderr, /is open to others: chmod 700 it\n$/);
  });
});

describe('surgemq config check', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-check-'));
  after(() => rmSync(folder, { recursive: true }));
  const run = (env: Record<string, string>, ...args: string[]): Promise<Outcome> =>
    new Promise((resolve) => {
      execFile(process.execPath, [MAIN, 'config', ...args], { env }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
    });

  test('prints what is in force, and where each value comes from', async () => {
    const file = join(folder, 'a.yaml');
    writeFileSync(file, 'maxInflight: 10\nusers: [{name: a, password: geheim}]\n');
    const env = { SURGEMQ_MAX_QOS: '1' };
    const { code, stdout } = await run(env, 'check', file, '--max-keep-alive', '60');
    assert.equal(code, 0);
    const said = stdout.split('\n').map((line) => line.replace(/ +# /, ' # '));
    for (const line of [
      `maxInflight: 10 # ${file}:1:14`,
      'maxQos: 1 # SURGEMQ_MAX_QOS',
      'maxKeepAlive: 1m # --max-keep-alive',
      'retainAvailable: true # default',
      `users: # ${file}:2:1`,
      'rules: [] # default',
    ]) {
      assert.ok(said.includes(line), `${line} in ${stdout}`);
    }
    assert.doesNotMatch(stdout, /geheim/);
  });

  test('prints what listeners and users have of their own', async () => {
    const file = join(folder, 'own.yaml');
    const listeners = "listeners: [{uri: 'tcp://127.0.0.1:1883', slowConsumerTimeout: 1m}]\n";
    writeFileSync(file, `${listeners}users: [{name: a, maxByteRate: 64KiB, maxConnections: 2}]\n`);
    const { code, stdout } = await run({}, 'check', file);
    assert.equal(code, 0);
    assert.match(stdout, /"uri":"tcp:.*"ownSettings":\{"slowConsumerTimeout":"1m"\}/);
    assert.match(stdout, /"name":"a".*"maxConnections":2,"ownSettings":\{"maxByteRate":"64KiB"\}/);
  });

  test('reads the files that are named, and says what is wrong with exit code 1', async () => {
    const file = join(folder, 'b.yaml');
    writeFileSync(file, `passwordFile: ${folder}/none\n`);
    assert.deepEqual(await run({}, 'check', file), {
      code: 1,
      stdout: '',
      stderr: `surgemq: passwordFile ${folder}/none: cannot be read: there is no such file\n`,
    });
    assert.match((await run({}, 'check')).stderr, /needs a file first/);
    assert.match((await run({}, 'chek', file)).stderr, /did you mean check\?/);
  });
});
