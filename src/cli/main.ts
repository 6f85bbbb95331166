#!/usr/bin/env node
/** `surgemq`: finds the subcommand, runs it, says what went wrong in a line each. */
import { ConfigError } from '../base/errors.js';
import { LOG_EXIT_WAIT_MS } from '../base/limits.js';
import { didYouMean } from '../base/nearest.js';
import { UsageError } from './args.js';
import type { Command } from './command.js';
import { packageVersion } from './package-version.js';

/** Subcommands by name; loaded only when run, so that `pub` does not load the broker. */
const COMMANDS: Readonly<Record<string, { summary: string; load(): Promise<Command> }>> = {
  serve: { summary: 'Runs the broker.', load: () => import('./serve.js') },
  pub: { summary: 'Publishes messages.', load: () => import('./pub.js') },
  sub: { summary: 'Subscribes and prints messages.', load: () => import('./sub.js') },
  rr: { summary: 'Sends a request and prints its response.', load: () => import('./rr.js') },
  passwd: { summary: 'Makes and edits password files.', load: () => import('./passwd.js') },
  reload: { summary: 'Has a broker reload.', load: () => import('./reload.js') },
  config: { summary: 'Checks and imports configurations.', load: () => import('./config.js') },
  store: { summary: 'Checks, copies and prints stores.', load: () => import('./store.js') },
  bench: { summary: 'Measures a broker.', load: () => import('./bench.js') },
};

const HELP = `Usage: surgemq <command> [flags]

Commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(8)}${summary}`)
  .join('\n')}

Without a command: this text. Each command explains its flags: surgemq <command> --help
  -h, --help, help [command]  Shows this text, or that of a command.
  -v, --version, version      Shows the version.
`;
const HELP_WORDS: readonly string[] = ['-h', '--help', 'help'];
const VERSION_WORDS: readonly string[] = ['-v', '-V', '--version', 'version'];

/** The command that runs. */
let running: Command | null = null;

/** Runs the command line `args`. @returns exit code. */
async function main(args: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = args;
  if (VERSION_WORDS.includes(name)) {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  if (HELP_WORDS.includes(name)) {
    const [about] = rest;
    if (about !== undefined) return run(about, ['--help']);
    process.stdout.write(HELP);
    return 0;
  }
  return run(name, rest);
}

/** @throws UsageError when there is no such command. */
async function run(name: string, args: readonly string[]): Promise<number> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    const hint = didYouMean(name, Object.keys(COMMANDS)) || '; surgemq --help lists them';
    throw new UsageError([`${name} is no command${hint}`]);
  }
  running = await entry.load();
  return running.run(args);
}

/**
 * What an error says to the user, a line each; undefined for a fault of this program, which
 * deserves its stack. The system's own errors (port in use, no such host) name the call and the
 * address; those of the broker and the client library carry a code.
 */
function linesFor(error: unknown): readonly string[] | undefined {
  if (error instanceof ConfigError || error instanceof UsageError) return error.faults;
  if (!(error instanceof Error)) return undefined;
  const isOurs = 'code' in error && String(error.code).startsWith('SURGEMQ_');
  return isOurs || 'syscall' in error ? [error.message] : undefined;
}

// `surgemq sub | head` closes our output: nothing is left to do, and it is no fault. A broker has
// other things to do, whatever becomes of what its threads print.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (running?.outlivesOutput) return;
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`surgemq: what is printed is not written: ${error.message}\n`);
  process.exit(1);
});
// Where nobody hears of a fault, there is nobody to tell that of either.
process.stderr.on('error', () => {});

// Unheard, Node would open a debugger's port, through which code can be run in this process.
process.on('SIGUSR1', () => {});

/** Ends the process when what was written to standard output is out: a broker waits a moment. */
function exit(code: number): void {
  if (running?.outlivesOutput) setTimeout(() => process.exit(code), LOG_EXIT_WAIT_MS);
  process.stdout.write('', () => process.exit(code));
}

try {
  exit(await main(process.argv.slice(2)));
} catch (error) {
  const lines = linesFor(error);
  if (lines === undefined) throw error;
  process.stderr.write(lines.map((line) => `surgemq: ${line}\n`).join(''));
  exit(1);
}
