/**
 * `npm test`: runs the compiled tests beside this file with node's own runner, whose closing lines
 * say how many ran, passed and failed. Node 20's runner has no globs and no time-out per file, so
 * both are here. What the tests use beside Node is installed first, where it may be. An argument
 * filters by path: `npm test -- unit/base`.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processEnvironment } from '../src/base/config.js';
import { provideTestPrograms } from './test-programs.js';

/**
 * A file that takes longer hangs: the slowest take half a minute, and on a machine with forty
 * processes to run more than two.
 */
const FILE_TIMEOUT_MS = 300_000;
/**
 * Test files at a time: one more than there are processors, since many wait for time to go by. With
 * two at a time on two of them, a quarter of their time was left.
 */
const CONCURRENCY = Math.min(4, availableParallelism() + 1);

const tests = fileURLToPath(new URL('../test', import.meta.url));
const filters = process.argv.slice(2);
const files = readdirSync(tests, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .sort()
  .map((name) => join(tests, name));
if (files.length === 0) {
  console.error(`no test matches ${filters.join(' ')}`);
  process.exit(1);
}
// A run of other tests does not wait for the installation of what only these use.
if (files.some((name) => /interop|bench|browser/.test(name))) {
  provideTestPrograms((line) => console.error(`npm test: ${line}`));
}
const runner = spawn(
  process.execPath,
  [
    '--test',
    `--test-reporter=${process.stdout.isTTY ? 'spec' : 'tap'}`,
    '--test-reporter-destination=stdout',
    `--test-reporter=${new URL('./failed-tests-reporter.js', import.meta.url)}`,
    '--test-reporter-destination=stderr',
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${FILE_TIMEOUT_MS}`,
    ...files,
  ],
  // How busy the machine is does not decide whom the brokers of the tests let in.
  { stdio: 'inherit', env: { ...processEnvironment(), SURGEMQ_MAX_LOOP_DELAY: '0' } },
);
runner.on('exit', (code, signal) => {
  if (signal !== null) console.error(`the test runner was ended by ${signal}`);
  process.exitCode = code ?? 1;
});
