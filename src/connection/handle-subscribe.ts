/** SUBSCRIBE (MQTT 3.1.1, 3.8). */
import { Counter } from '../base/counters.js';
import { subackFrame } from '../protocol/ack-frame.js';
import type { QoS, SubscribePacket } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import { isValidTopicFilter, toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';

/** Connections that were refused a filter for their number: the log says it once of each. */
const refusedConnections = new WeakSet<Connection>();

/**
 * Subscribes; the SUBACK has a return code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1],
 * and goes out when every shard routes them. What is retained follows it. A filter that the client
 * may not have beside those that it has is refused; one that it has is always renewed.
 */
export function handleSubscribe(connection: Connection, packet: SubscribePacket): void {
  const { host } = connection;
  const session = connection.session!;
  const accepted: [filterKey: string, qos: QoS][] = [];
  const room = host.config.maxSubscriptions - session.subscriptions.size;
  // Far from the limit it does not matter which of the filters are new.
  const added = packet.subscriptions.length > room ? new Set<string>() : null;
  let refused = 0;
  const returnCodes = packet.subscriptions.map(({ filter, qos }) => {
    const filterKey = toTopicKey(filter);
    if (!isValidTopicFilter(filterKey)) return SUBACK_FAILURE;
    if (added !== null && !session.subscriptions.has(filterKey) && !added.has(filterKey)) {
      if (added.size >= room) {
        refused++;
        return SUBACK_FAILURE;
      }
      added.add(filterKey);
    }
    accepted.push([filterKey, qos]);
    return qos;
  });
  if (refused > 0) noteRefused(connection, refused);
  host.subscribe(session, accepted, () => {
    if (!connection.isOpen) return;
    connection.append(subackFrame(packet.packetId, returnCodes));
    host.replayRetained(session, accepted);
  });
}

function noteRefused(connection: Connection, refused: number): void {
  const { host, clientId } = connection;
  host.counters.add(Counter.refusedSubscriptions, refused);
  if (refusedConnections.has(connection)) return;
  refusedConnections.add(connection);
  const { maxSubscriptions } = host.config;
  host.log(
    'warn',
    { clientId, refused, maxSubscriptions },
    'filters refused: the client has as many subscriptions as maxSubscriptions allows; raise it',
  );
}
