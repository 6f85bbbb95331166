import assert from 'node:assert/strict';
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ServerStats } from '../../../src/primary/stats.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const FLAGS = ['--listen', 'tcp://127.0.0.1:0', '--log-level', 'info'];

type LogLine = Readonly<Record<string, unknown>>;

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** It writes nothing into the folder at hand. */
const IN_MEMORY = ['--sessions', 'mem'];

/** `surgemq serve` on a free port. */
class Serve {
  readonly child: ChildProcess;
  readonly lines: LogLine[] = [];
  /** What it said on standard error. */
  errors = '';
  readonly #output: AsyncIterator<string>;

  constructor(...flags: string[]) {
    this.child = this.start([...FLAGS, ...flags]);
    children.push(this.child);
    this.child.stderr!.on('data', (chunk) => {
      this.errors += chunk;
    });
    this.#output = createInterface(this.child.stdout!)[Symbol.asyncIterator]();
  }

  /** Starts it with these flags. */
  start(flags: readonly string[]): ChildProcess {
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
    return spawn(process.execPath, [MAIN, 'serve', ...IN_MEMORY, ...flags], { stdio });
  }

  /** Reads log lines up to the one with this message. */
  async until(message: string): Promise<LogLine> {
    for (;;) {
      const { value, done } = await this.#output.next();
      assert.ok(done !== true, `no line says "${message}": ${JSON.stringify(this.lines)}`);
      const line = JSON.parse(value as string) as LogLine;
      this.lines.push(line);
      if (line.msg === message) return line;
    }
  }

  /** How the process ended. */
  async end(): Promise<{ code: number | null; signal: string | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      await once(this.child, 'close');
    }
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }
}

/** CONNECT of MQTT 3.1.1, clean session, client id `a`. */
const CONNECT = Buffer.from('100d00044d51545404020000000161', 'hex');

test('a start is one line: listeners, workers, limits; SIGTERM ends it in order', async () => {
  const serve = new Serve('--workers', '2', '--max-inflight', '7');
  const line = await serve.until('broker is listening');
  assert.equal(line.workers, 2);
  assert.equal(line.maxInflight, 7);
  const [uri] = line.listeners as string[];
  const port = Number(/^tcp:\/\/127\.0\.0\.1:([1-9]\d*)$/.exec(uri)?.[1]);
  const socket = connect(port, '127.0.0.1');
  socket.write(CONNECT);
  const [connack] = (await once(socket, 'data')) as [Buffer];
  assert.equal(connack.toString('hex'), '20020000');
  const closed = once(socket, 'close');
  serve.child.kill('SIGTERM');
  await serve.until('broker has stopped');
  await closed;
  assert.deepEqual(await serve.end(), { code: 0, signal: null });
  const starts = serve.lines.filter(({ msg }) => msg === 'broker is listening');
  assert.equal(starts.length, 1);
});

test('a second signal ends the process at once, with the exit code of that signal', async () => {
  const serve = new Serve('--workers', '1');
  await serve.until('broker is listening');
  // Stopped, the process finds both signals waiting when it goes on: no close can come between
  // them. Which of the two the system delivers first is its choice.
  for (const signal of ['SIGSTOP', 'SIGINT', 'SIGTERM', 'SIGCONT'] as const) {
    serve.child.kill(signal);
  }
  const { code } = await serve.end();
  assert.ok(code === 130 || code === 143, `exit code ${code}`);
});

test('SIGUSR2 has the counters written to the log, whatever its level', async () => {
  const serve = new Serve('--workers', '2');
  await serve.until('broker is listening');
  serve.child.kill('SIGUSR2');
  const { stats } = await serve.until('stats');
  const { shards, connectionsOpen, eventLoopDelayMs } = stats as ServerStats;
  assert.equal(shards.length, 2);
  assert.equal(connectionsOpen, 0);
  assert.ok(eventLoopDelayMs >= 0);
  serve.child.kill('SIGTERM');
  assert.equal((await serve.end()).code, 0);
});

test('SIGHUP reloads, SIGUSR1 is heard, and neither ends the broker or opens a port', async () => {
  const serve = new Serve('--workers', '1');
  await serve.until('broker is listening');
  serve.child.kill('SIGHUP');
  await serve.until('configuration reloaded');
  serve.child.kill('SIGUSR1');
  await serve.until('signal heard; no debugger is opened');
  serve.child.kill('SIGTERM');
  assert.deepEqual(await serve.end(), { code: 0, signal: null });
  assert.equal(serve.errors, '');
});

/** The same by `npm start`, without its build: other tests run what it would write. */
class NpmStart extends Serve {
  override start(flags: readonly string[]): ChildProcess {
    const own = ['--workers', '1', ...IN_MEMORY];
    const args = ['start', '--silent', '--ignore-scripts', '--', ...own, ...flags];
    return spawn('npm', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`npm start passes ${signal} on to the broker`, async () => {
    const serve = new NpmStart();
    const { pid } = await serve.until('broker is listening');
    serve.child.kill(signal);
    assert.equal((await serve.until('broker is stopping')).signal, signal);
    await serve.until('broker has stopped');
    await serve.end();
    assert.throws(() => process.kill(pid as number, 0), { code: 'ESRCH' });
  });
}

test('a broker of npm start ends in order when npm dies of a signal', async () => {
  const serve = new NpmStart();
  await serve.until('broker is listening');
  serve.child.kill('SIGHUP');
  assert.match((await serve.until('broker is stopping')).reason as string, /npm/);
  await serve.until('broker has stopped');
});

test('-p is a port of the loopback interface, and booleans can be denied', async () => {
  const serve = new Serve(
    '-p',
    '0',
    '--no-coalesce-reads',
    '--workers',
    '1',
    '--log-level',
    'INFO',
  );
  const { listeners } = await serve.until('broker is listening');
  const uris = listeners as string[];
  assert.equal(uris.length, 2);
  for (const uri of uris) assert.match(uri, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
  serve.child.kill('SIGTERM');
  assert.equal((await serve.end()).code, 0);
});

test('a missing native binary is one line that says what to do, and exit code 1', async () => {
  const { pathname } = new URL('./no-koffi.cjs', import.meta.url);
  const hook = `const Module = require('node:module');
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === 'koffi') throw new Error('no binary\\n at many lines');
      return load(name, ...rest);
    };\n`;
  await writeFile(pathname, hook);
  const serve = new (class extends Serve {
    override start(flags: readonly string[]): ChildProcess {
      const args = ['--require', pathname, MAIN, 'serve', ...IN_MEMORY, ...flags];
      return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    }
  })();
  const { code } = await serve.end();
  await rm(pathname);
  assert.equal(code, 1);
  assert.match(serve.errors, /^surgemq: koffi .*\(no binary\).*npm ci.*\n$/);
});

test('a module that exports no factory is one line, and exit code 1', async () => {
  const { pathname } = new URL('./no-factory.js', import.meta.url);
  await writeFile(pathname, 'export const authenticate = () => true;\n');
  const serve = new Serve('--auth', pathname);
  const { code } = await serve.end();
  await rm(pathname);
  assert.equal(code, 1);
  assert.match(serve.errors, /^surgemq: .*its default export is no function\n$/);
});

test('a provider that no shard can load is one line, and exit code 1', async () => {
  const { pathname } = new URL('./no-provider.js', import.meta.url);
  await writeFile(pathname, 'throw new Error("no good");\n');
  const serve = new Serve('--auth', pathname);
  const { code } = await serve.end();
  await rm(pathname);
  assert.equal(code, 1);
  assert.match(serve.errors, /^surgemq: .*no good.*\n$/);
});
