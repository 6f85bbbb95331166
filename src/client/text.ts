/** Checks of text and bytes that a caller gives, before they become part of a packet. */
import { STRING_BYTES_MAX } from '../base/limits.js';
import { isValidTopicFilter, isValidTopicName, toTopicKey } from '../topics/topic.js';
import type { Payload } from './message.js';

/** NUL, and surrogates that are no pair: what UTF-8 strings may not hold [MQTT-1.5.3-1, -2]. */
const UNSOUND = /[\0\ud800-\udfff]/u;

/** Whether text can be an MQTT string: well-formed, without NUL, at most 65,535 bytes. */
export function isSoundText(text: string): boolean {
  return !UNSOUND.test(text) && Buffer.byteLength(text) <= STRING_BYTES_MAX;
}

/** Whether something can be published to. */
export function isTopicName(topic: unknown): topic is string {
  return typeof topic === 'string' && isSoundText(topic) && isValidTopicName(toTopicKey(topic));
}

/** Whether something can be subscribed to. */
export function isTopicFilter(filter: unknown): filter is string {
  return (
    typeof filter === 'string' && isSoundText(filter) && isValidTopicFilter(toTopicKey(filter))
  );
}

/** Whether something can be a payload. */
export function isPayload(payload: unknown): payload is Payload {
  return typeof payload === 'string' || payload instanceof Uint8Array;
}
