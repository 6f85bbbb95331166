/** Rows of `durable` about what is there when nobody waits: retained messages, and a start. */
import { StartError } from '../support/bench-error.js';
import { settledDiskBytes } from '../support/disk.js';
import { clientIds, exchangePlan, subscribePlan } from '../support/exchange-plan.js';
import type { Load } from '../support/load.js';
import { type LoadPlan, monotonicNs } from '../support/load-plan.js';
import { MEASURE, measured, type SuiteContext, withLoad } from '../support/measure-load.js';
import type { Round } from '../support/results.js';
import type { PairFault } from '../support/sequence-check.js';
import type { BenchSettings } from '../support/settings.js';
import {
  acknowledge,
  apart,
  durableSettings,
  PUBLISHERS,
  replay,
  roundWith,
  scaled,
} from './durable-load.js';

const START_RETAINED = 1_000_000;
const START_SESSIONS = 100_000;
/** Sessions that are made, or come back, at once. */
const SESSIONS_AT_ONCE = 1_000;

/** Publishers that retain, each on topics of its own, and one who subscribes to all of them. */
function retaining(
  settings: BenchSettings,
  topics: number,
): { readonly publishing: LoadPlan; readonly subscribing: LoadPlan; readonly each: number } {
  const publishers = Math.min(settings.clients || PUBLISHERS, topics);
  const each = Math.ceil(topics / publishers);
  const all = { ...durableSettings(settings), topics: 'own', topicCount: each } as const;
  const { clients, ...plan } = exchangePlan(all, publishers, 1);
  const subscriber = clients[publishers];
  const receive = { ...subscriber.subscribe!.receive!, qos: 0 as const, retain: true };
  const subscribe = subscribePlan('#', receive, 0, publishers, 'set');
  return {
    each,
    publishing: {
      ...plan,
      latency: 'none',
      clients: clients.slice(0, publishers).map((client) => ({
        ...client,
        publish: { ...client.publish!, retain: true },
      })),
    },
    subscribing: { ...plan, latency: 'none', clients: [{ ...subscriber, subscribe }] },
  };
}

/** What comes to a subscription to everything. */
async function everything(
  context: SuiteContext,
  plan: LoadPlan,
  published: Load,
): Promise<{ readonly perSecond: number; readonly faults: readonly PairFault[] }> {
  return withLoad({ ...context, progress: () => {} }, plan, async (subscriber) => {
    subscriber.expectFrom(published);
    await subscriber.connect();
    const { from } = await subscriber.subscribe();
    const { delivered, lastDeliveryAt, faults } = await subscriber.receive();
    return { perSecond: delivered / ((lastDeliveryAt - from) / 1e9), faults };
  });
}

/** Many topics set, then read. */
export function retained(context: SuiteContext): Promise<Round> {
  const { settings } = context;
  const count = scaled(settings.count, settings);
  const plans = retaining(settings, count);
  return withLoad(context, plans.publishing, async (publishing) => {
    await publishing.connect();
    const done = await acknowledge(context, publishing, plans.each, 0);
    const came = await everything(context, plans.subscribing, publishing);
    const measures = [
      ...measured('set/s', 'perSecond', done.phase.published / done.seconds),
      ...measured(MEASURE.replayed, 'perSecond', came.perSecond),
      ...done.measures,
    ];
    // A running broker gets back what it had: no payload takes a message away again.
    if (settings.host !== '') {
      const { publishing: taking } = retaining({ ...settings, payloadBytes: 0 }, count);
      await withLoad(context, taking, async (load) => {
        await load.connect();
        await load.publish(plans.each, 0);
      });
    }
    return roundWith(measures, came.faults, done.warnings);
  });
}

/** Sessions with a subscription each, in parts: those of the first part come back later. */
async function makeSessions(
  context: SuiteContext,
  count: number,
  use: (first: Load) => Promise<Round>,
): Promise<Round> {
  const settings = durableSettings(context.settings);
  const planOf = (from: number): LoadPlan => {
    const plan = apart(settings, 1, Math.min(SESSIONS_AT_ONCE, count - from)).subscribing;
    const id = clientIds('session');
    return {
      ...plan,
      clients: plan.clients.map((client, index) => ({ ...client, clientId: id(index) })),
    };
  };
  const subscribeAll = async (load: Load): Promise<void> => {
    await load.connect();
    await load.subscribe();
    await load.disconnect();
  };
  return withLoad(context, planOf(0), async (first) => {
    await subscribeAll(first);
    for (let from = SESSIONS_AT_ONCE; from < count; from += SESSIONS_AT_ONCE) {
      context.progress(`${from} of ${count} sessions`);
      await withLoad({ ...context, progress: () => {} }, planOf(from), subscribeAll);
    }
    return use(first);
  });
}

/** @returns milliseconds; null when it does not come up in time: that says enough of it. */
async function startAgain(
  broker: SuiteContext['broker'],
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<number | null> {
  try {
    return await broker.restart(signal);
  } catch (error) {
    if (error instanceof StartError) return null;
    throw error;
  }
}

/** A start with very much there. */
export async function start(context: SuiteContext): Promise<Round> {
  const { settings, broker } = context;
  const plans = retaining(settings, scaled(START_RETAINED, settings));
  const sessions = scaled(START_SESSIONS, settings);
  const one = apart(durableSettings(settings), 1, 1).publishing;
  return makeSessions(context, sessions, (first) =>
    withLoad(context, plans.publishing, async (publishing) => {
      await publishing.connect();
      await publishing.publish(plans.each, 0);
      await publishing.disconnect();
      // One message for all of them, which shows whether their sessions were kept.
      await withLoad(context, one, async (publisher) => {
        await publisher.connect();
        await publisher.publish(1, 0);
        first.expectFrom(publisher);
      });
      const bytes = await settledDiskBytes(broker.folder);
      const onDisk = measured('on disk', 'bytes', bytes);
      const inOrderMs = await startAgain(broker, 'SIGTERM');
      const killedMs = inOrderMs === null ? null : await startAgain(broker, 'SIGKILL');
      if (inOrderMs === null || killedMs === null) {
        const how = inOrderMs === null ? 'it was ended' : 'it was killed';
        return roundWith(
          onDisk,
          [],
          [`it did not come back after ${how}: the rest is not measured`],
        );
      }
      const from = monotonicNs();
      const sessionFaults = (await replay(first)).faults;
      const comeBackNs = monotonicNs() - from;
      const came = await everything(context, plans.subscribing, publishing);
      const measures = [
        ...measured('start', 'nanoseconds', inOrderMs * 1e6),
        ...measured('start when killed', 'nanoseconds', killedMs * 1e6),
        ...measured('memory then', 'bytes', broker.residentBytes()),
        ...onDisk,
        ...measured('1,000 come back', 'nanoseconds', comeBackNs),
        ...measured(MEASURE.replayed, 'perSecond', came.perSecond),
      ];
      return roundWith(measures, [...sessionFaults, ...came.faults], []);
    }),
  );
}
