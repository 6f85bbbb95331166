/** The process of a broker under test, which may be ended and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { processEnvironment } from '../../src/base/config.js';
import type { ServerStats } from '../../src/primary/stats.js';
import { StartError } from './bench-error.js';

/** A broker that reads a million rows before it listens takes its time. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const LOOK_AGAIN_MS = 10;
/** Last output of a broker that is told when it does not start. */
const OUTPUT_CHARACTERS = 2_000;

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

/** Whether something takes connections there. @param port 0: `host` is the path of a socket. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = port === 0 ? connect(host) : connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
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

/** What is started, and where it is then to be found. */
export interface ChildPlan {
  readonly name: string;
  /** Name or address; of a unix socket the path. */
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Added to the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Takes what it writes, besides what is kept for when it fails. */
  readonly onOutput?: (text: string) => void;
}

/** One process at a time. */
export class BrokerChild {
  readonly #plan: ChildPlan;
  #child: ChildProcess | null = null;
  #output = '';
  /** How the process ended; null while it runs. */
  #ended: string | null = 'it has not been started';
  #gone: Promise<void> = Promise.resolve();

  constructor(plan: ChildPlan) {
    this.#plan = plan;
  }

  /** Null while there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves when it takes connections. @returns milliseconds that it took. @throws StartError */
  async start(): Promise<number> {
    const { name, host, port } = this.#plan;
    const startedAt = performance.now();
    this.#spawn();
    while (this.#ended === null && !(await isListening(port, host))) {
      if (performance.now() > startedAt + START_TIMEOUT_MS) {
        this.#ended = `it does not listen on ${port === 0 ? host : `port ${port}`}`;
      }
      await delay(LOOK_AGAIN_MS);
    }
    if (this.#ended === null) return performance.now() - startedAt;
    const why: string = this.#ended;
    await this.end('SIGTERM');
    const said = this.#output === '' ? '' : `\n${this.#output}`;
    throw new StartError(`${name} could not be started: ${why}${said}`);
  }

  #spawn(): void {
    const [program, ...args] = this.#plan.command;
    const child = spawn(program, args, {
      env: { ...processEnvironment(), ...this.#plan.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that its children end with it.
      detached: true,
    });
    running.add(child);
    this.#child = child;
    this.#output = '';
    this.#ended = null;
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS);
      this.#plan.onOutput?.(chunk.toString());
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.#gone = new Promise<void>((resolve) => {
      const onEnd = (how: string) => {
        if (this.#child === child) this.#ended ??= how;
      };
      child.once('exit', (code, signal) => onEnd(`it has ended with ${signal ?? code}`));
      child.once('error', (error) => {
        onEnd(error.message);
        resolve();
      });
      // Behind its exit: what it has written may come later than that.
      child.once('close', () => resolve());
    });
  }

  /** What it says of itself; null when it ends instead. */
  stats(): Promise<ServerStats | null> {
    const child = this.#child;
    return child === null || this.#ended !== null ? Promise.resolve(null) : statsOf(child);
  }

  /** What stands against going on, such as that it has ended; null when nothing does. */
  failure(): string | null {
    return this.#ended === null ? null : `${this.#plan.name}: ${this.#ended}\n${this.#output}`;
  }

  /**
   * Ends the process, in order or not; one that does not end in order is killed. Resolves when
   * all that it has written has come, too.
   */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    killGroup(child, signal);
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), STOP_TIMEOUT_MS);
    await this.#gone;
    clearTimeout(timer);
    running.delete(child);
    this.#child = null;
  }
}
