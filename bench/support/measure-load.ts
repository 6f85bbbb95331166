/** Runs a load against a broker: warm-up, then the measured part on the same connections. */
import { BenchError } from './bench-error.js';
import type { BrokerUnderTest } from './broker-process.js';
import { shown } from './format.js';
import { Load, type Phase } from './load.js';
import type { LoadPlan } from './load-plan.js';
import { type LatencySummary, type Measure, type Round, summarize } from './results.js';
import type { BenchSettings } from './settings.js';

/** A generator that is busier than this may be what was measured. */
const GENERATOR_SHARE_MAX = 0.9;
/** Messages at a set rate that go out later than this make the latencies doubtful. */
const LATENESS_NS_MAX = 1_000_000;
const PROGRESS_MS = 250;
/** Steps of progress that a rate is taken over. */
const RATE_STEPS = 4;

/** What a suite has to work with. */
export interface SuiteContext {
  readonly settings: BenchSettings;
  readonly broker: BrokerUnderTest;
  /** Shows what is going on; each text replaces the last. */
  progress(text: string): void;
}

/** CPU time over a stretch of a run: the broker's, and the generator's share of its threads. */
export class CpuSpan {
  readonly #broker: BrokerUnderTest;
  readonly #brokerNs: number | null;
  readonly #own: NodeJS.CpuUsage;
  readonly #startedAt: number;

  /** Begins now. */
  constructor(broker: BrokerUnderTest) {
    this.#broker = broker;
    this.#own = process.cpuUsage();
    this.#startedAt = performance.now();
    this.#brokerNs = broker.cpuNs();
  }

  /** CPU time of the broker since the beginning in nanoseconds; null when it is not known. */
  brokerNs(): number | null {
    const now = this.#broker.cpuNs();
    return now === null || this.#brokerNs === null ? null : now - this.#brokerNs;
  }

  /** Part of the time of `threads` threads that the generator was busy, 0 to 1. */
  generatorShare(threads: number): number {
    const { user, system } = process.cpuUsage(this.#own);
    return (user + system) / 1_000 / (performance.now() - this.#startedAt) / threads;
  }
}

/**
 * Shows what was delivered so far, or how many CONNECTs and SUBSCRIBEs were answered while nothing
 * was, and how fast over the last second or so.
 */
function progressOf(load: Load, progress: SuiteContext['progress']): () => void {
  const seen: { readonly at: number; readonly delivered: number; readonly answered: number }[] = [];
  return () => {
    const now = { at: performance.now(), delivered: load.delivered, answered: load.answered };
    seen.push(now);
    const [first] = seen;
    if (seen.length > RATE_STEPS) seen.shift();
    const isDelivering = now.delivered > 0;
    const seconds = (now.at - first.at) / 1_000;
    const done = isDelivering ? now.delivered - first.delivered : now.answered - first.answered;
    const rate = shown(seconds > 0 ? done / seconds : 0, 'perSecond');
    const total = isDelivering
      ? `${(now.delivered / 1e6).toFixed(2)} M delivered`
      : `${now.answered} CONNECTs and SUBSCRIBEs answered`;
    progress(`${total}, ${rate}`);
  };
}

/** Opens a load, shows its progress while `body` runs, and closes it whatever happens. */
export async function withLoad<T>(
  context: SuiteContext,
  plan: LoadPlan,
  body: (load: Load) => Promise<T>,
): Promise<T> {
  const { broker, settings, progress } = context;
  const load = new Load(plan, {
    host: broker.host,
    port: broker.port,
    transport: broker.transport,
    threads: settings.loadThreads,
    stallMs: settings.stallMs,
    ahead: settings.ahead,
  });
  const timer = setInterval(progressOf(load, progress), PROGRESS_MS);
  try {
    progress(`connecting ${plan.clients.length} clients`);
    return await body(load);
  } catch (error) {
    const failure = broker.failure();
    throw failure === null ? error : new BenchError(failure, { cause: error });
  } finally {
    clearInterval(timer);
    await load.close();
  }
}

/** A measure, left out when its value is not known. */
export function measured(name: string, unit: Measure['unit'], value: number | null): Measure[] {
  return value === null || !Number.isFinite(value) ? [] : [{ name, unit, value }];
}

/** Names of measures that more than one place speaks of. */
export const MEASURE = {
  deliveries: 'deliveries/s',
  publishes: 'publishes/s',
  acknowledged: 'acknowledged/s',
  replayed: 'replayed/s',
  fdatasync: 'fdatasync',
  bytes: 'payload/s',
  cpu: 'broker CPU a delivery',
  peak: 'peak memory',
  generator: 'generator CPU',
  p50: 'p50',
  p99: 'p99',
  p999: 'p99.9',
  max: 'max',
} as const;

/** Percentiles, where there are any. */
export function latencyMeasures(latency: LatencySummary | null): Measure[] {
  return [
    ...measured(MEASURE.p50, 'nanoseconds', latency?.p50 ?? null),
    ...measured(MEASURE.p99, 'nanoseconds', latency?.p99 ?? null),
    ...measured(MEASURE.p999, 'nanoseconds', latency?.p999 ?? null),
    ...measured(MEASURE.max, 'nanoseconds', latency?.max ?? null),
  ];
}

/** What is said of a generator that was at its limit. */
export function generatorWarnings(share: number): string[] {
  if (share <= GENERATOR_SHARE_MAX) return [];
  const percent = Math.round(100 * share);
  return [
    `the load generator used ${percent} % of its threads: it may be what was measured; ` +
      'try --load-threads',
  ];
}

/** The numbers of a measured phase. */
export function roundOf(
  context: SuiteContext,
  phase: Phase,
  brokerNs: number | null,
  generatorShare: number,
): Round {
  const { settings, broker } = context;
  const seconds = (phase.lastDeliveryAt - phase.firstPublishAt) / 1e9;
  const latency = summarize(phase.latency);
  const warnings = generatorWarnings(generatorShare);
  const lateness = phase.lateness?.percentile(99) ?? 0;
  if (lateness > LATENESS_NS_MAX) {
    const late = (lateness / 1e6).toFixed(1);
    warnings.push(`1 % of the messages went out more than ${late} ms late; latencies count it`);
  }
  const isPaced = phase.lateness !== null;
  const hasBytes = settings.payloadBytes >= 1_024 || isPaced;
  return {
    measures: [
      ...measured(MEASURE.deliveries, 'perSecond', phase.delivered / seconds),
      ...measured(MEASURE.publishes, 'perSecond', phase.published / seconds),
      ...(hasBytes
        ? measured(MEASURE.bytes, 'bytesPerSecond', phase.deliveredBytes / seconds)
        : []),
      ...measured(
        MEASURE.cpu,
        'nanoseconds',
        brokerNs === null ? null : brokerNs / Math.max(1, phase.delivered),
      ),
      ...latencyMeasures(latency),
      ...measured(MEASURE.peak, 'bytes', broker.peakBytes()),
      ...measured(MEASURE.generator, 'share', generatorShare),
    ],
    latency,
    isPaced,
    faults: phase.faults,
    warnings,
  };
}

/** Publishes on an open load: the warm-up, then the part that is measured. */
export async function publishMeasured(context: SuiteContext, load: Load): Promise<Round> {
  const { settings, broker } = context;
  const warmup = settings.warmupMs > 0 ? await load.publish(0, settings.warmupMs) : null;
  broker.resetPeak();
  const cpu = new CpuSpan(broker);
  const phase = await load.publish(settings.messages, settings.durationMs);
  const brokerNs = cpu.brokerNs();
  const generatorShare = cpu.generatorShare(load.threads);
  const round = roundOf(context, phase, brokerNs, generatorShare);
  return { ...round, faults: [...(warmup?.faults ?? []), ...round.faults] };
}

/** Connects, subscribes, warms up, measures. */
export function measureLoad(context: SuiteContext, plan: LoadPlan): Promise<Round> {
  return withLoad(context, plan, async (load) => {
    await load.connect();
    await load.subscribe();
    return publishMeasured(context, load);
  });
}
