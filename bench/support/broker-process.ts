/** The broker under test: a process of its own, or one that runs already. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { processEnvironment } from '../../src/base/config.js';
import type { ServerStats } from '../../src/primary/stats.js';
import { BenchError } from './bench-error.js';
import { cpuNs, peakBytes, processTree, resetPeak, residentBytes } from './proc.js';

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 3_000;
const LOOK_AGAIN_MS = 25;
/** Last output of a broker that is told when it does not start. */
const OUTPUT_CHARACTERS = 2_000;

/** How a broker is started. */
export interface BrokerCommand {
  /** Program and arguments. `folder` is an empty folder of its own that goes with it. */
  command(port: number, workers: number, folder: string): readonly string[];
  /** Added to the environment. */
  environment(port: number, workers: number): Readonly<Record<string, string>>;
  /** It is ours: SIGUSR2 has it write its counters to standard output. */
  readonly tellsStats?: boolean;
}

/** A broker that takes connections. */
export interface BrokerUnderTest {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** CPU time of it and its children so far in nanoseconds; null when its process is not known. */
  cpuNs(): number | null;
  residentBytes(): number | null;
  peakBytes(): number | null;
  resetPeak(): void;
  /** What it says of itself; null of a broker that does not. */
  stats(): Promise<ServerStats | null>;
  /** What stands against going on, such as that it has ended; null when nothing does. */
  failure(): string | null;
  close(): Promise<void>;
}

/** Readings of a process tree, or nulls. */
function readings(
  pid: number | null,
): Pick<BrokerUnderTest, 'cpuNs' | 'residentBytes' | 'peakBytes' | 'resetPeak'> {
  const read = (reading: (pids: readonly number[]) => number) => () =>
    pid === null ? null : reading(processTree(pid));
  return {
    cpuNs: read(cpuNs),
    residentBytes: read(residentBytes),
    peakBytes: read(peakBytes),
    resetPeak: () => {
      if (pid !== null) resetPeak(processTree(pid));
    },
  };
}

/** A broker that runs already. @param pid its process, or null. */
export function runningBroker(
  name: string,
  host: string,
  port: number,
  pid: number | null,
): BrokerUnderTest {
  return {
    name,
    host,
    port,
    ...readings(pid),
    stats: () => Promise.resolve(null),
    failure: () => null,
    close: () => Promise.resolve(),
  };
}

/** A port of the loopback interface that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Whether something takes connections there. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Whether `taskset` can be called here. */
export function canPin(): boolean {
  return spawnSync('taskset', ['--version']).error === undefined;
}

/** Cores of the broker: as many of the first as it has workers. */
function brokerCores(workers: number): string {
  return `0-${Math.min(workers, availableParallelism()) - 1}`;
}

/** Keeps this process, and threads that it starts from now on, on the last cores. */
export function pinGenerator(threads: number): void {
  const cores = availableParallelism();
  const first = Math.max(0, cores - threads);
  spawnSync('taskset', ['-a', '-c', '-p', `${first}-${cores - 1}`, String(process.pid)]);
}

const running = new Set<ChildProcess>();
/** A bench that ends early leaves no broker behind. */
process.on('exit', () => {
  for (const child of running) killGroup(child, 'SIGKILL');
});

/** Lets SIGINT and SIGTERM end this process in a way that ends the brokers too. For programs. */
export function endBrokersOnSignals(): void {
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

/** Asks a broker of ours for its counters. @returns null when it ends instead of answering. */
async function statsOf(child: ChildProcess): Promise<ServerStats | null> {
  const lines = createInterface({ input: child.stdout! });
  child.kill('SIGUSR2');
  try {
    for await (const line of lines) {
      if (line.includes('"msg":"stats"')) return (JSON.parse(line) as { stats: ServerStats }).stats;
    }
    return null;
  } finally {
    lines.close();
    // Closing the reader has paused it.
    child.stdout!.resume();
  }
}

/**
 * Starts a broker and waits until it listens.
 * @param pin keep it on cores of its own.
 * @throws BenchError with its last output when it does not.
 */
export async function startBroker(
  name: string,
  how: BrokerCommand,
  workers: number,
  pin: boolean,
): Promise<BrokerUnderTest> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-bench-'));
  const command = how.command(port, workers, folder);
  const [program, ...args] = pin ? ['taskset', '-c', brokerCores(workers), ...command] : command;
  const child = spawn(program, args, {
    env: { ...processEnvironment(), ...how.environment(port, workers) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that its children end with it.
    detached: true,
  });
  running.add(child);
  let output = '';
  let ended: string | null = null;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const gone = new Promise<void>((resolve) => {
    const onEnd = (how: string) => () => {
      ended ??= how;
      resolve();
    };
    child.once('error', (error) => onEnd(error.message)());
    child.once('exit', (code, signal) => onEnd(`it has ended with ${signal ?? code}`)());
  });
  const close = async (): Promise<void> => {
    killGroup(child, 'SIGTERM');
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
    running.delete(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const until = performance.now() + START_TIMEOUT_MS;
  while (ended === null && !(await isListening(port))) {
    if (performance.now() > until) ended = `it does not listen on port ${port}`;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  if (ended !== null) {
    const why: string = ended;
    await close();
    throw new BenchError(
      `${name} could not be started: ${why}${output === '' ? '' : `\n${output}`}`,
    );
  }
  return {
    name,
    host: '127.0.0.1',
    port,
    ...readings(child.pid ?? null),
    stats: () =>
      how.tellsStats === true && ended === null ? statsOf(child) : Promise.resolve(null),
    failure: () => (ended === null ? null : `${name}: ${ended}\n${output}`),
    close,
  };
}
