/** What an MQTT 5.0 server gives as its reason, as errors have it. */
import { SubscribeRefusedError } from '../base/errors.js';
import {
  PublishRefusedError,
  type ServerReason,
  UnsubscribeRefusedError,
} from '../base/reason-errors.js';
import { PacketType } from '../protocol/packet.js';
import { SUBACK_FAILURE } from '../protocol/return-code.js';
import { type Properties, reasonName } from '../protocol/v5/index.js';

/** A reason code with what the packet's properties say beside it. */
export function reasonIn(reasonCode: number, properties: Properties): ServerReason {
  const { reasonString = null, userProperties = [] } = properties;
  return { reasonCode, reasonString, userProperties };
}

/**
 * A reason in words, such as `Not authorized, 'read only' (0x87)`.
 * @param type of the packet that gives it.
 */
export function reasonWords(reason: ServerReason, type: number): string {
  const { reasonCode, reasonString } = reason;
  const words = reasonString === null ? '' : `, '${reasonString}'`;
  const name = reasonName(reasonCode, type as PacketType);
  return `${name}${words} (0x${reasonCode.toString(16).padStart(2, '0')})`;
}

/** The error for a message that the server refuses. @param what the PUBLISH in words. */
export function publishRefused(
  what: string,
  reason: ServerReason,
  type: number,
): PublishRefusedError {
  return new PublishRefusedError(
    `the server refuses ${what}: ${reasonWords(reason, type)}`,
    reason,
  );
}

/** The error for refused filters. @param codes one for each, 0x80 or more. */
export function subscribeRefused(
  filters: readonly string[],
  codes: readonly number[],
  properties: Properties,
): SubscribeRefusedError {
  const reason = reasonIn(codes[0], properties);
  // The one code that 3.x has says nothing.
  const isBare = codes[0] === SUBACK_FAILURE && reason.reasonString === null;
  const why = isBare ? '' : `: ${reasonWords(reason, PacketType.suback)}`;
  return new SubscribeRefusedError(filters, { ...reason, reasonCodes: codes }, why);
}

/** The same for UNSUBSCRIBE. */
export function unsubscribeRefused(
  filters: readonly string[],
  codes: readonly number[],
  properties: Properties,
): UnsubscribeRefusedError {
  const reason = reasonIn(codes[0], properties);
  const list = filters.map((filter) => `'${filter}'`).join(', ');
  const why = reasonWords(reason, PacketType.unsuback);
  const message = `the server refused to unsubscribe from ${list}: ${why}`;
  return new UnsubscribeRefusedError(filters, message, reason);
}
