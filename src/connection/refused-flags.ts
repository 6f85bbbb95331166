/** What the server has been set not to take: QoS above a maximum, messages to be retained. */
import type { Config } from '../base/config.js';
import { CloseReason, ProtocolError } from '../base/errors.js';
import { QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import { ReasonCode } from '../protocol/v5/index.js';

/** The bits of a PUBLISH header that `refusedFlagsError` is for; 0: all is taken. */
export function refusedFlags({ maxQos, retainAvailable }: Config): number {
  const qosBits = QOS_MASK & ~((1 << (maxQos + 1)) - 1);
  return qosBits | (retainAvailable ? 0 : RETAIN);
}

/**
 * The error for a PUBLISH that has such bits [MQTT-3.2.2-11] [MQTT-3.2.2-14].
 * @param flags those of its header that are refused.
 */
export function refusedFlagsError(flags: number): ProtocolError {
  const { protocolViolation } = CloseReason;
  const { qosNotSupported, retainNotSupported } = ReasonCode;
  const qos = (flags & QOS_MASK) >> 1;
  if (qos > 0) {
    const message = `QoS ${qos} is not taken here (maxQos)`;
    return new ProtocolError('MQTT-3.2.2-11', message, protocolViolation, qosNotSupported);
  }
  const message = 'messages to be retained are not taken here (retainAvailable)';
  return new ProtocolError('MQTT-3.2.2-14', message, protocolViolation, retainNotSupported);
}
