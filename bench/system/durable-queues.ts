/** Rows of `durable` about messages that wait for somebody. */
import { settledDiskBytes } from '../support/disk.js';
import { exchangePlan } from '../support/exchange-plan.js';
import { FdatasyncProbe } from '../support/fdatasync.js';
import { latencyHistogram } from '../support/load-thread.js';
import {
  latencyMeasures,
  MEASURE,
  measured,
  measureLoad,
  publishMeasured,
  type SuiteContext,
  withLoad,
} from '../support/measure-load.js';
import { type Round, summarize } from '../support/results.js';
import { RoundTrips } from '../support/round-trips.js';
import {
  acknowledge,
  apart,
  durableSettings,
  endSessions,
  PUBLISHERS,
  replay,
  roundWith,
  scaled,
  withAbsent,
} from './durable-load.js';

/** Sessions of fan-out, and messages of backlog. */
export const SESSIONS = 1_000;
const BACKLOG = 1_000_000;
/** Messages to each session of fan-out. */
const FAN_OUT_MESSAGES = 1_000;
/** Round trips measured in a row, and how many times fdatasync is measured after them. */
const ROUND_TRIPS = 16;
const FDATASYNCS = 8;

/** Publishers of QoS 1 and one subscriber that is not there. */
export function absent(context: SuiteContext): Promise<Round> {
  const { settings } = context;
  return withAbsent(context, settings.clients || PUBLISHERS, 1, async (publishing, subscriber) => {
    if (settings.warmupMs > 0) await publishing.publish(0, settings.warmupMs);
    const { messages, durationMs } = settings;
    const done = await acknowledge(context, publishing, messages, durationMs);
    subscriber.expectFrom(publishing);
    const came = await replay(subscriber);
    const perSecond = done.phase.published / done.seconds;
    const measures = measured(MEASURE.acknowledged, 'perSecond', perSecond);
    return roundWith([...measures, ...came.measures, ...done.measures], came.faults, done.warnings);
  });
}

/** The same with the subscriber there. */
export async function connected(context: SuiteContext): Promise<Round> {
  const settings = durableSettings(context.settings);
  const plan = exchangePlan(settings, settings.clients || PUBLISHERS, 1);
  const clients = plan.clients.map((client) =>
    client.subscribe === null ? client : { ...client, keepsSession: true },
  );
  const round = await withLoad(context, { ...plan, clients }, async (load) => {
    await load.connect();
    await load.subscribe();
    await using probe = await FdatasyncProbe.open(context.broker.folder);
    const { outcome, took } = await probe.beside(() =>
      publishMeasured({ ...context, settings }, load),
    );
    const fdatasync = measured(MEASURE.fdatasync, 'nanoseconds', took.percentile(50));
    return { ...outcome, measures: [...outcome.measures, ...fdatasync] };
  });
  await endSessions(context, { ...plan, clients });
  return round;
}

/** One message at a time, and fdatasync of the same disk in between. */
export async function roundTrip(context: SuiteContext): Promise<Round> {
  const { settings, broker } = context;
  const plans = apart(durableSettings(settings), 1, 1);
  const round = await withLoad(context, plans.subscribing, async (subscriber) => {
    await subscriber.connect();
    await subscriber.subscribe();
    await subscriber.disconnect();
    const publisher = await RoundTrips.open(broker, plans.publishing.clients[0]);
    try {
      await using probe = await FdatasyncProbe.open(broker.folder);
      const trips = latencyHistogram();
      const syncs = latencyHistogram();
      const measuredFrom = performance.now() + settings.warmupMs;
      const isOver = (): boolean =>
        settings.messages > 0
          ? trips.count >= settings.messages
          : trips.count > 0 && performance.now() > measuredFrom + settings.durationMs;
      while (!isOver()) {
        const isMeasured = performance.now() >= measuredFrom;
        for (let left = ROUND_TRIPS; left > 0; left--) {
          const took = await publisher.next();
          if (isMeasured) trips.record(Math.max(1_000, took));
        }
        for (let left = FDATASYNCS; left > 0; left--) {
          const took = await probe.once();
          if (isMeasured) syncs.record(Math.max(1_000, took));
        }
      }
      subscriber.expect([publisher.sent]);
      const { faults } = await replay(subscriber);
      const latency = summarize(trips);
      const [trip, sync] = [trips.percentile(50), syncs.percentile(50)];
      const measures = [
        ...latencyMeasures(latency),
        ...measured(MEASURE.fdatasync, 'nanoseconds', sync),
        ...measured('p50 in fdatasyncs', 'count', trip / sync),
      ];
      return { measures, latency, isPaced: true, faults, warnings: [] };
    } finally {
      publisher.close();
    }
  });
  await endSessions(context, plans.subscribing);
  return round;
}

/** One publisher to many sessions of which none is there. */
export function fanOut(context: SuiteContext): Promise<Round> {
  const { settings, broker } = context;
  const sessions = scaled(SESSIONS, settings);
  return withAbsent(context, 1, sessions, async (publishing, subscribers) => {
    const before = await settledDiskBytes(broker.folder);
    // So many and not for so long: a broker that is fast would have more to replay than a slow one.
    const messages = settings.messages || FAN_OUT_MESSAGES;
    const done = await acknowledge(context, publishing, messages, 0);
    const after = await settledDiskBytes(broker.folder);
    subscribers.expectFrom(publishing);
    const queued = done.phase.published * sessions;
    const grown = after === null || before === null ? null : (after - before) / queued;
    const came = await replay(subscribers);
    const measures = [
      ...measured('queued/s', 'perSecond', queued / done.seconds),
      ...measured('disk a reference', 'bytes', grown),
      ...came.measures,
      ...done.measures,
    ];
    return roundWith(measures, came.faults, done.warnings);
  });
}

/** Very many messages wait for one session. */
export function backlog(context: SuiteContext): Promise<Round> {
  const { settings, broker } = context;
  const publishers = settings.clients || PUBLISHERS;
  return withAbsent(context, publishers, 1, async (publishing, subscriber) => {
    const each = Math.ceil(scaled(BACKLOG, settings) / publishers);
    const [resident, anonymous] = [broker.residentBytes(), broker.anonymousBytes()];
    broker.resetPeak();
    const done = await acknowledge(context, publishing, each, 0);
    const waiting = broker.anonymousBytes();
    subscriber.expectFrom(publishing);
    const came = await replay(subscriber);
    const grown = (now: number | null, then: number | null): number | null =>
      now === null || then === null ? null : now - then;
    const measures = [
      ...measured(MEASURE.acknowledged, 'perSecond', done.phase.published / done.seconds),
      ...came.measures,
      ...measured('RSS growth', 'bytes', grown(broker.peakBytes(), resident)),
      ...measured('without files', 'bytes', grown(waiting, anonymous)),
      ...done.measures,
    ];
    return roundWith(measures, came.faults, done.warnings);
  });
}

/** Sessions that are not kept: nothing of this is to be written. */
export function clean(context: SuiteContext): Promise<Round> {
  return measureLoad(context, exchangePlan(context.settings, 1, 1));
}
