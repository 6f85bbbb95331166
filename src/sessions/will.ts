/** The Will Message as something to route [MQTT 3.1.1, 3.1.2.5] [MQTT 5.0, 3.1.2.5]. */
import { sharedMs } from '../base/clock.js';
import { PUBLISH } from '../protocol/fixed-header.js';
import type { WillMessage } from '../protocol/packet.js';
import { PacketType } from '../protocol/packet.js';
import { encodePublish } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import {
  encodePacket5,
  encodeProperties,
  type Properties,
  Sender,
  variableByteIntegerBytes,
} from '../protocol/v5/index.js';
import { toTopicKey } from '../topics/topic.js';

/** A valid packet id to hold the place: who delivers a run writes ids of its own. */
const PLACEHOLDER_ID = 1;

/** A Will of either version: in 5.0 it has properties. */
export interface Will extends WillMessage {
  readonly properties?: Properties;
}

/** A Will as the frame that is to be published, at some time. */
export interface PreparedWill {
  readonly bytes: Buffer;
  readonly header: number;
  readonly topicLength: number;
  readonly topicKey: string;
  /** As in Run. */
  readonly propertyBytes: number;
  /** Message Expiry Interval, which begins when it is published; null for none. */
  readonly expirySeconds: number | null;
}

/**
 * The frame of a Will, at the Will's QoS [MQTT-3.1.2-8] and retained when Will Retain says so
 * [MQTT-3.1.2-16, MQTT-3.1.2-17]. One without properties has the form of 3.x.
 */
export function prepareWill(will: Will): PreparedWill {
  const topicKey = toTopicKey(will.topic);
  const header = PUBLISH | (will.qos << 1) | (will.retain ? 1 : 0);
  const { willDelayInterval: _, messageExpiryInterval, ...others } = will.properties ?? {};
  const expirySeconds = messageExpiryInterval ?? null;
  const common = { header, topicLength: topicKey.length, topicKey, expirySeconds };
  const properties = encodeProperties(others, PacketType.publish, Sender.client);
  if (properties.length === 0 && expirySeconds === null) {
    const bytes = encodePublish(topicKey, will.payload, header, PLACEHOLDER_ID);
    return { ...common, bytes, propertyBytes: 0 };
  }
  const { topic, payload, qos, retain } = will;
  const packetId = qos === 0 ? 0 : PLACEHOLDER_ID;
  const message = { topic, payload, qos, retain, dup: false, packetId };
  const bytes = encodePacket5({ type: 'publish', ...message, properties: others }, Sender.client);
  const propertyBytes = variableByteIntegerBytes(properties.length) + properties.length;
  return { ...common, bytes, propertyBytes };
}

/** Its Will Delay Interval in milliseconds; 3.x has none. */
export function delayMsOf({ properties }: Will): number {
  return (properties?.willDelayInterval ?? 0) * 1_000;
}

/** The run of one that is published now. */
export function runOfWill(will: PreparedWill): Run {
  const { bytes, header, topicLength, propertyBytes, expirySeconds } = will;
  const expiresAt = expirySeconds === null ? 0 : Math.floor(sharedMs() + expirySeconds * 1_000);
  return { bytes, header, topicLength, count: 1, propertyBytes, expiresAt };
}

/** The run of a Will, or of what is published like one, that is published now. */
export function willRun(will: Will): Run {
  return runOfWill(prepareWill(will));
}
