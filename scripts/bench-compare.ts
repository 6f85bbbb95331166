/**
 * `scripts/bench-compare BASE HEAD [flags of surgemq bench]`: builds two commits in worktrees of
 * their own, measures their brokers with this checkout's suites, rounds interleaved, and fails when
 * the head needs over a tenth more than the base each time that both were started, and more in each
 * of its rounds than the base in any.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endBrokersOnSignals } from '../bench/support/broker-child.js';
import { type Peer, parsePeerCommand } from '../bench/support/peers.js';
import { reportText } from '../bench/support/report-text.js';
import { hasPassed, type Results } from '../bench/support/results.js';
import { runBench } from '../bench/support/run-bench.js';
import { loadBenchSettings } from '../bench/support/settings.js';
import { compareCells, isSlower } from '../bench/support/slowdowns.js';
import { processEnvironment } from '../src/base/config.js';
import { splitArgs, UsageError } from '../src/cli/args.js';
import { SETTING_FLAGS } from '../src/cli/bench.js';

/** More than this many times the base's CPU time or memory, in every start and round, fails. */
const RATIO_MAX = 1.1;
/** How often the brokers are started. */
const STARTS = 3;
const DEFAULTS = { SURGEMQ_BENCH_ROUNDS: '3' };
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function run(program: string, args: readonly string[], cwd = ROOT): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8' }).trim();
}

/**
 * Checks a commit out and compiles it, with the packages of this checkout where they are the same.
 */
function build(commit: string, folder: string): void {
  run('git', ['worktree', 'add', '--detach', folder, commit]);
  const hasSamePackages =
    run('git', ['diff', '--name-only', commit, '--', 'package-lock.json']) === '';
  if (hasSamePackages) symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'dir');
  else run('npm', ['ci', '--no-audit', '--no-fund'], folder);
  run('npm', ['run', '--silent', 'build'], folder);
}

/** The broker of a built worktree, as a peer. */
function peerIn(name: string, folder: string): Peer {
  const main = join(folder, 'dist/src/cli/main.js');
  const peer = parsePeerCommand(
    `${name}=SURGEMQ_DATA_DIR="$FOLDER/data" exec "${process.execPath}" "${main}" serve ` +
      '--log-level warn ' +
      '--listen tcp://127.0.0.1:$PORT --workers $WORKERS',
  );
  if (peer === undefined) throw new Error(`${name} is no name for a broker`);
  return peer;
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals, faults } = splitArgs(SETTING_FLAGS, args);
  if (faults.length > 0) throw new UsageError(faults);
  if (positionals.length !== 2) {
    throw new UsageError(['usage: scripts/bench-compare BASE HEAD [flags of surgemq bench]']);
  }
  const flags = Object.fromEntries([...values].map(([name, given]) => [name, given.at(-1) ?? '']));
  const { settings } = loadBenchSettings(flags, { ...DEFAULTS, ...processEnvironment() });
  const commits = positionals.map((name) =>
    run('git', ['rev-parse', '--verify', `${name}^{commit}`]),
  );
  endBrokersOnSignals();
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-compare-'));
  const folders = [join(folder, 'base'), join(folder, 'head')] as const;
  try {
    for (const [index, commit] of commits.entries()) {
      console.log(`building ${positionals[index]} (${commit.slice(0, 9)})`);
      build(commit, folders[index]);
    }
    const plan = {
      patterns: settings.patterns,
      peers: [peerIn('base', folders[0]), peerIn('head', folders[1])],
      variations: [{ label: '', settings }],
      command: `scripts/bench-compare ${args.join(' ')}`,
    };
    const starts: Results[] = [];
    for (let start = 1; start <= STARTS; start++) {
      const results = await runBench(plan, {
        progress: () => {},
        onCell: ({ pattern, peer }) =>
          console.log(`measured ${pattern}, ${peer}, start ${start} of ${STARTS}`),
      });
      console.log(`\n${reportText(results)}`);
      starts.push(results);
    }
    const comparisons = compareCells(starts, 'base', 'head');
    for (const comparison of comparisons) {
      const verdict = isSlower(comparison, RATIO_MAX) ? 'SLOWER' : 'fine';
      console.log(`${verdict}: ${comparison.text}`);
    }
    const isGood = starts.every(hasPassed) && !comparisons.some((one) => isSlower(one, RATIO_MAX));
    console.log(isGood ? 'head is no slower than base' : 'head has FAILED');
    return isGood ? 0 : 1;
  } finally {
    for (const worktree of folders) {
      try {
        run('git', ['worktree', 'remove', '--force', worktree]);
      } catch {
        // It was not made.
      }
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench-compare: ${(error as Error).message}`);
  process.exitCode = 1;
}
