/**
 * What follows from an observed history, whatever the server: which publication happened before
 * which, and when a session was subscribed for certain, possibly, or not at all. A connection's
 * packets are handled in order, so what is acknowledged tells of all before it.
 */
import type { QoS } from '../support/packets.js';
import {
  type Delivery,
  NEVER,
  type Publication,
  type RunRecord,
  type SessionRecord,
  type SubscriptionChange,
} from './record.js';

/** A SUBSCRIBE of a filter, and the UNSUBSCRIBE that ends it, if one was written. */
export interface Subscription {
  readonly subscribe: SubscriptionChange;
  readonly qos: QoS;
  readonly unsubscribe: SubscriptionChange | null;
  /** The next SUBSCRIBE of the same filter. */
  readonly replacement: SubscriptionChange | null;
  /** All of them until the UNSUBSCRIBE. */
  readonly renewals: readonly SubscriptionChange[];
  /** The filter was subscribed to, perhaps, when this was written. */
  readonly wasThere: boolean;
  /** It was for certain. */
  readonly wasThereSurely: boolean;
}

/** The Topic Filter of a filter, and the group's key where it is of a Shared Subscription. */
export function partsOf(filter: string): {
  readonly filter: string;
  readonly group: string | null;
} {
  const parts = /^\$share\/[^/]+\/(.*)$/.exec(filter);
  return parts === null ? { filter, group: null } : { filter: parts[1], group: filter };
}

/** The items by what `keyOf` says of them, in their order. */
export function groupBy<K, T>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** Whether a topic matches a filter, section 4.7. */
export function matches(filter: string, topic: string): boolean {
  if (filter === '#' || filter === topic) return true;
  const levels = topic.split('/');
  const wanted = filter.split('/');
  if (wanted.length !== levels.length) return false;
  return wanted.every((level, at) => level === '+' || level === levels[at]);
}

/**
 * The broker was killed before it had acknowledged a publication that its client has not sent
 * again: who has seen it may be the only one.
 */
function mayBeUndone(record: RunRecord, publication: Publication): boolean {
  const { qos, request, begin, resentAt } = publication;
  const acked = qos === 0 || request === null ? NEVER : request.acked;
  const written = Math.max(begin, resentAt);
  return record.restarts.some(({ isKill, end }) => isKill && written < end && acked > end);
}

/**
 * Works out until when each publication had happened. Once something behind it is acknowledged, it
 * had; a new connection of its client id is accepted behind all that the old one published.
 */
export function concludeEnds(record: RunRecord): void {
  const byRequest = new Map<object, Publication>();
  const wills = new Map<object, Publication>();
  for (const publication of record.publications) {
    const { request, kind, connection } = publication;
    if (request !== null) byRequest.set(request, publication);
    else if (kind === 'will') wills.set(connection!, publication);
    else publication.endBySeen = Math.min(publication.end, publication.seen);
    publication.mayBeUndone = mayBeUndone(record, publication);
    if (publication.mayBeUndone) publication.isCertain = false;
    else if (publication.seen !== NEVER) publication.isCertain = true;
  }
  const acked = new Map<number, number>();
  const seen = new Map<number, number>();
  for (const connection of [...record.connections].reverse()) {
    let end = acked.get(connection.slot) ?? NEVER;
    let endBySeen = seen.get(connection.slot) ?? NEVER;
    let isCertain = false;
    const conclude = (publication: Publication) => {
      // It may have been seen of the first time, and be published once more behind that.
      if (publication.resentAt === 0) endBySeen = Math.min(endBySeen, publication.seen);
      publication.end = Math.min(publication.end, end);
      publication.endBySeen = Math.min(end, endBySeen);
    };
    const will = wills.get(connection);
    if (will !== undefined) conclude(will);
    for (const request of [...connection.requests].reverse()) {
      if (request.acked !== NEVER) isCertain = true;
      end = Math.min(end, request.acked);
      const publication = byRequest.get(request);
      if (publication === undefined) continue;
      conclude(publication);
      if (publication.isCertain) isCertain = true;
      if (isCertain && !publication.mayBeUndone) publication.isCertain = true;
    }
    acked.set(connection.slot, end);
    seen.set(connection.slot, endBySeen);
  }
}

/** The client published `first` before `second`, over whatever connections. */
export function isInOrderOfOne(first: Publication, second: Publication): boolean {
  return first.slot >= 0 && first.slot === second.slot && first.place < second.place;
}

/**
 * `first`, or something behind it, was acknowledged or delivered before `second` was written; what
 * its client has sent again, for the last time.
 */
export function happenedBefore(first: Publication, second: Publication): boolean {
  if (first.slot >= 0 && first.slot === second.slot) return first.lastPlace < second.place;
  return first.endBySeen < second.begin;
}

/** All subscriptions of a session that match a topic, in order of their filters. */
export function subscriptionsTo(session: SessionRecord, topic: string): Subscription[] {
  const found: Subscription[] = [];
  for (const [filter, changes] of session.changes) {
    if (!matches(partsOf(filter).filter, topic)) continue;
    changes.forEach((change, at) => {
      if (change.qos === null) return;
      const behind = changes.slice(at + 1);
      const before = changes[at - 1];
      const end = behind.findIndex(({ qos }) => qos === null);
      found.push({
        wasThere: changes.slice(0, at).some(({ qos }) => qos !== null),
        wasThereSurely: before?.qos != null && before.request.acked !== NEVER,
        renewals: end < 0 ? behind : behind.slice(0, end),
        subscribe: change,
        qos: change.qos,
        unsubscribe: behind.find(({ qos }) => qos === null) ?? null,
        replacement: behind.find(({ qos }) => qos !== null) ?? null,
      });
    });
  }
  return found;
}

/** The subscription may have been there when the publication happened. */
export function mayHold(
  subscription: Subscription,
  session: SessionRecord,
  p: Publication,
): boolean {
  const { subscribe, unsubscribe } = subscription;
  if (p.endBySeen < subscribe.request.begin || session.endEnd < p.begin) return false;
  // [MQTT 5.0, 3.8.3.1]: a will is published by the server.
  if (subscribe.noLocal && p.slot === session.slot && p.kind === 'client') return false;
  return unsubscribe === null || unsubscribe.request.acked > p.begin;
}

/** The subscription was there when the publication happened, perhaps renewed since. */
export function mustHold(
  subscription: Subscription,
  session: SessionRecord,
  p: Publication,
): boolean {
  const { subscribe, unsubscribe, renewals } = subscription;
  if (p.slot === session.slot && [subscribe, ...renewals].some(({ noLocal }) => noLocal)) {
    return false;
  }
  if (subscribe.request.acked >= p.begin || session.endBegin < p.endBySeen) return false;
  return p.endBySeen !== NEVER && (unsubscribe === null || unsubscribe.request.begin > p.endBySeen);
}

/** The QoS at which a publication may be delivered to a session: all from the least to the most. */
export function allowedQos(
  subscriptions: readonly Subscription[],
  session: SessionRecord,
  p: Publication,
): Set<QoS> {
  const possible = subscriptions.filter((each) => {
    const isReplaced = (each.replacement?.request.acked ?? NEVER) < p.begin;
    return !isReplaced && mayHold(each, session, p);
  });
  let least = 0;
  const byFilter = groupBy(possible, ({ subscribe }) => subscribe.filter);
  for (const [filter, each] of byFilter) {
    const isHeld = subscriptions.some(
      (other) => other.subscribe.filter === filter && mustHold(other, session, p),
    );
    if (isHeld) least = Math.max(least, Math.min(...each.map(({ qos }) => qos)));
  }
  const granted = possible.map(({ qos }) => qos).filter((qos) => qos >= least);
  return new Set(granted.map((qos) => Math.min(qos, p.qos) as QoS));
}

/** What a session got, in the order of its stream, without what was sent once more. */
export interface Stream {
  readonly firsts: readonly Delivery[];
  /** Came again, though nothing asked for it. */
  readonly doubles: readonly Delivery[];
}

/**
 * A client of a kept session sends again what was not acknowledged: at QoS 1 that is published once
 * more; at QoS 2 what had been delivered at a lower QoS when the broker was killed may be.
 */
function mayComeAgain({ publication, qos }: Delivery): boolean {
  if (publication.qos === 2) return publication.isResentOverKill && qos < 2;
  return publication.qos === 1 && publication.resentAt > 0;
}

/**
 * The stream of a session: connection by connection, as two sockets may be read in any order. What
 * comes again with DUP on a later connection was not acknowledged on the earlier one
 * [MQTT-4.4.0-1].
 */
export function streamOf(session: SessionRecord): Stream {
  const firsts: Delivery[] = [];
  const doubles: Delivery[] = [];
  const earliest = new Map<string, Delivery>();
  const inOrder = [...session.deliveries].sort(
    (a, b) => a.connection.index - b.connection.index || a.at - b.at,
  );
  for (const delivery of inOrder) {
    const { publication, connection, retain, dup, isHeld, qos } = delivery;
    const key = `${publication.name} ${retain}`;
    const earlier = earliest.get(key);
    const isOfEarlier = (earlier?.connection.index ?? connection.index) < connection.index;
    if (earlier === undefined) earliest.set(key, delivery);
    else if (qos > 0 && dup && isOfEarlier && (qos === 1 || isHeld)) continue;
    else if (isHeld || (!retain && mayComeAgain(earlier))) continue;
    else if (!retain) {
      doubles.push(delivery);
      continue;
    }
    firsts.push(delivery);
  }
  return { firsts, doubles };
}
