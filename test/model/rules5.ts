/** What must hold besides, of what MQTT 5.0 adds, and of Shared Subscriptions for all versions. */
import { type Delivery, NEVER, type Publication, type SessionRecord } from './record.js';
import { groupBy, happenedBefore, mayHold, mustHold, partsOf } from './reference.js';
import { client, told, type View } from './rules.js';
import { EXPIRY_SECONDS } from './wire.js';

/** Everything that connections of 5.0 were sent, members of groups too. */
function* deliveriesTo5(view: View): Iterable<readonly [SessionRecord, Delivery]> {
  for (const streams of [view.streams, view.memberStreams]) {
    for (const [session, { firsts }] of streams) {
      for (const delivery of firsts) {
        if (delivery.connection.version === 5) yield [session, delivery];
      }
    }
  }
}

/** [MQTT-3.3.2-17], -18: User Properties go with their message, unaltered, and none are added. */
function* propertiesComeAsPublished(view: View) {
  for (const [session, delivery] of deliveriesTo5(view)) {
    const { publication, properties } = delivery;
    const expected = publication.isOf5 ? publication.name : '';
    if (properties.names.join() === expected) continue;
    yield `${client(session)} got ${told(delivery)} with the properties ${properties.names}`;
  }
}

/** [MQTT-3.3.2-6]: the Message Expiry Interval less the time that the message has waited. */
function* expiryIsCountedDown(view: View) {
  for (const [session, delivery] of deliveriesTo5(view)) {
    const { publication, properties, wallAt } = delivery;
    const { expirySeconds } = properties;
    if (!publication.isOf5 && expirySeconds === null) continue;
    // What the client was slow to read, it has waited too.
    const least = EXPIRY_SECONDS - Math.ceil((wallAt - publication.wallBegin) / 1_000) - 1;
    const isRight =
      publication.isOf5 &&
      expirySeconds !== null &&
      expirySeconds >= least &&
      expirySeconds <= EXPIRY_SECONDS;
    if (isRight) continue;
    yield `${client(session)} got ${told(delivery)} with the expiry ${expirySeconds}`;
  }
}

/** [MQTT-3.3.4-3], -4: the identifiers of all subscriptions that match, in one delivery. */
function* identifiersAreThoseOfMatches(view: View) {
  for (const [session, delivery] of deliveriesTo5(view)) {
    const { publication, properties, topic, retain, at } = delivery;
    const subscriptions = view.subscriptionsTo(session, topic);
    // What another member has given back may be older than the subscription.
    const isLate = retain || view.memberStreams.has(session);
    const isPossible = (each: (typeof subscriptions)[number]) =>
      isLate ? each.subscribe.request.begin < at : mayHold(each, session, publication);
    const possible = subscriptions.filter(isPossible);
    const ids = new Set(properties.identifiers);
    const foreign = [...ids].filter(
      (id) => !possible.some(({ subscribe }) => subscribe.identifier === id),
    );
    const owed = isLate
      ? []
      : [...groupBy(possible, ({ subscribe }) => subscribe.filter).values()].filter(
          (list) =>
            list.some((each) => mustHold(each, session, publication)) &&
            list.every(({ subscribe: { identifier } }) => identifier > 0 && !ids.has(identifier)),
        );
    // Of two filters of one SUBSCRIBE the same one comes twice.
    const filters = new Set(possible.map(({ subscribe }) => subscribe.filter));
    const areMany = properties.identifiers.length > filters.size;
    if (foreign.length === 0 && owed.length === 0 && !areMany) continue;
    const lacking = owed.map(([each]) => each!.subscribe.filter);
    yield `${client(session)} got ${told(delivery)} with the identifiers ` +
      `${properties.identifiers}, without those of ${lacking}`;
  }
}

/** [MQTT-3.3.1-10], -11: nothing is replayed that Retain Handling does not want. */
function* retainHandlingIsKept(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      if (!delivery.retain) continue;
      const asked = view
        .subscriptionsTo(session, delivery.topic)
        .filter(({ subscribe }) => subscribe.request.begin < delivery.at);
      const isWanted = asked.some(({ subscribe, wasThereSurely }) => {
        return (
          subscribe.retainHandling === 0 || (subscribe.retainHandling === 1 && !wasThereSurely)
        );
      });
      if (isWanted || asked.length === 0) continue;
      yield `${client(session)} got ${told(delivery)}, which no SUBSCRIBE has asked for`;
    }
  }
}

/** [MQTT-3.8.3-3]: No Local keeps from a client what it has published itself. */
function* noLocalIsKept(view: View) {
  for (const [session, { firsts }] of view.streams) {
    for (const delivery of firsts) {
      const { publication, retain, topic } = delivery;
      if (retain || publication.slot !== session.slot || publication.kind !== 'client') continue;
      const subscriptions = view.subscriptionsTo(session, topic);
      if (!subscriptions.some(({ subscribe }) => subscribe.noLocal)) continue;
      if (subscriptions.some((each) => mayHold(each, session, publication))) continue;
      yield `${client(session)} got ${told(delivery)}, its own, without a subscription to it`;
    }
  }
}

/** Sessions of members by the key of their group. */
function membersByGroup(view: View): Map<string, SessionRecord[]> {
  const pairs = [...view.memberStreams.keys()].flatMap((session) =>
    [...session.changes.keys()].map((filter) => ({ filter, session })),
  );
  const groups = groupBy(pairs, ({ filter }) => partsOf(filter).group ?? '');
  return new Map([...groups].map(([key, list]) => [key, list.map(({ session }) => session)]));
}

/** A member gets what its subscription accounts for, and nothing as retained [MQTT 5.0, 4.8.2]. */
function* sharedNeedsASubscription(view: View) {
  for (const [session, { firsts, doubles }] of view.memberStreams) {
    for (const delivery of [...firsts, ...doubles]) {
      const { topic, publication, retain } = delivery;
      const subscriptions = view.subscriptionsTo(session, topic);
      // What another member gives back may have been published before this one came.
      const mayCome = subscriptions.some(({ subscribe }) => subscribe.request.begin < delivery.at);
      if (mayCome && !retain && publication.seen !== NEVER) continue;
      yield `${client(session)} got ${told(delivery)}, which is not for it`;
    }
  }
}

/** What members of one group have got of a publication, the first of each session. */
function received(view: View, sessions: readonly SessionRecord[]): Map<Publication, Delivery[]> {
  const all = sessions.flatMap((session) => view.memberStreams.get(session)?.firsts ?? []);
  return groupBy(
    all.sort((a, b) => a.at - b.at),
    ({ publication }) => publication,
  );
}

/** A second member gets only what the first, when it left, had not acknowledged. */
function* sharedGoesToOne(view: View) {
  if (view.record.deaths.length > 0) return;
  for (const [group, sessions] of membersByGroup(view)) {
    for (const [publication, list] of received(view, sessions)) {
      for (const [at, second] of list.entries()) {
        const first = list[at - 1];
        if (first === undefined) continue;
        // Of the connection that it has left a client may read on, after the other one.
        const hasLeft =
          first.connection.ended < second.at ||
          second.connection.ended < second.at ||
          hasUnsubscribed(first, second);
        if (hasLeft && publication.qos > 0) continue;
        yield `${group}: ${client(first.session)} got ${told(first)}, and ` +
          `${client(second.session)} at ${second.at}`;
      }
    }
  }
}

/** The receiver of `first` has written an UNSUBSCRIBE before `second` came. */
function hasUnsubscribed({ session }: Delivery, { at }: Delivery): boolean {
  const changes = [...session.changes.values()].flat();
  return changes.some(({ qos, request }) => qos === null && request.begin < at);
}

/** A group with a member that stays loses no QoS 1 and 2. */
function* sharedLosesNothing(view: View) {
  if (view.record.deaths.length > 0) return;
  for (const [group, sessions] of membersByGroup(view)) {
    const got = received(view, sessions);
    const staying = sessions.filter(({ isClean, endBegin }) => !isClean && endBegin === NEVER);
    for (const publication of view.record.publications) {
      if (!publication.isCertain || publication.qos === 0 || got.has(publication)) continue;
      const keeper = staying.find((session) =>
        view
          .subscriptionsTo(session, publication.topic)
          .some((each) => each.unsubscribe === null && mustHold(each, session, publication)),
      );
      if (keeper === undefined) continue;
      yield `${group}: nobody has got "${publication.name}", which was written at ` +
        `${publication.begin} and done by ${publication.endBySeen}; ${client(keeper)} has stayed`;
    }
  }
}

/**
 * [MQTT-4.6.0-6] holds for each member, where nothing is given to another one a second time: not
 * behind the end of a member's connection, which had not acknowledged all that it got before others
 * got newer messages.
 */
function* sharedKeepsOrder(view: View) {
  for (const sessions of membersByGroup(view).values()) {
    const isQuiet = sessions.every(
      ({ connections, changes }) =>
        connections.length === 1 && [...changes.values()].flat().every(({ qos }) => qos !== null),
    );
    const hasReplaced = new Set(sessions.map(({ slot }) => slot)).size < sessions.length;
    if (!isQuiet || hasReplaced) continue;
    for (const session of sessions) {
      const { firsts } = view.memberStreams.get(session)!;
      for (const list of groupBy(firsts, ({ topic }) => topic).values()) {
        for (let at = 1; at < list.length; at++) {
          const [first, second] = [list[at - 1]!, list[at]!];
          if (first.publication.slot !== second.publication.slot) continue;
          // Waiting messages of QoS 1 and 2 are passed by QoS 0.
          if ((first.qos === 0) !== (second.qos === 0)) continue;
          if (!happenedBefore(second.publication, first.publication)) continue;
          const mayBeGivenBack = sessions.some(
            (other) => other !== session && other.connections[0].ended < second.at,
          );
          if (mayBeGivenBack) continue;
          yield `${client(session)} got ${told(first)} before ${told(second)}`;
        }
      }
    }
  }
}

/** By name. */
export const RULES_5 = {
  propertiesComeAsPublished,
  expiryIsCountedDown,
  identifiersAreThoseOfMatches,
  retainHandlingIsKept,
  noLocalIsKept,
  sharedNeedsASubscription,
  sharedGoesToOne,
  sharedLosesNothing,
  sharedKeepsOrder,
};
