/** Where a run that a client publishes goes. */
import { MATCH_STEPS_PER_SHARE } from '../base/turn-limits.js';
import { Route } from '../router/route.js';
import type { Connection } from './connection.js';
import { checkTopic } from './publish-limits.js';

/**
 * The route of the topic in bytes [topicStart, topicStart + topicLength): the connection's last or
 * one before it, or found anew. What it has used before it may publish to: when its rights change
 * it begins anew. Where it may not, it gets a route to nowhere.
 * @returns null when finding it takes longer than a share of a turn: that goes on when it is asked
 * for again.
 * @throws ProtocolError for a topic that is none.
 */
export function findPublishRoute(
  connection: Connection,
  buffer: Buffer,
  topicStart: number,
  topicLength: number,
): Route | null {
  const { host, lastRoute } = connection;
  const { routes, share } = host;
  if (
    lastRoute !== null &&
    routes.isFresh(lastRoute) &&
    lastRoute.isTopic(buffer, topicStart, topicLength)
  ) {
    return lastRoute;
  }
  const recent = connection.findRecentRoute(buffer, topicStart, topicLength);
  if (recent !== null) {
    connection.changeRoute(recent);
    return recent;
  }
  const route = findRoute(connection, buffer, topicStart, topicLength);
  const work = routes.takeWork();
  if (work > 0) share.spend(work);
  if (route === null) {
    share.end();
    return null;
  }
  if (!mayPublish(connection, route)) return new Route(route.topicKey, route.retainedOwner, true);
  connection.changeRoute(route);
  return route;
}

/** The route of a topic that the connection has not published to lately. */
function findRoute(
  connection: Connection,
  buffer: Buffer,
  topicStart: number,
  topicLength: number,
): Route | null {
  checkTopic(connection, buffer, topicStart, topicLength);
  const { routes } = connection.host;
  return routes.findWithin(buffer, topicStart, topicLength, MATCH_STEPS_PER_SHARE);
}

/** Whether its client may publish there. What nobody may is left to the route. */
function mayPublish({ session }: Connection, route: Route): boolean {
  const { rights } = session!;
  if (rights === null || rights === route.publisherRights) return true;
  if (!route.isPublishable) return true;
  if (!rights.mayPublish(route.topicKey)) return false;
  route.publisherRights = rights;
  return true;
}
