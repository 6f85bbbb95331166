/** The broker under test: a process of its own, or one that runs already. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListenerKind } from '../../src/base/listener-config.js';
import type { ServerStats } from '../../src/primary/stats.js';
import { BenchError } from './bench-error.js';
import { BrokerChild } from './broker-child.js';
import { freePort } from './free-port.js';
import { anonymousBytes, cpuNs, peakBytes, processTree, resetPeak, residentBytes } from './proc.js';

/** What a broker is started for. */
export interface BrokerPlace {
  readonly port: number;
  readonly workers: number;
  /** An empty folder of its own, which goes with it. */
  readonly folder: string;
  readonly transport: ListenerKind;
}

/** How a broker is started. */
export interface BrokerCommand {
  /** Transports that it can be started with. */
  readonly transports: readonly ListenerKind[];
  /** Program and arguments. */
  command(place: BrokerPlace): readonly string[];
  /** Added to the environment. */
  environment(place: BrokerPlace): Readonly<Record<string, string>>;
  /** It is ours: SIGUSR2 has it write its counters to standard output. */
  readonly tellsStats?: boolean;
}

/** A broker that takes connections. */
export interface BrokerUnderTest {
  readonly name: string;
  /** Name or address; of a unix socket the path. */
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  readonly transport: ListenerKind;
  /** Where it keeps what it keeps; null when that is not known. */
  readonly folder: string | null;
  /** CPU time of it and its children so far in nanoseconds; null when its process is not known. */
  cpuNs(): number | null;
  residentBytes(): number | null;
  /** Of that what is no file's. */
  anonymousBytes(): number | null;
  peakBytes(): number | null;
  resetPeak(): void;
  /** What it says of itself; null of a broker that does not. */
  stats(): Promise<ServerStats | null>;
  /** What stands against going on, such as that it has ended; null when nothing does. */
  failure(): string | null;
  /**
   * Ends its process and starts it again, with the same folder and port.
   * @returns milliseconds from the start until it took connections.
   * @throws StartError when it does not start again; BenchError when it was not started here.
   */
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number>;
  close(): Promise<void>;
}

type Readings = Pick<
  BrokerUnderTest,
  'cpuNs' | 'residentBytes' | 'anonymousBytes' | 'peakBytes' | 'resetPeak'
>;

/** Readings of a process tree, or nulls. */
function readings(pidNow: () => number | null): Readings {
  const read = (reading: (pids: readonly number[]) => number) => () => {
    const pid = pidNow();
    return pid === null ? null : reading(processTree(pid));
  };
  return {
    cpuNs: read(cpuNs),
    residentBytes: read(residentBytes),
    anonymousBytes: read(anonymousBytes),
    peakBytes: read(peakBytes),
    resetPeak: () => {
      const pid = pidNow();
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
  transport: ListenerKind,
): BrokerUnderTest {
  return {
    name,
    host,
    port,
    transport,
    folder: null,
    ...readings(() => pid),
    stats: () => Promise.resolve(null),
    failure: () => null,
    restart: () => Promise.reject(new BenchError(`${name} was not started here`)),
    close: () => Promise.resolve(),
  };
}

/** Where a broker that listens on a unix socket has it. */
export function socketIn(folder: string): string {
  return join(folder, 'socket');
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
  transport: ListenerKind = 'tcp',
): Promise<BrokerUnderTest> {
  const isUnix = transport === 'unix';
  const port = isUnix ? 0 : await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-bench-'));
  const host = isUnix ? socketIn(folder) : '127.0.0.1';
  const place = { port, workers, folder, transport };
  const command = how.command(place);
  const child = new BrokerChild({
    name,
    host,
    port,
    command: pin ? ['taskset', '-c', brokerCores(workers), ...command] : command,
    environment: how.environment(place),
  });
  const close = async (): Promise<void> => {
    await child.end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await child.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name,
    host,
    port,
    transport,
    folder,
    ...readings(() => child.pid),
    stats: () => (how.tellsStats === true ? child.stats() : Promise.resolve(null)),
    failure: () => child.failure(),
    restart: async (signal) => {
      await child.end(signal);
      return child.start();
    },
    close,
  };
}
