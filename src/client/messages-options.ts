/** Options of `messages`, checked. */
import { ArgumentError } from '../base/errors.js';
import { CLIENT_SETTINGS } from '../base/limits.js';
import type { QoS } from '../protocol/packet.js';
import type { CallOptions } from './call.js';
import { checkedQos } from './subscribe-arguments.js';

/** Options of `messages`. */
export interface MessagesOptions extends CallOptions {
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /** Messages queued above which the client stops reading from its socket; default 1,024. */
  readonly highWaterMark?: number | undefined;
}

/** Fills in the defaults. @throws ArgumentError */
export function readMessagesOptions(options: MessagesOptions): {
  readonly qos: QoS;
  readonly highWaterMark: number;
  readonly signal: AbortSignal | undefined;
} {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(
      `the options are ${String(options)}; the right way is messages('a/#', { qos: 1 })`,
    );
  }
  const { qos = 0, signal, highWaterMark = CLIENT_SETTINGS.highWaterMark.default } = options;
  const { min, max } = CLIENT_SETTINGS.highWaterMark;
  if (!(Number.isInteger(highWaterMark) && highWaterMark >= min && highWaterMark <= max)) {
    throw new ArgumentError(`highWaterMark is ${highWaterMark}; allowed: ${min} to ${max}`);
  }
  return { qos: checkedQos(qos), highWaterMark, signal };
}
