/** The Will Message as something to route [MQTT 3.1.1, 3.1.2.5]. */
import { PUBLISH } from '../protocol/fixed-header.js';
import type { WillMessage } from '../protocol/packet.js';
import { encodePublish } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { toTopicKey } from '../topics/topic.js';

/** A valid packet id to hold the place: who delivers a run writes ids of its own. */
const PLACEHOLDER_ID = 1;

/**
 * The run of one that is published when a connection ends without DISCONNECT, at the Will's QoS
 * [MQTT-3.1.2-8] and retained when Will Retain says so [MQTT-3.1.2-16, MQTT-3.1.2-17].
 */
export function willRun(will: WillMessage): Run {
  const topicKey = toTopicKey(will.topic);
  const header = PUBLISH | (will.qos << 1) | (will.retain ? 1 : 0);
  const bytes = encodePublish(topicKey, will.payload, header, PLACEHOLDER_ID);
  return { bytes, header, topicLength: topicKey.length, count: 1 };
}
