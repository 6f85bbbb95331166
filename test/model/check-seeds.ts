/** Runs seeds of the model test one after another, and tells of each fault what is needed. */
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker } from '../support/broker.js';
import { type HistoryOptions, makeHistory, type Step, textOfStep } from './history.js';
import { type ModelBroker, startProcess } from './model-broker.js';
import type { Fault } from './record.js';
import type { Recorder } from './recorder.js';
import { runHistory } from './run-history.js';
import { shrink } from './shrink.js';

/** Which seeds to run, and how. */
export interface CheckOptions extends HistoryOptions {
  readonly workers: number;
  readonly first: number;
  readonly seeds: number;
  /** Default: that of the broker. */
  readonly ringBytes?: number;
  readonly patienceMs: number;
  /** How long to look for a shorter history of a fault, in milliseconds; 0: not at all. */
  readonly shrinkMs: number;
  /** Rules that are not looked at. */
  readonly ignored: ReadonlySet<string>;
  /** Seeds with a fault after which the rest is left out. */
  readonly faultySeedsMax: number;
  /** Told of each seed, with the faults by rule. */
  readonly onSeed?: (seed: number, faults: readonly Fault[]) => void;
  /** Told where the store and the log of a seed with faults are, which are kept for that. */
  readonly onKept?: (seed: number, folder: string) => void;
}

/** What came out. */
export interface CheckReport {
  /** Faults by rule. */
  readonly faults: ReadonlyMap<string, number>;
  /** Seeds with a fault of the rule, by rule. */
  readonly seeds: ReadonlyMap<string, number>;
  /** For people: each faulty seed with its shortest history. */
  readonly texts: readonly string[];
  readonly publications: number;
  readonly deliveries: number;
}

/**
 * A client id that begins with `lethal` ends its shard. What may be lost with it: its connections
 * and their wills, the sessions it held, the retained messages of its topics (`Death`), and nothing
 * else: what it had acknowledged reaches the sessions of the others, and what they publish goes on.
 */
const LETHAL = new URL('../support/lethal-authenticator.js', import.meta.url).href;
/** One less than the deaths within a minute that end the server. */
const KILLS_PER_BROKER = 4;
/** What waits for the disk at QoS 2 is passed by QoS 0: section 4.6 has no order across QoS. */
const NOT_WITH_A_STORE: ReadonlySet<string> = new Set(['orderAcrossQosOfResumedSessions']);
/** A race shows up in some runs of a history. */
const TRIES = 8;

function serverOptions({ workers, ringBytes, kills }: CheckOptions): ServerOptions {
  return {
    workers,
    ...(ringBytes === undefined ? {} : { ringBytes }),
    ...(kills ? { authenticator: LETHAL } : {}),
    connectTimeout: 60,
    slowConsumerTimeout: 60,
  };
}

function inThisProcess(broker: Broker): ModelBroker {
  const { host, port, server } = broker;
  const close = () => broker.close();
  return { host, port, server, process: null, raw: () => broker.raw(), close };
}

/** A broker that is replaced before too many of its shards have died. */
class Brokers implements AsyncDisposable {
  readonly #options: CheckOptions;
  #broker: ModelBroker | null = null;
  #runs = 0;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  async get(): Promise<ModelBroker> {
    const { restarts, kills, workers, ringBytes } = this.#options;
    if (kills && this.#runs++ % KILLS_PER_BROKER === 0) await this.renew();
    if (restarts) this.#broker ??= await startProcess(workers, ringBytes);
    this.#broker ??= inThisProcess(await startBroker(serverOptions(this.#options)));
    return this.#broker;
  }

  /** The next is a new one. */
  async renew(): Promise<void> {
    await this.#broker?.close();
    this.#broker = null;
  }

  /** The next is a new one. @returns the folder of this one, which stays; null: it has none. */
  async keep(): Promise<string | null> {
    const { process = null } = this.#broker ?? {};
    if (process === null) return null;
    this.#broker = null;
    return await process.keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.renew();
  }
}

/** The fault's history and what was observed, to read. */
function describe(steps: readonly Step[], record: Recorder, faults: readonly Fault[]): string {
  return [
    'history:',
    ...steps.map((step) => `  ${textOfStep(step)}`),
    'observed:',
    ...record.lines.map(({ at, text }) => `  ${at} ${text}`),
    'faults:',
    ...faults.map(({ rule, text }) => `  ${rule}: ${text}`),
  ].join('\n');
}

async function runChecked(broker: ModelBroker, steps: readonly Step[], options: CheckOptions) {
  const { record, faults } = await runHistory(broker, steps, options);
  const isMeant = ({ rule }: Fault): boolean =>
    !options.ignored.has(rule) && !(options.restarts && NOT_WITH_A_STORE.has(rule));
  return { record, faults: faults.filter(isMeant) };
}

/** The text of a faulty seed: its shortest history for the first of its faults. */
async function explain(
  seed: number,
  steps: readonly Step[],
  found: { readonly record: Recorder; readonly faults: readonly Fault[] },
  brokers: Brokers,
  options: CheckOptions,
): Promise<string> {
  const { rule } = found.faults[0];
  let shown = { steps, ...found };
  const shows = async (fewer: readonly Step[]): Promise<boolean> => {
    for (let tries = 0; tries < TRIES; tries++) {
      const result = await runChecked(await brokers.get(), fewer, options);
      const faults = result.faults.filter((fault) => fault.rule === rule);
      if (faults.length === 0) continue;
      shown = { steps: fewer, record: result.record, faults };
      return true;
    }
    return false;
  };
  if (options.shrinkMs > 0) await shrink(steps, shows, Date.now() + options.shrinkMs);
  const { workers, ringBytes } = options;
  const title = `seed ${seed}, ${workers} workers${ringBytes ? `, rings of ${ringBytes}` : ''}`;
  const rest = `${shown.steps.length} of ${steps.length} steps still show ${rule}`;
  return `${title}: ${rest}\n${describe(shown.steps, shown.record, shown.faults)}`;
}

/** Runs the seeds. @throws what the broker throws when it cannot start. */
export async function checkSeeds(options: CheckOptions): Promise<CheckReport> {
  const faultCounts = new Map<string, number>();
  const seedCounts = new Map<string, number>();
  const texts: string[] = [];
  const report = { publications: 0, deliveries: 0 };
  await using brokers = new Brokers(options);
  const { first, seeds, faultySeedsMax } = options;
  let faulty = 0;
  for (let seed = first; seed < first + seeds && faulty < faultySeedsMax; seed++) {
    const steps = makeHistory(seed, options);
    const result = await runChecked(await brokers.get(), steps, options);
    report.publications += result.record.publications.length;
    for (const session of result.record.sessions) report.deliveries += session.deliveries.length;
    options.onSeed?.(seed, result.faults);
    if (result.faults.length === 0) continue;
    faulty++;
    const folder = options.onKept === undefined ? null : await brokers.keep();
    if (folder !== null) options.onKept?.(seed, folder);
    for (const { rule } of result.faults) {
      faultCounts.set(rule, (faultCounts.get(rule) ?? 0) + 1);
    }
    for (const rule of new Set(result.faults.map((fault) => fault.rule))) {
      seedCounts.set(rule, (seedCounts.get(rule) ?? 0) + 1);
    }
    if (options.shrinkMs > 0) texts.push(await explain(seed, steps, result, brokers, options));
    if (result.record.hangs.length > 0) await brokers.renew();
  }
  return { faults: faultCounts, seeds: seedCounts, texts, ...report };
}
