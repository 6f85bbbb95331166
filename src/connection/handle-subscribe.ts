/** SUBSCRIBE (MQTT 3.1.1, 3.8). */
import { subackFrame } from '../protocol/ack-frame.js';
import type { QoS, SubscribePacket } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import { isValidTopicFilter, toTopicKey } from '../topics/topic.js';
import type { Connection } from './connection.js';

/**
 * Subscribes; the SUBACK has a return code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1],
 * and goes out when every shard routes them. What is retained follows it.
 */
export function handleSubscribe(connection: Connection, packet: SubscribePacket): void {
  const { host } = connection;
  const session = connection.session!;
  const accepted: [filterKey: string, qos: QoS][] = [];
  const returnCodes = packet.subscriptions.map(({ filter, qos }) => {
    const filterKey = toTopicKey(filter);
    if (!isValidTopicFilter(filterKey)) return SUBACK_FAILURE;
    accepted.push([filterKey, qos]);
    return qos;
  });
  host.subscribe(session, accepted, () => {
    if (!connection.isOpen) return;
    connection.append(subackFrame(packet.packetId, returnCodes));
    host.replayRetained(session, accepted);
  });
}
