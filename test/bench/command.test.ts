/** `surgemq bench` as its user sees it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Results } from '../../bench/support/results.js';
import { processEnvironment } from '../../src/base/config.js';
import { eventually } from '../support/waiting.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'surgemq-bench-test-'));
after(() => rmSync(folder, { recursive: true }));

const TINY = ['--messages', '200', '--warmup', '20ms', '--workers', '1'];

/** Runs `surgemq bench` to its end. */
function bench(args: readonly string[], settings: Record<string, string> = {}) {
  const inherited = Object.entries(processEnvironment()).filter(
    ([name]) => !name.startsWith('SURGEMQ_'),
  );
  const env = { ...Object.fromEntries(inherited), ...settings };
  return new Promise<{ code: number | null; out: string; err: string; lines: string }>(
    (resolve) => {
      const child = spawn(process.execPath, [MAIN, 'bench', ...args], { env });
      let out = '';
      let err = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      child.stderr.on('data', (chunk) => {
        err += chunk;
      });
      // A run that takes a busy machine longer says so every second.
      const withoutProgress = (): string => err.replace(/^(?:starting \w+|.*, round \d.*)\n/gm, '');
      child.on('close', (code) => resolve({ code, out, err: withoutProgress(), lines: err }));
    },
  );
}

test('a run prints a table and writes JSON, a page and a chart', async () => {
  const files = ['json', 'html', 'svg'].map((kind) => join(folder, `results.${kind}`));
  const [json, html, svg] = files;
  const args = ['one', 'fan-in', '--clients', '3', '--rounds', '2', ...TINY];
  const outcome = await bench([...args, '--json', json, '--html', html, '--svg', svg]);
  assert.equal(outcome.err, '');
  assert.equal(outcome.code, 0);
  assert.match(outcome.out, /^pattern +broker +deliveries\/s/m);
  assert.match(outcome.out, /^fan-in +surgemq +[\d.]+ [kM]?\/s/m);
  const results = JSON.parse(readFileSync(json, 'utf8')) as Results;
  assert.equal(results.settings.messages, 200);
  assert.equal(results.machine.node, process.version);
  assert.ok(results.machine.cores > 0);
  assert.deepEqual(
    results.cells.map(({ pattern, rounds }) => [pattern, rounds.length]),
    [
      ['one', 2],
      ['fan-in', 2],
    ],
  );
  const page = readFileSync(html, 'utf8');
  assert.match(page, /^<!doctype html>/);
  assert.match(page, /<svg [^>]+aria-label="Deliveries a second/);
  assert.doesNotMatch(page, /(?:src|href)=/);
  assert.match(readFileSync(svg, 'utf8'), /^<svg xmlns=/);
});

test('compare runs other brokers beside it and prints ratios', async () => {
  const peer = `second="${process.execPath}" "${MAIN}" serve --listen tcp://127.0.0.1:$PORT`;
  const args = ['compare', 'mosquitto', '--peer', peer, '--patterns', 'one', '--rounds', '1'];
  const { code, out, err } = await bench([...args, ...TINY]);
  assert.equal(err, '');
  assert.equal(code, 0);
  assert.match(out, /^one +mosquitto \/ surgemq +x [\d.]+/m);
  assert.match(out, /^one +second \/ surgemq +x [\d.]+/m);
});

test('a sweep of what the environment asks for runs once for each value', async () => {
  const settings = { SURGEMQ_BENCH_PATTERNS: 'pairs', SURGEMQ_BENCH_CLIENTS: '2' };
  const { code, out } = await bench([...TINY, '--sweep', 'payload=64,1KiB'], settings);
  assert.equal(code, 0);
  assert.match(out, /^pairs +payload=64 +surgemq/m);
  assert.match(out, /^pairs +payload=1KiB +surgemq/m);
});

test('every fault of the command line is a line, and nothing is started', async () => {
  const { code, out, err } = await bench([
    'oen',
    '--qos',
    '3',
    '--sweep',
    'wrkers=1',
    '--rund',
    '1',
  ]);
  assert.deepEqual({ code, out }, { code: 1, out: '' });
  const lines = err.trimEnd().split('\n');
  assert.match(lines[0], /--rund is no flag/);
  assert.ok(lines.some((line) => /--qos is "3"; allowed: 0, 1 or 2/.test(line)));
});

test('a run into a pipe says how far it is, a line a second', async () => {
  const { code, lines } = await bench(['one', '--duration', '2500ms', '--workers', '1']);
  assert.equal(code, 0);
  assert.match(lines, /^one, surgemq, round 1 of 1: [\d.]+ M delivered, [\d.]+ [kM]?\/s$/m);
});

test('what would spoil a run is said before anything is started', async () => {
  const absent = join(folder, 'absent', 'results.json');
  const args = ['connect', '--clients', '100000', '--json', absent, '--html', folder];
  const { code, out, err } = await bench(args);
  assert.deepEqual({ code, out }, { code: 1, out: '' });
  assert.match(err, /^surgemq: --json .* cannot be written: there is no folder .*absent$/m);
  assert.match(err, /^surgemq: --html .* is a folder$/m);
  assert.ok(!existsSync(absent));
});

test('scenarios have their own settings, and are run by themselves', async () => {
  const scenario = await bench(['p2p-1K', '--clients', '5', '--messages', '1', '--warmup', '0']);
  assert.equal(scenario.err, '');
  assert.match(scenario.out, /16 B payload, QoS 1/);
  for (const args of [
    ['one', 'p2p-1K'],
    ['p2p-1K', '--qos', '2'],
    ['p2p-1K', '--payload', '64'],
  ]) {
    const { code, err } = await bench(args);
    assert.equal(code, 1);
    assert.match(err, /^surgemq: p2p-1K has QoS 1 and 16 bytes: run it without --qos/m);
  }
  assert.match((await bench(['mesh', '--protocol', '4:5'])).err, /speak one version$/m);
  assert.match((await bench(['pairs', '--shared', '2'])).err, /--shared is not for pairs$/m);
  assert.match((await bench(['p2p-1K', '--shared', '2'])).err, /--shared is not for p2p-1K/);
});

test('a run that lacks descriptors says how many it needs', async () => {
  const command = `ulimit -n 300; exec "${process.execPath}" "${MAIN}" bench connect --clients 500`;
  const { status, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /^surgemq: connect needs 600 descriptors, and a process may have 300 here/);
});

test('pinning that puts broker and load on one core is said', async () => {
  const args = ['one', '--pin', '--workers', '1', '--load-threads', String(availableParallelism())];
  const { err } = await bench([...args, '--messages', '200', '--warmup', '20ms']);
  assert.match(err, /^surgemq: --pin: 1 workers and \d+ load threads share 1 of \d+ cores: /m);
});

test('unknown patterns, brokers and peers are named with what is near', async () => {
  const unknown = await bench(['oen']);
  assert.match(unknown.err, /^surgemq: oen is no pattern; did you mean one\?$/m);
  const broker = await bench(['compare', 'mosquito', '--peer', 'nothing']);
  assert.match(
    broker.err,
    /^surgemq: mosquito is no broker known here; did you mean mosquitto\?$/m,
  );
  assert.match(broker.err, /^surgemq: --peer is "nothing"; allowed: a name, =, a command$/m);
});

test('a signal ends the brokers that a run has started', async () => {
  const pidFile = join(folder, 'pid');
  const command = `noted=echo $$ > "${pidFile}"; exec "${process.execPath}" "${MAIN}" serve`;
  const peer = `${command} --listen tcp://127.0.0.1:$PORT --workers 1`;
  const child = spawn(process.execPath, [MAIN, 'bench', 'one', '--peer', peer, '--warmup', '1h']);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const isThere = () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n');
  await eventually(isThere, 'the broker to be started');
  const broker = Number(readFileSync(pidFile, 'utf8'));
  child.kill('SIGTERM');
  assert.equal(await ended, 143);
  await eventually(() => !existsSync(`/proc/${broker}`), 'the broker to be gone');
});

test('a broker that cannot be started or reached is said in one line', async () => {
  const broken = await bench(['one', '--peer', 'broken=echo out of order; exit 3', ...TINY]);
  assert.equal(broken.code, 1);
  assert.match(broken.err, /^surgemq: broken could not be started: .* 3\nout of order\n/);
  const absent = await bench(['one', '--host', '127.0.0.1', '--port', '1', ...TINY]);
  assert.equal(absent.code, 1);
  assert.match(absent.err, /^surgemq: nothing takes connections at 127\.0\.0\.1:1: .*\n$/);
});
