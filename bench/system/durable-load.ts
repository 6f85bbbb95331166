/** What the rows of `durable` have in common: loads whose subscribers leave and come back. */
import { exchangePlan } from '../support/exchange-plan.js';
import { FdatasyncProbe } from '../support/fdatasync.js';
import type { Load, Phase } from '../support/load.js';
import { type LoadPlan, monotonicNs } from '../support/load-plan.js';
import {
  CpuSpan,
  generatorWarnings,
  MEASURE,
  measured,
  type SuiteContext,
  withLoad,
} from '../support/measure-load.js';
import type { Measure, Round } from '../support/results.js';
import type { PairFault } from '../support/sequence-check.js';
import type { BenchSettings } from '../support/settings.js';

/** Publishers where nothing is said. */
export const PUBLISHERS = 20;
/** Messages in flight of each. */
export const WINDOW = 64;

/** A number of the issue's, as large as this run wants it. */
export function scaled(number: number, { scale }: BenchSettings): number {
  return Math.max(1, Math.round((number * scale) / 100));
}

/** Settings in which every row of durable is measured. */
export function durableSettings(settings: BenchSettings): BenchSettings {
  return { ...settings, qos: 1, window: WINDOW, shared: 0, topicCount: 1, topics: 'shared' };
}

/** Publishers and subscribers, whose sessions stay, by themselves. */
export function apart(
  settings: BenchSettings,
  publishers: number,
  subscribers: number,
): { readonly publishing: LoadPlan; readonly subscribing: LoadPlan } {
  const { clients, ...plan } = exchangePlan(settings, publishers, subscribers);
  return {
    publishing: {
      ...plan,
      clients: clients.filter(({ subscribe }) => subscribe === null),
      latency: 'none',
    },
    subscribing: {
      ...plan,
      clients: clients
        .filter(({ subscribe }) => subscribe !== null)
        .map((client) => ({ ...client, keepsSession: true })),
      latency: 'none',
    },
  };
}

/** A broker that was running gets rid of the sessions that stay. */
export async function endSessions(context: SuiteContext, { clients }: LoadPlan): Promise<void> {
  if (context.settings.host === '') return;
  const plan: LoadPlan = {
    clients: clients
      .filter(({ keepsSession }) => keepsSession)
      .map((client) => ({ ...client, keepsSession: false, publish: null, subscribe: null })),
    publisherCount: 0,
    ratePerSecond: 0,
    latency: 'none',
  };
  await withLoad({ ...context, progress: () => {} }, plan, (load) => load.connect());
}

/** Subscribers that have subscribed and gone, and publishers that are connected. */
export async function withAbsent<T>(
  context: SuiteContext,
  publishers: number,
  subscribers: number,
  body: (publishing: Load, absent: Load) => Promise<T>,
): Promise<T> {
  const plans = apart(durableSettings(context.settings), publishers, subscribers);
  // One of the two shows what is going on.
  const quiet = { ...context, progress: () => {} };
  const outcome = await withLoad(context, plans.subscribing, async (absent) => {
    await absent.connect();
    await absent.subscribe();
    await absent.disconnect();
    return withLoad(quiet, plans.publishing, async (publishing) => {
      await publishing.connect();
      return body(publishing, absent);
    });
  });
  await endSessions(context, plans.subscribing);
  return outcome;
}

/** What comes to those who come back: how fast, and what is missing. */
export async function replay(absent: Load): Promise<{ measures: Measure[]; faults: PairFault[] }> {
  const from = monotonicNs();
  await absent.connect();
  const { delivered, lastDeliveryAt, faults } = await absent.receive();
  const perSecond = delivered / ((lastDeliveryAt - from) / 1e9);
  return { measures: measured(MEASURE.replayed, 'perSecond', perSecond), faults: [...faults] };
}

/** What was published, and how long it took until all of it was acknowledged. */
export interface Acknowledged {
  readonly phase: Phase;
  readonly seconds: number;
  /** Of the broker, of the disk and of the generator. */
  readonly measures: readonly Measure[];
  readonly warnings: readonly string[];
}

/** Publishes, beside which the disk is measured. */
export async function acknowledge(
  { broker }: SuiteContext,
  load: Load,
  messages: number,
  durationMs: number,
): Promise<Acknowledged> {
  await using probe = await FdatasyncProbe.open(broker.folder);
  const cpu = new CpuSpan(broker);
  const { outcome, took } = await probe.beside(async () => {
    const phase = await load.publish(messages, durationMs);
    return { phase, seconds: (monotonicNs() - phase.firstPublishAt) / 1e9 };
  });
  const brokerNs = cpu.brokerNs();
  const share = cpu.generatorShare(load.threads);
  const { phase } = outcome;
  return {
    ...outcome,
    measures: [
      ...measured(MEASURE.fdatasync, 'nanoseconds', took.percentile(50)),
      ...measured(
        'broker CPU a message',
        'nanoseconds',
        brokerNs === null ? null : brokerNs / Math.max(1, phase.published),
      ),
      ...measured(MEASURE.generator, 'share', share),
    ],
    warnings: generatorWarnings(share),
  };
}

/** A round without latencies. */
export function roundWith(
  measures: readonly Measure[],
  faults: readonly PairFault[],
  warnings: readonly string[],
): Round {
  return { measures, latency: null, faults, warnings };
}
