/** A broker in a process of its own, to be killed and started again in its folder. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BrokerChild } from '../../../bench/support/broker-child.js';
import { freePort } from '../../../bench/support/free-port.js';
import type { Faults } from './faults.js';
import { Link } from './link.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
/** A client id that begins with `lethal` is the death of its shard. */
const AUTHENTICATOR = new URL('../lethal-authenticator.js', import.meta.url).href;
/** Levels of the log from here on are errors. */
const ERROR_LEVEL = 50;
const SHARD_DIED = 'a shard died';

/** Which broker, and how. */
export interface BrokerPlan {
  readonly workers: number;
  /** Added to the environment of ours. */
  readonly environment: Readonly<Record<string, string>>;
  /** Another broker: a shell command, which finds PORT, FOLDER and WORKERS in its environment. */
  readonly command: string | null;
}

/** Room for all that waits, however long subscribers stay away. */
const ROOM = {
  SURGEMQ_MAX_QUEUED_MESSAGES: '10000000',
  SURGEMQ_MAX_QUEUED_BYTES: '4GiB',
  SURGEMQ_MAX_QUEUED_TOTAL_BYTES: '4GiB',
  SURGEMQ_LOG_LEVEL: 'info',
  SURGEMQ_MAX_LOOP_DELAY: '0',
  SURGEMQ_AUTH: AUTHENTICATOR,
} as const;

export class KillableBroker {
  readonly port: number;
  /** Holds its data and its log. Goes with `remove`. */
  readonly folder: string;
  readonly #child: BrokerChild;
  readonly #faults: Faults;
  /** What of its last line has come. */
  #line = '';
  /** Shards that were killed since the process began. */
  shardsKilledHere = 0;
  /** Shards that were killed, and that the log has said of that they died. */
  #shardsKilled = 0;
  #shardsDied = 0;

  private constructor(plan: BrokerPlan, port: number, faults: Faults) {
    this.port = port;
    this.#faults = faults;
    this.folder = mkdtempSync(join(tmpdir(), 'surgemq-kill-'));
    const isOurs = plan.command === null;
    this.#child = new BrokerChild({
      name: isOurs ? 'surgemq' : 'the broker',
      host: '127.0.0.1',
      port,
      command: isOurs ? [process.execPath, MAIN, 'serve'] : ['sh', '-c', plan.command!],
      environment: {
        PORT: String(port),
        FOLDER: this.folder,
        WORKERS: String(plan.workers),
        ...(isOurs
          ? {
              SURGEMQ_LISTEN: `tcp://127.0.0.1:${port}`,
              SURGEMQ_WORKERS: String(plan.workers),
              SURGEMQ_DATA_DIR: join(this.folder, 'data'),
              ...ROOM,
            }
          : {}),
        ...plan.environment,
      },
      onOutput: (text) => this.#onOutput(text),
    });
  }

  /** Finds a port. Nothing is started. */
  static async at(plan: BrokerPlan, faults: Faults): Promise<KillableBroker> {
    return new KillableBroker(plan, await freePort(), faults);
  }

  get pid(): number | null {
    return this.#child.pid;
  }

  /** Resolves when it takes connections. @throws BenchError when it does not start. */
  async start(): Promise<void> {
    this.#line = '';
    this.shardsKilledHere = 0;
    await this.#child.start();
  }

  /** Starts it and kills it `afterMs` later, whether it takes connections by then or not. */
  async startInVain(afterMs: number): Promise<void> {
    const started = this.#child.start().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await this.#child.end('SIGKILL');
    await started;
  }

  async kill(): Promise<void> {
    await this.#child.end('SIGKILL');
  }

  /** Kills the shard that the next connection is placed on; it gets a successor by itself. */
  async killShard(): Promise<void> {
    this.#shardsKilled++;
    this.shardsKilledHere++;
    await new Promise<void>((resolve) => {
      const link = new Link(this.port, 4, {
        onOpen: () =>
          link.send({
            cmd: 'connect',
            protocolId: 'MQTT',
            protocolVersion: 4,
            clientId: `lethal-${this.#shardsKilled}`,
            clean: true,
            keepalive: 0,
          }),
        onPacket: () => {},
        onMalformed: () => {},
        onClosed: () => resolve(),
      });
    });
  }

  /** Says once that it has ended without having been killed. @returns whether it has. */
  hasEnded(): boolean {
    const failure = this.#child.failure();
    if (failure !== null) this.#faults.add('broker', failure);
    return failure !== null;
  }

  /** Ends it in order, and says when it does not. */
  async stop(): Promise<void> {
    await this.#child.end('SIGTERM');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #onOutput(text: string): void {
    appendFileSync(join(this.folder, 'broker.log'), text);
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  /** Errors in its log are faults, but for the deaths that were asked for. */
  #onLine(line: string): void {
    const level = Number(/"level":(\d+)/.exec(line)?.[1] ?? 0);
    if (level < ERROR_LEVEL) return;
    if (line.includes(SHARD_DIED) && ++this.#shardsDied <= this.#shardsKilled) return;
    this.#faults.add('broker', line.slice(0, 600));
  }
}
