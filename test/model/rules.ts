/**
 * What must hold of every observed history, a function a rule. README and ARCHITECTURE.md promise
 * it; here stands how it shows to clients.
 */
import {
  type ConnectionRecord,
  type Delivery,
  type Fault,
  NEVER,
  type Publication,
  type RunRecord,
  type SessionRecord,
} from './record.js';
import {
  allowedQos,
  concludeEnds,
  groupBy,
  happenedBefore,
  isInOrderOfOne,
  mayHold,
  mustHold,
  partsOf,
  type Stream,
  type Subscription,
  streamOf,
  subscriptionsTo,
} from './reference.js';
import { RULES_5 } from './rules5.js';

/** What the rules look at: the record, and what follows from it. */
export class View {
  readonly record: RunRecord;
  /** Of sessions that are members of no group. */
  readonly streams: ReadonlyMap<SessionRecord, Stream>;
  /** Of those that are members of one, and subscribe to nothing else. */
  readonly memberStreams: ReadonlyMap<SessionRecord, Stream>;
  readonly #subscriptions = new Map<SessionRecord, Map<string, Subscription[]>>();
  readonly #retained: Map<string, Publication[]>;

  constructor(record: RunRecord) {
    concludeEnds(record);
    this.record = record;
    const streams = (sessions: SessionRecord[]) =>
      new Map(sessions.map((session) => [session, streamOf(session)]));
    this.streams = streams(record.sessions.filter((session) => !isMember(session)));
    this.memberStreams = streams(record.sessions.filter(isMember));
    const retained = record.publications.filter(({ retain }) => retain);
    this.#retained = groupBy(retained, ({ topic }) => topic);
  }

  subscriptionsTo(session: SessionRecord, topic: string): Subscription[] {
    let byTopic = this.#subscriptions.get(session);
    if (byTopic === undefined) {
      byTopic = new Map();
      this.#subscriptions.set(session, byTopic);
    }
    let found = byTopic.get(topic);
    if (found === undefined) {
      found = subscriptionsTo(session, topic);
      byTopic.set(topic, found);
    }
    return found;
  }

  /** What was published to be retained, clears too. */
  retainedOf(topic: string): readonly Publication[] {
    return this.#retained.get(topic) ?? [];
  }

  /** Whether what a topic retained may have died with a shard. */
  mayBeDead(topic: string): boolean {
    return this.record.deaths.some(({ ownsTopic }) => ownsTopic(topic));
  }
}

/** What is against it, a line each. */
export type Rule = (view: View) => Iterable<string>;

export const client = (session: SessionRecord) => `c${session.slot}`;
export const told = ({ publication, at, retain }: Delivery) =>
  `"${publication.name}"${retain ? ' RETAIN' : ''} at ${at}`;
export const stays = (connection: ConnectionRecord) => connection.ended === NEVER;

/** Every pair of deliveries of one topic to one session that is against what happened. */
function* inversions(view: View): Iterable<readonly [SessionRecord, Delivery, Delivery]> {
  for (const [session, { firsts }] of view.streams) {
    for (const [, list] of groupBy(firsts, ({ topic }) => topic)) {
      for (let late = 1; late < list.length; late++) {
        const first = list
          .slice(0, late)
          .find(({ publication }) => happenedBefore(list[late].publication, publication));
        if (first !== undefined) yield [session, first, list[late]];
      }
    }
  }
}

/**
 * One of them waited in the window of a session that was resumed, or for the disk, and the other
 * has no place there.
 */
function isPastTheWindow({ record }: View, first: Delivery, second: Delivery): boolean {
  const { isClean, connections } = first.session;
  const mayWait = connections.length > 1 || (record.restarts.length > 0 && !isClean);
  return mayWait && (first.qos === 0) !== (second.qos === 0);
}

/** What is replayed knows only of what was published to be retained. */
function areBothRetained(first: Delivery, second: Delivery): boolean {
  return first.publication.retain && second.publication.retain;
}

/** The newer of them, which was not acknowledged, was lost when the broker was killed. */
function isReplayBehindUndone(first: Delivery, second: Delivery): boolean {
  return second.retain && first.publication.mayBeUndone;
}

/** Inversions of live messages whose publications stand in this relation. */
function* inverted(view: View, isMeant: (early: Publication, late: Publication) => boolean) {
  for (const [session, first, second] of inversions(view)) {
    if (first.retain || second.retain || !isMeant(second.publication, first.publication)) continue;
    if (isPastTheWindow(view, first, second)) continue;
    const [a, b] = [second.publication, first.publication];
    yield `${client(session)} got ${told(first)} (written at ${b.begin}) before ${told(second)} ` +
      `(written at ${a.begin}, done by ${a.endBySeen})`;
  }
}

const onOneConnection = (a: Publication, b: Publication) =>
  isInOrderOfOne(a, b) && a.connection === b.connection && a.kind === b.kind;

/** [MQTT-4.6.0-6]: messages of one publisher come in its order. */
function* orderOfOnePublisher(view: View) {
  yield* inverted(view, onOneConnection);
}

/** [MQTT-3.1.4-2]: all that the old connection published, its will, then what the new one does. */
function* takeoverIsAPointInTime(view: View) {
  yield* inverted(view, (a, b) => isInOrderOfOne(a, b) && !onOneConnection(a, b));
}

/** What was published after another message was acknowledged comes behind it. */
function* happenedBeforeIsDeliveredBefore(view: View) {
  yield* inverted(view, (a, b) => !isInOrderOfOne(a, b) && a.end < b.begin);
}

/** What was published after somebody had got another message comes behind it. */
function* seenBeforeIsDeliveredBefore(view: View) {
  yield* inverted(view, (a, b) => !isInOrderOfOne(a, b) && !(a.end < b.begin));
}

/**
 * All of these, retained ones too, where QoS 0 passes what a resumed session has still to be sent.
 */
function* orderAcrossQosOfResumedSessions(view: View) {
  for (const [session, first, second] of inversions(view)) {
    if (!isPastTheWindow(view, first, second)) continue;
    if ((first.retain || second.retain) && !areBothRetained(first, second)) continue;
    if (isReplayBehindUndone(first, second)) continue;
    yield `${client(session)} got ${told(first)} before ${told(second)}`;
  }
}

/** Of a retained value that changes during the replay the older does not come last. */
function* olderIsNeverLast(view: View) {
  for (const [session, first, second] of inversions(view)) {
    if (!first.retain && !second.retain) continue;
    if (!areBothRetained(first, second) || isPastTheWindow(view, first, second)) continue;
    if (isReplayBehindUndone(first, second)) continue;
    yield `${client(session)} got ${told(first)} and then the older ${told(second)}`;
  }
}

/** Live deliveries that no subscription accounts for, each with one that was made later, if any. */
function* unaccounted(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      if (delivery.retain) continue;
      const { publication, topic } = delivery;
      const subscriptions = view.subscriptionsTo(session, topic);
      if (subscriptions.some((each) => mayHold(each, session, publication))) continue;
      const { endBySeen } = publication;
      const later = subscriptions.find(({ subscribe }) => endBySeen < subscribe.request.begin);
      yield { session, delivery, later };
    }
  }
}

/** What was acknowledged before the SUBSCRIBE was written is not delivered live. */
function* subscriptionBeginsAtSubscribe(view: View) {
  for (const { session, delivery, later } of unaccounted(view)) {
    if (later === undefined) continue;
    yield `${client(session)} got ${told(delivery)}, which was done by ` +
      `${delivery.publication.endBySeen}, before its SUBSCRIBE at ${later.subscribe.request.begin}`;
  }
}

/** [MQTT-3.10.4-2]: nothing that is published after the UNSUBACK comes. */
function* unsubscribeEnds(view: View) {
  for (const { session, delivery, later } of unaccounted(view)) {
    if (later !== undefined) continue;
    yield `${client(session)} got ${told(delivery)}, for which it has no subscription`;
  }
}

/** The subscription is not ended by an UNSUBACK that this connection has had before. */
function isOpenAt(
  { subscribe, unsubscribe }: Subscription,
  { at, connection }: Delivery,
  isAnyConnection: boolean,
): boolean {
  if (subscribe.request.begin > at) return false;
  if (unsubscribe === null || unsubscribe.request.acked > at) return true;
  return !isAnyConnection && unsubscribe.request.connection !== connection;
}

/** [MQTT-3.10.4-2]: no message begins to be delivered behind the UNSUBACK. */
function* nothingNewBehindUnsuback(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      const { retain, dup, qos, connection, topic } = delivery;
      // What was queued for an absent client is on its way.
      if (retain || dup || (qos > 0 && connection.sessionPresent)) continue;
      const subscriptions = view.subscriptionsTo(session, topic);
      if (subscriptions.length === 0) continue;
      if (subscriptions.some((each) => isOpenAt(each, delivery, false))) continue;
      yield `${client(session)} got ${told(delivery)} QoS ${qos} behind the UNSUBACK`;
    }
  }
}

/** A replay stops at the UNSUBSCRIBE too. */
function* unsubscribeEndsAReplay(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      const { retain, dup, qos, connection, topic } = delivery;
      if (!retain || dup || (qos > 0 && connection.sessionPresent)) continue;
      const subscriptions = view.subscriptionsTo(session, topic);
      if (subscriptions.some((each) => isOpenAt(each, delivery, false))) continue;
      yield `${client(session)} got ${told(delivery)}, for which it has no subscription any more`;
    }
  }
}

/** Messages that must have come live, and have not. */
function* missing(view: View, isKept: boolean): Iterable<string> {
  for (const [session, { firsts }] of view.streams) {
    const got = new Set(firsts.filter(({ retain }) => !retain).map((each) => each.publication));
    for (const publication of view.record.publications) {
      if (!publication.isCertain || got.has(publication)) continue;
      const subscriptions = view.subscriptionsTo(session, publication.topic);
      if (!subscriptions.some((each) => mustHold(each, session, publication))) continue;
      const qos = Math.min(...allowedQos(subscriptions, session, publication));
      const isHere = session.connections.some(
        (connection) => connection.accepted < publication.begin && stays(connection),
      );
      const mustBeKept = qos > 0 && !session.isClean && session.endBegin === NEVER;
      if (isKept ? isHere || !mustBeKept : !isHere) continue;
      yield `${client(session)} has not got "${publication.name}", which was written at ` +
        `${publication.begin} and done by ${publication.endBySeen}`;
    }
  }
}

/** What is published after the SUBACK comes live to who stays. */
function* publishedAfterSubackComes(view: View) {
  yield* missing(view, false);
}

/** [MQTT-3.1.2-5]: a persistent session loses no QoS 1 and 2, over cuts and moves. */
function* persistentSessionsLoseNothing(view: View) {
  yield* missing(view, true);
}

/** [MQTT-4.3.3-1] and with every QoS where nothing is lost: nothing comes twice. */
function* nothingComesTwice(view: View) {
  for (const [session, { doubles }] of view.streams) {
    for (const delivery of doubles) {
      yield `${client(session)} got ${told(delivery)} QoS ${delivery.qos} once more`;
    }
  }
}

/** [MQTT-3.8.4-6]: the lower of the QoS published and granted, the highest of those granted. */
function* qosIsTheLower(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      const { publication, topic, retain, qos } = delivery;
      if (retain) continue;
      const allowed = allowedQos(view.subscriptionsTo(session, topic), session, publication);
      if (allowed.size === 0 || allowed.has(qos)) continue;
      yield `${client(session)} got ${told(delivery)} at QoS ${qos}, not ${[...allowed]}`;
    }
  }
}

/** [MQTT-3.3.1-8] to -11: RETAIN is set on what is retained, which is never empty. */
function* onlyRetainedIsReplayed(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      const { retain: isRetained, isEmpty } = delivery.publication;
      if (!delivery.retain || (isRetained && !isEmpty)) continue;
      yield `${client(session)} got ${told(delivery)}, which is not retained`;
    }
  }
}

/** A replay brings no value that had been replaced when the SUBSCRIBE was written. */
function* replayIsNotStale(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      if (!delivery.retain) continue;
      const { publication, topic, at } = delivery;
      const replacing = view
        .retainedOf(topic)
        .filter((other) => other.isCertain && happenedBefore(publication, other));
      const asked = view
        .subscriptionsTo(session, topic)
        .filter(({ subscribe }) => subscribe.request.begin < at);
      const isFresh = asked.some(
        ({ subscribe }) => !replacing.some((other) => other.endBySeen < subscribe.request.begin),
      );
      if (isFresh || asked.length === 0) continue;
      const by = replacing.map(({ name, endBySeen }) => `"${name}" by ${endBySeen}`).join(', ');
      yield `${client(session)} got ${told(delivery)}, which had been replaced: ${by}`;
    }
  }
}

/** One replay a SUBSCRIBE at most. */
function* replayComesOnce(view: View) {
  for (const [session, { firsts }] of view.streams) {
    const replays = firsts.filter(({ retain, dup }) => retain && !dup);
    for (const [topic, list] of groupBy(replays, (each) => each.topic)) {
      const subscriptions = view.subscriptionsTo(session, topic);
      // What it publishes itself meanwhile may come as retained, as it does not come live.
      const own = list.filter(({ publication }) => publication.slot === session.slot);
      const mayLack = subscriptions.some(({ subscribe }) => subscribe.noLocal);
      const asked = subscriptions.length + (mayLack ? own.length : 0);
      if (list.length <= asked + killedBetween(view, list)) continue;
      yield `${client(session)} asked ${asked} times for ${topic}: ${list.map(told).join(', ')}`;
    }
  }
}

/**
 * How often a broker was killed behind one of these deliveries, and before another: that they were
 * sent at QoS 0 and 1 may not be on disk by then, and they are sent once more [MQTT-4.3.2-1]. At
 * QoS 2 they are not [MQTT-4.3.3-1].
 */
function killedBetween({ record }: View, deliveries: readonly Delivery[]): number {
  const repeatable = deliveries.filter(({ qos }) => qos < 2).map(({ at }) => at);
  const [first, last] = [Math.min(...repeatable), Math.max(...repeatable)];
  return record.restarts.filter((each) => each.isKill && first < each.end && last > each.begin)
    .length;
}

/** A message that is replayed for the only SUBSCRIBE was published before it: not live too. */
function* replayIsNotLiveToo(view: View) {
  for (const [session, { firsts }] of view.streams) {
    const live = new Map(firsts.filter(({ retain }) => !retain).map((d) => [d.publication, d]));
    for (const delivery of firsts) {
      const other = live.get(delivery.publication);
      if (!delivery.retain || other === undefined) continue;
      if (view.subscriptionsTo(session, delivery.topic).length > 1) continue;
      // Between the two times that it was sent, the client may have subscribed.
      if (delivery.publication.resentAt > 0) continue;
      if (killedBetween(view, [delivery, other]) > 0) continue;
      yield `${client(session)} got ${told(delivery)} and ${told(other)} for one SUBSCRIBE`;
    }
  }
}

/** [MQTT-3.3.1-10], -11: by its Retain Handling nothing has to come as retained. */
function mayLackReplay({ subscribe, wasThere }: Subscription): boolean {
  return subscribe.retainHandling === 2 || (subscribe.retainHandling === 1 && wasThere);
}

/** A SUBSCRIBE for which a value was retained for certain, and what came for it. */
function* replaysOwed(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const topic of view.record.topics) {
      if (view.mayBeDead(topic)) continue;
      const retained = view.retainedOf(topic);
      const clear = retained.find(({ isEmpty }) => isEmpty);
      for (const each of view.subscriptionsTo(session, topic)) {
        const { subscribe, unsubscribe, qos } = each;
        const { request } = subscribe;
        if (mayLackReplay(each)) continue;
        if (unsubscribe !== null || request.acked === NEVER) continue;
        const there = retained.find((publication) => {
          const { isEmpty, isCertain, endBySeen } = publication;
          if (isEmpty || !isCertain || endBySeen >= request.begin) return false;
          return clear === undefined || happenedBefore(clear, publication);
        });
        if (there === undefined) continue;
        const behind = firsts.filter((each) => each.topic === topic && each.at > request.begin);
        const asRetained = behind.some(({ retain }) => retain);
        const asLive = behind.some(({ retain, publication }) => {
          return !retain && publication.retain && !happenedBefore(publication, there);
        });
        const isKept = !session.isClean && session.endBegin === NEVER && qos > 0;
        const mustSurvive = isKept && retained.every((each) => each.qos > 0);
        const { connection } = request;
        yield { session, topic, request, there, asRetained, asLive, connection, mustSurvive };
      }
    }
  }
}

/** [MQTT-3.3.1-6]: who subscribes gets what is retained, or a newer message instead. */
function* retainedValueComes(view: View) {
  for (const { session, topic, there, request, connection, ...came } of replaysOwed(view)) {
    if (came.asRetained || came.asLive || !stays(connection)) continue;
    yield `${client(session)} got nothing of ${topic} for its SUBSCRIBE at ${request.begin}; ` +
      `"${there.name}" was retained by ${there.endBySeen}`;
  }
}

/** [MQTT-3.3.1-6]: something comes as retained, even if a newer message comes live. */
function* retainedValueComesAsRetained(view: View) {
  for (const { session, topic, there, request, connection, ...came } of replaysOwed(view)) {
    if (came.asRetained || !came.asLive || !stays(connection)) continue;
    yield `${client(session)} got ${topic} only live for its SUBSCRIBE at ${request.begin}; ` +
      `"${there.name}" was retained by ${there.endBySeen}`;
  }
}

/** A persistent subscriber that is cut during a replay gets the rest when it is back. */
function* replaySurvivesACut(view: View) {
  for (const { session, topic, there, request, connection, ...came } of replaysOwed(view)) {
    if (came.asRetained || came.asLive || stays(connection) || !came.mustSurvive) continue;
    yield `${client(session)} got nothing of ${topic} for its SUBSCRIBE at ${request.begin}, ` +
      `of a connection that was cut; "${there.name}" was retained by ${there.endBySeen}`;
  }
}

/** Values that a topic may retain in the end; '' is none. */
function lastValues(view: View, topic: string): Set<string> {
  const retained = view.retainedOf(topic);
  const certain = retained.filter(({ isCertain }) => isCertain);
  const last = retained.filter((each) => !certain.some((other) => happenedBefore(each, other)));
  const values = new Set(last.map(({ isEmpty, name }) => (isEmpty ? '' : name)));
  if (certain.length === 0 || view.mayBeDead(topic)) values.add('');
  return values;
}

/** The retained value ends as the last that was published, by what happened before what. */
function* retainedEndsAsTheLast(view: View) {
  for (const topic of view.record.topics) {
    const allowed = lastValues(view, topic);
    for (const fresh of view.record.fresh) {
      const value = fresh.get(topic) ?? '';
      if (allowed.has(value)) continue;
      const others = [...allowed].map((name) => `"${name}"`).join(' or ');
      yield `${topic} retains "${value}", not ${others}`;
    }
  }
}

/** There is one retained value of a topic, whoever asks. */
function* everybodySeesTheSameRetained(view: View) {
  for (const topic of view.record.topics) {
    const values = new Set(view.record.fresh.map((fresh) => fresh.get(topic) ?? ''));
    if (values.size > 1) yield `${topic} retains ${[...values].map((v) => `"${v}"`).join(' and ')}`;
  }
}

/** [MQTT-4.6.0-2] and others: acks of one kind leave in the order of their requests. */
function* acksOfAKindInOrder(view: View) {
  yield* overtakings(view, true);
}

/** All acks of a connection leave in the order of its requests. */
function* acksInOrder(view: View) {
  yield* overtakings(view, false);
}

function* overtakings(view: View, isSameKind: boolean) {
  for (const { slot, overtaken } of view.record.connections) {
    for (const { ack, before } of overtaken) {
      if ((ack.kind === before.kind) !== isSameKind) continue;
      yield `c${slot}: ${ack.kind} ${ack.packetId} of ${ack.begin} was acknowledged at ` +
        `${ack.acked}, before ${before.kind} ${before.packetId} of ${before.begin}`;
    }
  }
}

/** [MQTT-3.2.2-2], -3: the CONNACK says whether there is a session. */
function* sessionPresentIsTrue(view: View) {
  for (const { slot, accepted, sessionPresent, expectsSession } of view.record.connections) {
    if (accepted === NEVER || sessionPresent === expectsSession) continue;
    yield `c${slot}: session present ${sessionPresent} at ${accepted}`;
  }
}

/** The server closes no connection but for a takeover, or the death of its shard. */
function* connectionsStay(view: View) {
  if (view.record.deaths.length > 0) return;
  for (const { slot, ended, endedBy } of view.record.connections) {
    if (endedBy === 'server') yield `c${slot} was closed at ${ended}`;
  }
}

/** All that is asked for is answered in time. */
function* everythingIsAnswered(view: View) {
  yield* view.record.hangs;
}

/** Whether a session is a member of a group. */
function isMember({ changes }: SessionRecord): boolean {
  return [...changes.keys()].some((filter) => partsOf(filter).group !== null);
}

/** All rules, by name. */
export const RULES: Readonly<Record<string, Rule>> = {
  orderOfOnePublisher,
  happenedBeforeIsDeliveredBefore,
  seenBeforeIsDeliveredBefore,
  takeoverIsAPointInTime,
  orderAcrossQosOfResumedSessions,
  subscriptionBeginsAtSubscribe,
  publishedAfterSubackComes,
  nothingComesTwice,
  qosIsTheLower,
  olderIsNeverLast,
  retainedValueComes,
  retainedValueComesAsRetained,
  replayIsNotStale,
  replayComesOnce,
  replayIsNotLiveToo,
  replaySurvivesACut,
  onlyRetainedIsReplayed,
  retainedEndsAsTheLast,
  everybodySeesTheSameRetained,
  unsubscribeEnds,
  nothingNewBehindUnsuback,
  unsubscribeEndsAReplay,
  persistentSessionsLoseNothing,
  acksOfAKindInOrder,
  acksInOrder,
  sessionPresentIsTrue,
  connectionsStay,
  everythingIsAnswered,
  ...RULES_5,
};

/** Whether all that must come has come so far. */
export function isAllThere(record: RunRecord): boolean {
  const view = new View(record);
  const owed = [
    publishedAfterSubackComes,
    persistentSessionsLoseNothing,
    retainedValueComes,
    replaySurvivesACut,
    RULES_5.sharedLosesNothing,
    ...(record.fresh.length > 0 ? [retainedEndsAsTheLast, everybodySeesTheSameRetained] : []),
  ];
  return owed.every((rule) => [...rule(view)].length === 0);
}

/** Everything that must not be. */
export function findFaults(record: RunRecord): Fault[] {
  const view = new View(record);
  return Object.entries(RULES).flatMap(([rule, find]) =>
    [...find(view)].map((text) => ({ rule, text })),
  );
}
