/**
 * What a flood does to a quiet neighbour: the latency of a pair that exchanges a few messages a
 * second, while other clients send as fast as they can. One part for each kind of flood, each
 * against a broker of its own, and one without any.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { clientIds, pairsPlan } from '../support/exchange-plan.js';
import { FloodProcess } from '../support/flood-process.js';
import type { FloodCount } from '../support/flood-task.js';
import { NO_FLOOD } from '../support/floods.js';
import type { Load, Phase } from '../support/load.js';
import { MEASURE, measured, type SuiteContext, withLoad } from '../support/measure-load.js';
import { type Measure, type Round, summarize } from '../support/results.js';
import type { Suite } from './suite.js';

/** Messages a second of the pair. */
const PAIR_RATE = 100;
/** A flood goes on until the pair's last message has come, but no longer than this. */
const FLOOD_MS_MAX = 30_000;
/** How long the pair may hear nothing: brokers that a flood has stopped are to be measured too. */
const STALL_MS_MIN = 60_000;

/** What the flood did between two counts, and what else is to be said of it. */
interface FloodOutcome {
  readonly measures: readonly Measure[];
  readonly warnings: readonly string[];
}

function floodOutcome(name: string, from: FloodCount, to: FloodCount): FloodOutcome {
  const seconds = (to.at - from.at) / 1e9;
  const warnings: string[] = [];
  if (to.gone > 0) warnings.push(`${to.gone} clients of the flood were cut off: ${to.why}`);
  if (to.filtersRefused > 0) warnings.push(`${to.filtersRefused} filters were refused`);
  return {
    measures: [
      ...measured('flood packets/s', 'perSecond', (to.packets - from.packets) / seconds),
      ...measured('flood bytes/s', 'bytesPerSecond', (to.bytesRead - from.bytesRead) / seconds),
    ],
    warnings: warnings.map((text) => `${name}: ${text}`),
  };
}

/** The part without a flood has the same columns. */
const NO_OUTCOME: FloodOutcome = {
  measures: [
    { name: 'flood packets/s', unit: 'perSecond', value: 0 },
    { name: 'flood bytes/s', unit: 'bytesPerSecond', value: 0 },
  ],
  warnings: [],
};

/** Publishes beside a flood that has begun before and fills the sockets already. */
async function besideFlood(
  context: SuiteContext,
  name: string,
  publish: () => Promise<Phase>,
): Promise<{ phase: Phase; outcome: FloodOutcome }> {
  const { broker, settings, progress } = context;
  const { host, port } = broker;
  const { clients, warmupMs, durationMs, transport } = settings;
  const flood = new FloodProcess();
  let timer: NodeJS.Timeout | undefined;
  try {
    progress(`opening the flood ${name}`);
    const clientId = clientIds('flood')(0);
    await flood.command({ type: 'open', flood: name, host, port, transport, clients, clientId });
    await flood.command({ type: 'start' });
    await delay(warmupMs);
    const from = await flood.command({ type: 'count' });
    const counted = delay(durationMs).then(() => flood.command({ type: 'count' }));
    counted.catch(() => {});
    timer = setTimeout(() => void flood.close(), durationMs + FLOOD_MS_MAX);
    const phase = await publish();
    return { phase, outcome: floodOutcome(name, from, await counted) };
  } finally {
    clearTimeout(timer);
    await flood.close();
  }
}

/** The pair alone, then beside its flood. */
async function measurePair(context: SuiteContext, load: Load, name: string): Promise<Round> {
  const { broker, settings } = context;
  await load.connect();
  await load.subscribe();
  const warmup = settings.warmupMs > 0 ? await load.publish(0, settings.warmupMs) : null;
  broker.resetPeak();
  let cpuShare: number | null = null;
  const publish = async (): Promise<Phase> => {
    const [cpuBefore, startedAt] = [broker.cpuNs(), performance.now()];
    const phase = await load.publish(0, settings.durationMs);
    const cpuAfter = broker.cpuNs();
    if (cpuBefore !== null && cpuAfter !== null) {
      cpuShare = (cpuAfter - cpuBefore) / 1e6 / (performance.now() - startedAt);
    }
    return phase;
  };
  const { phase, outcome } =
    name === NO_FLOOD
      ? { phase: await publish(), outcome: NO_OUTCOME }
      : await besideFlood(context, name, publish);
  const latency = summarize(phase.latency);
  return {
    measures: [
      ...measured(MEASURE.p50, 'nanoseconds', latency?.p50 ?? null),
      ...measured(MEASURE.p99, 'nanoseconds', latency?.p99 ?? null),
      ...measured(MEASURE.max, 'nanoseconds', latency?.max ?? null),
      ...outcome.measures,
      ...measured('broker CPU', 'share', cpuShare),
      ...measured(MEASURE.peak, 'bytes', broker.peakBytes()),
    ],
    latency,
    isPaced: true,
    faults: [...(warmup?.faults ?? []), ...phase.faults],
    warnings: outcome.warnings,
  };
}

export const fair: Suite = {
  name: 'fair',
  connections: ({ clients }) => (clients || 20) + 3,
  summary:
    'a pair of 100 messages a second of QoS 1 beside each flood (--floods): its latency, and ' +
    'what the flood got through',
  parts: ({ floods }) =>
    floods.map((name) => ({ label: `flood=${name}`, settings: { floods: [name] } })),
  run(context) {
    const { settings } = context;
    const quiet = { ...settings, qos: 1, topicCount: 1, batch: 1 } as const;
    const plan = pairsPlan(quiet, 1, PAIR_RATE);
    const stallMs = Math.max(settings.stallMs, STALL_MS_MIN);
    return withLoad({ ...context, settings: { ...settings, stallMs } }, plan, (load) =>
      measurePair(context, load, settings.floods[0]),
    );
  },
};
