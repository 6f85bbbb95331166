/**
 * What the operator has bounded of messages beside their packets: payloads, and topics. A read is
 * not looked through for it: the scan has a message with too long a payload be a run of its own,
 * and topics are looked at when their route is found.
 */
import type { Config } from '../base/config.js';
import { Counter } from '../base/counters.js';
import { CloseReason, ProtocolError } from '../base/errors.js';
import { PAYLOAD_BYTES_MAX, STRING_BYTES_MAX, TOPIC_LEVELS_MAX } from '../base/limits.js';
import { ReasonCode } from '../protocol/v5/index.js';
import { SLASH } from '../topics/topic.js';
import type { Connection } from './connection.js';

/** The longest payload taken, in bytes. */
export function payloadBytesMax({ maxPayloadBytes }: Config): number {
  return maxPayloadBytes === 0 ? PAYLOAD_BYTES_MAX : maxPayloadBytes;
}

/** The error for a payload beyond that, where it is not said in an ack. */
export function payloadTooLong(connection: Connection, bytes: number): ProtocolError {
  notePayload(connection);
  const { quotaExceeded } = CloseReason;
  return new ProtocolError('3.3.3', payloadFault(bytes), quotaExceeded, ReasonCode.quotaExceeded);
}

/** Counts a payload beyond it, and has it logged. */
export function notePayload({ host, clientId }: Connection): void {
  host.clientLog.limits.note(Counter.refusedPayloads, clientId);
}

/** Why a payload is not taken, in words. */
export function payloadFault(bytes: number): string {
  return `a payload of ${bytes} bytes is longer than is taken here (maxPayloadBytes)`;
}

/**
 * Why a topic or filter is not taken that MQTT allows, in words; undefined: it is.
 * @param bytes where it lies, [start, start + length).
 */
export function topicFault(
  { maxTopicBytes, maxTopicLevels }: Config,
  bytes: Uint8Array,
  start: number,
  length: number,
): string | undefined {
  if (length > (maxTopicBytes || STRING_BYTES_MAX)) {
    return `a topic of ${length} bytes is longer than is taken here (maxTopicBytes)`;
  }
  if (maxTopicLevels === 0 || maxTopicLevels === TOPIC_LEVELS_MAX) return undefined;
  let levels = 1;
  for (let at = start; at < start + length; at++) if (bytes[at] === SLASH) levels++;
  if (levels <= maxTopicLevels) return undefined;
  return `a topic of ${levels} levels has more than are taken here (maxTopicLevels)`;
}

/** @throws ProtocolError for a topic that is not taken to publish to. */
export function checkTopic(
  { host, clientId, profile }: Connection,
  bytes: Uint8Array,
  start: number,
  length: number,
): void {
  const fault = topicFault(profile.config, bytes, start, length);
  if (fault === undefined) return;
  host.clientLog.limits.note(Counter.refusedTopics, clientId);
  const { quotaExceeded } = CloseReason;
  throw new ProtocolError('3.3.2.1', fault, quotaExceeded, ReasonCode.topicNameInvalid);
}

/** Whether a filter, as a topic key, is within the bounds of topics. */
export function isFilterTaken(config: Config, filterKey: string): boolean {
  if (config.maxTopicBytes === 0 && config.maxTopicLevels === 0) return true;
  const bytes = Buffer.from(filterKey, 'latin1');
  return topicFault(config, bytes, 0, bytes.length) === undefined;
}
