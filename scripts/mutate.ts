/**
 * `npm run mutate [-- words]`: breaks the broker on purpose, one rule at a time, and looks whether
 * the test that guards the rule turns red. The edits are those of mutations.ts; with words only
 * those whose name holds one, so that a long run can be had in pieces: each name begins with its
 * theme. Works on a copy of this checkout, several copies side by side.
 *
 * A mutation that survives is a rule that nobody guards: it needs a test.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Edit, MUTATIONS, type Mutation } from './mutations.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A broken broker may hang its test. */
const TEST_TIMEOUT_MS = 90_000;
const LANES = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

/** The programs that run now, each with a group of its own. */
const running = new Set<number>();

/** How one mutation ended. */
interface Outcome {
  readonly mutation: Mutation;
  readonly isKilled: boolean;
  /** What turned red, or why it does not count. */
  readonly text: string;
}

/** The files of this checkout that git knows or could know, and those that were built. */
function copyTree(folder: string): void {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  for (const name of listed.split('\0').filter((one) => one !== '')) {
    if (!existsSync(join(ROOT, name))) continue;
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    cpSync(join(ROOT, name), join(folder, name));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'dir');
}

/** Runs a program to its end. @returns its exit code, null after the time-out, and its output. */
function run(
  args: readonly string[],
  folder: string,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: folder, detached: true });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    if (child.pid !== undefined) running.add(child.pid);
    const timer = setTimeout(() => killGroup(child.pid), TEST_TIMEOUT_MS);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (child.pid !== undefined) running.delete(child.pid);
      resolve({ code, output });
    });
  });
}

/** Ends a program and what it has started: the runner, and the test that hangs in it. */
function killGroup(pid: number | undefined): void {
  if (pid !== undefined && running.has(pid)) process.kill(-pid, 'SIGKILL');
}

/** Names of the tests that have failed, by node's TAP. Suites are named too, which does no harm. */
function failedTests(output: string): string[] {
  return [...output.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name]) => name!);
}

/** Runs the test that guards a rule. @returns the names of what fails; null when nothing ran. */
async function failing(mutation: Mutation, folder: string): Promise<string[] | null> {
  const file = join(folder, 'dist/test', mutation.test.replace(/\.ts$/, '.js'));
  const { code, output } = await run(['--test', '--test-reporter=tap', file], folder);
  if (code === null) return ['it hangs'];
  if (code === 0) return /^# pass [1-9]/m.test(output) ? [] : null;
  return failedTests(output);
}

function apply(edits: readonly Edit[], folder: string): string | null {
  for (const { file, text, by } of edits) {
    const path = join(folder, file);
    const source = readFileSync(path, 'utf8');
    const parts = source.split(text);
    if (parts.length !== 2) return `its text stands ${parts.length - 1} times in ${file}`;
    writeFileSync(path, parts.join(by));
  }
  return null;
}

async function build(folder: string): Promise<string | null> {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  // What a mutation leaves unused is no reason not to try it.
  const lax = ['--noUnusedLocals', 'false', '--noUnusedParameters', 'false'];
  const { code, output } = await run([tsc, '-p', 'tsconfig.json', ...lax], folder);
  return code === 0 ? null : output;
}

/** Tries one mutation in a copy that is as it was before and after. */
async function attempt(mutation: Mutation, folder: string): Promise<Outcome> {
  const files = [...new Set(mutation.edits.map(({ file }) => file))];
  const before = files.map((file) => readFileSync(join(folder, file), 'utf8'));
  try {
    const fault = apply(mutation.edits, folder) ?? (await build(folder));
    if (fault !== null) return { mutation, isKilled: false, text: `NOT TRIED: ${fault}` };
    const failed = await failing(mutation, folder);
    if (failed === null) return { mutation, isKilled: false, text: 'NOT TRIED: no test ran' };
    const named = failed.find((name) => name === 'it hangs' || name.includes(mutation.red));
    if (named !== undefined) return { mutation, isKilled: true, text: named };
    const others = failed.length === 0 ? '' : `, but red: ${failed.join('; ')}`;
    return { mutation, isKilled: false, text: `SURVIVED "${mutation.red}"${others}` };
  } finally {
    for (const [at, file] of files.entries()) writeFileSync(join(folder, file), before[at]!);
  }
}

/** Takes mutations until none is left. */
async function lane(rest: Iterator<Mutation>, folder: string, done: Outcome[]): Promise<void> {
  copyTree(folder);
  for (let next = rest.next(); next.done !== true; next = rest.next()) {
    const outcome = await attempt(next.value, folder);
    done.push(outcome);
    const { mutation, isKilled, text } = outcome;
    console.log(`${isKilled ? 'killed  ' : 'SURVIVED'}  ${mutation.name}: ${text}`);
  }
}

/** Those whose name holds one of the words. @returns a fault for a word that no name holds. */
function choose(words: readonly string[]): readonly Mutation[] | string {
  const unknown = words.filter((word) => !MUTATIONS.some(({ name }) => name.includes(word)));
  if (unknown.length === 0) {
    return words.length === 0
      ? MUTATIONS
      : MUTATIONS.filter(({ name }) => words.some((word) => name.includes(word)));
  }
  const themes = new Set(MUTATIONS.map(({ name }) => name.slice(0, name.indexOf(':') + 1)));
  return `no mutation's name holds ${unknown.join(', ')}. Themes: ${[...themes].join(' ')}`;
}

async function main(words: readonly string[]): Promise<number> {
  const chosen = choose(words);
  if (typeof chosen === 'string') {
    console.error(`mutate: ${chosen}`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-mutate-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (const pid of running) killGroup(pid);
      clean();
      process.exit(1);
    });
  }
  const done: Outcome[] = [];
  try {
    const rest = chosen.values();
    await Promise.all(
      Array.from({ length: LANES }, (_, index) => lane(rest, join(folder, `${index}`), done)),
    );
  } finally {
    clean();
  }
  const killed = done.filter(({ isKilled }) => isKilled).length;
  console.log(`${killed} of ${done.length} mutations turned their test red`);
  return killed === done.length ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
