/** What is left when the process is killed, or when its disk takes nothing. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { StoreReader } from '../../../src/store/store-reader.js';
import { Random } from '../../fuzz/random.js';
import { temporaryFolder } from './temporary-store.js';
import { contentAfter, contentOf, progressOf } from './workload.js';

const PROGRAM = fileURLToPath(new URL('store-program.js', import.meta.url));

/** A process that works on a store. */
class Program {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  /** By journal: how many steps it has said to be durable. */
  readonly durable = [0, 0];
  readonly lines: string[] = [];
  #rest = '';
  #onLine: (() => void)[] = [];

  constructor(context: TestContext, folder: string, seed: number) {
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    this.child = spawn(process.execPath, [PROGRAM, folder, `${seed}`], { stdio: [...stdio] });
    context.after(() => this.child.kill('SIGKILL'));
    this.child.stdout.on('data', (text: Buffer) => this.#onText(String(text)));
  }

  /** Resolves when what was said is so. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#onLine.push(resolve));
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await once(this.child, 'close');
  }

  #onText(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const said = /^durable (\d) (\d+)$/.exec(line);
      if (said === null) this.lines.push(line);
      else this.durable[Number(said[1])] = Number(said[2]);
    }
    for (const resolve of this.#onLine.splice(0)) resolve();
  }
}

/** All that was durable is there, and what else is there was said. */
async function check(folder: string, seed: number, durable: readonly number[]): Promise<void> {
  const reader = new StoreReader({ folder, durability: 'fsync' });
  const content = contentOf(reader);
  await reader.close();
  const steps = durable.map((_, index) => progressOf(content, index));
  for (const [index, count] of steps.entries()) {
    assert.ok(count >= durable[index], `${count} of ${durable[index]} steps`);
  }
  assert.deepEqual(content, contentAfter(seed, steps));
}

describe('a store', () => {
  test('whose process is killed has all that was durable', async (context) => {
    for (let seed = 1; seed <= 5; seed++) {
      const folder = temporaryFolder(context);
      const program = new Program(context, folder, seed);
      const least = new Random(seed).below(600);
      await program.until(() => program.durable[0] > least);
      await program.kill();
      await check(folder, seed, program.durable);
    }
  });

  test('whose disk is full goes on where it was when there is room again', async (context) => {
    const folder = temporaryFolder(context);
    const program = new Program(context, folder, 9);
    await program.until(() => program.durable[0] > 100);
    program.child.kill('SIGUSR2');
    await program.until(() => program.lines.length >= 3);
    assert.ok(program.lines.every((line) => line.startsWith('the disk is full (')));
    const before = [...program.durable];
    program.child.kill('SIGUSR2');
    await program.until(() => program.lines.at(-1) === 'well');
    await program.until(() => program.durable.every((steps, index) => steps > before[index]));
    await program.kill();
    await check(folder, 9, program.durable);
  });

  test('whose process is killed while its disk is full has what was durable', async (context) => {
    const folder = temporaryFolder(context);
    const program = new Program(context, folder, 11);
    await program.until(() => program.durable[0] > 100);
    program.child.kill('SIGUSR2');
    await program.until(() => program.lines.length >= 2);
    await program.kill();
    await check(folder, 11, program.durable);
  });
});
