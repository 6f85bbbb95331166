/** The Subscription Options byte behind each filter of a SUBSCRIBE [MQTT 5.0, 3.8.3.1]. */
import { ProtocolError } from '../../base/errors.js';
import { protocolError } from './fixed-header.js';

/** Its bits [MQTT 5.0, figure 3-20]. */
export const SubscriptionOption = {
  qos: 0x03,
  noLocal: 0x04,
  retainAsPublished: 0x08,
  retainHandling: 0x30,
  reserved: 0xc0,
} as const;
/** How far Retain Handling stands from bit 0. */
export const RETAIN_HANDLING_SHIFT = 4;

/** @param isShared whether the filter means a Shared Subscription. @throws ProtocolError */
export function checkSubscriptionOptions(options: number, isShared: boolean): void {
  if ((options & SubscriptionOption.reserved) !== 0) {
    throw new ProtocolError('MQTT-3.8.3-5', `subscription options ${options}`);
  }
  if ((options & SubscriptionOption.qos) === 3) {
    throw protocolError('3.8.3.1', 'subscription with QoS 3');
  }
  if ((options & SubscriptionOption.retainHandling) >> RETAIN_HANDLING_SHIFT === 3) {
    throw protocolError('3.8.3.1', 'subscription with Retain Handling 3');
  }
  if ((options & SubscriptionOption.noLocal) !== 0 && isShared) {
    throw protocolError('MQTT-3.8.3-4', 'No Local on a Shared Subscription');
  }
}
