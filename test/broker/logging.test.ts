/** The log of `surgemq serve` where its output takes no lines, with real processes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../bench/support/free-port.js';
import { errorCode } from '../../src/base/error-code.js';
import { createPipe } from '../../src/base/libc.js';
import { TestClient } from '../support/test-client.js';
import { eventually, within } from '../support/waiting.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

class Serve {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  errors = '';

  private constructor(t: TestContext, port: number, stdout: number | 'pipe') {
    this.port = port;
    const uri = `tcp://127.0.0.1:${port}`;
    const flags = ['--sessions', 'mem', '--workers', '1', '--log-level', 'debug'];
    const args = [MAIN, 'serve', '--listen', uri, ...flags];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', stdout, 'pipe'] });
    this.child.stderr?.on('data', (text) => {
      this.errors += text;
    });
    // Not 'exit': what it has said last may come later than that.
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal }));
    t.after(() => this.child.kill('SIGKILL'));
  }

  static async start(t: TestContext, stdout: number | 'pipe'): Promise<Serve> {
    return new Serve(t, await freePort(), stdout);
  }

  /** Connects a client as soon as the broker listens. */
  async client(clientId: string): Promise<TestClient> {
    let client: TestClient | undefined;
    const attempt = async (): Promise<void> => {
      while (client === undefined && this.child.exitCode === null) {
        client = await TestClient.connect(this, { clientId }).catch(() => undefined);
      }
    };
    await within(attempt(), `a connection; ${this.errors}`);
    assert.ok(client !== undefined, `the broker has ended: ${this.errors}`);
    return client;
  }

  /** Has the broker stop by SIGTERM, which it must hear. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    assert.deepEqual(await within(this.ended, 'the end'), { code: 0, signal: null });
    assert.equal(this.errors, '');
  }
}

/** Has the broker log more than a pipe holds, and answer meanwhile. */
async function makeLines(serve: Serve): Promise<void> {
  for (let n = 0; n < 20; n++) {
    const client = await serve.client(`client-${n}`);
    await client.subscribe([`topic/${n}`, 1]);
    await client.raw.cut();
  }
}

/** Fills a pipe, so that it takes nothing more. */
function fill(fd: number): void {
  const bytes = Buffer.alloc(4_096, '.');
  try {
    for (;;) writeSync(fd, bytes);
  } catch (error) {
    assert.equal(errorCode(error), 'EAGAIN');
  }
}

/** Takes what a pipe holds. */
function drain(fd: number): string {
  const bytes = Buffer.alloc(65_536);
  let text = '';
  try {
    for (let length = -1; length !== 0; ) {
      length = readSync(fd, bytes);
      text += bytes.toString('latin1', 0, length);
    }
  } catch (error) {
    assert.equal(errorCode(error), 'EAGAIN');
  }
  return text;
}

/** A broker that has had much to log to a pipe that takes nothing; its read end is the test's. */
async function startBehindFullPipe(t: TestContext): Promise<{ serve: Serve; readFd: number }> {
  const { readFd, writeFd } = createPipe();
  t.after(() => closeSync(readFd));
  fill(writeFd);
  const serve = await Serve.start(t, writeFd);
  closeSync(writeFd);
  await makeLines(serve);
  return { serve, readFd };
}

test('a full disk stops neither clients nor SIGTERM', async (t) => {
  const fd = openSync('/dev/full', 'w');
  const serve = await Serve.start(t, fd);
  closeSync(fd);
  await makeLines(serve);
  await serve.stop();
});

test('a pipe that nobody reads stops neither clients nor SIGTERM', async (t) => {
  const { serve } = await startBehindFullPipe(t);
  await serve.stop();
});

test('what a pipe did not take at first comes when it is read', async (t) => {
  const { serve, readFd } = await startBehindFullPipe(t);
  let text = '';
  await eventually(() => {
    text += drain(readFd);
    return text.includes('"broker is listening"');
  }, 'the first line');
  await serve.stop();
  text += drain(readFd);
  assert.match(text, /"broker has stopped"\}\n$/);
});

test('an output whose reader has gone stops neither clients nor SIGTERM', async (t) => {
  const { readFd, writeFd } = createPipe();
  const serve = await Serve.start(t, writeFd);
  closeSync(writeFd);
  closeSync(readFd);
  await makeLines(serve);
  await serve.stop();
});

test('an output that cannot be written to stops neither clients nor SIGTERM', async (t) => {
  const fd = openSync('/dev/null', 'r');
  const serve = await Serve.start(t, fd);
  closeSync(fd);
  await makeLines(serve);
  await serve.stop();
});

test('a socket as output takes the lines, the last one too', async (t) => {
  const serve = await Serve.start(t, 'pipe');
  let text = '';
  serve.child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  await makeLines(serve);
  await serve.stop();
  await eventually(() => text.includes('"broker has stopped"'), 'the last line');
});
