/** What a server takes: what its CONNACK says in MQTT 5.0 [MQTT 5.0, 3.2.2.3]. */
import { ServerLimitError } from '../base/reason-errors.js';
import type { QoS } from '../protocol/packet.js';
import { isShareFilter, type Properties, ReasonCode } from '../protocol/v5/index.js';

/** Receive Maximum of a side that says none [MQTT 5.0, 3.2.2.3.3]. */
const RECEIVE_MAXIMUM_DEFAULT = 65_535;

/** Limits of one connection. */
export interface ServerLimits {
  /** QoS 1 and 2 messages that may be unacknowledged at once. */
  readonly receiveMaximum: number;
  /** Bytes of a packet. */
  readonly maximumPacketSize: number;
  readonly maximumQos: QoS;
  readonly retainAvailable: boolean;
  /** Topic aliases it remembers; 0 for none. */
  readonly topicAliasMaximum: number;
  /** Filters with wildcards, Subscription Identifiers and Shared Subscriptions. */
  readonly wildcardsAvailable: boolean;
  readonly identifiersAvailable: boolean;
  readonly sharedAvailable: boolean;
}

/** Of a server of 3.x, and of one that is not known yet: it says nothing. */
export const NO_LIMITS: ServerLimits = Object.freeze({
  receiveMaximum: Number.POSITIVE_INFINITY,
  maximumPacketSize: Number.POSITIVE_INFINITY,
  maximumQos: 2,
  retainAvailable: true,
  topicAliasMaximum: 0,
  wildcardsAvailable: true,
  identifiersAvailable: true,
  sharedAvailable: true,
});

/** The limits in the properties of a CONNACK. */
export function limitsIn(properties: Properties): ServerLimits {
  return {
    receiveMaximum: properties.receiveMaximum ?? RECEIVE_MAXIMUM_DEFAULT,
    maximumPacketSize: properties.maximumPacketSize ?? NO_LIMITS.maximumPacketSize,
    maximumQos: properties.maximumQos ?? 2,
    retainAvailable: properties.retainAvailable ?? true,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    wildcardsAvailable: properties.wildcardSubscriptionAvailable ?? true,
    identifiersAvailable: properties.subscriptionIdentifiersAvailable ?? true,
    sharedAvailable: properties.sharedSubscriptionAvailable ?? true,
  };
}

/**
 * What keeps a packet from being sent [MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.2.2-15]; null for
 * nothing.
 * @param what the packet in words.
 */
export function limitFault(
  limits: ServerLimits,
  qos: number,
  isRetained: boolean,
  frameBytes: number,
  what: string,
): ServerLimitError | null {
  if (frameBytes > limits.maximumPacketSize) {
    return new ServerLimitError(
      `${what} has ${frameBytes} bytes; the server takes at most ${limits.maximumPacketSize}`,
      ReasonCode.packetTooLarge,
    );
  }
  if (qos > limits.maximumQos) {
    return new ServerLimitError(
      `${what} has QoS ${qos}; the server takes at most ${limits.maximumQos}`,
      ReasonCode.qosNotSupported,
    );
  }
  if (isRetained && !limits.retainAvailable) {
    return new ServerLimitError(
      `${what} is to be retained; the server does not keep messages`,
      ReasonCode.retainNotSupported,
    );
  }
  return null;
}

/**
 * What keeps a filter from being subscribed to [MQTT 5.0, 3.2.2.3.11 to 3.2.2.3.13]; null for
 * nothing.
 * @param hasIdentifier with a Subscription Identifier.
 */
export function subscriptionFault(
  limits: ServerLimits,
  filter: string,
  hasIdentifier: boolean,
): ServerLimitError | null {
  const refused = (what: string, reasonCode: number): ServerLimitError =>
    new ServerLimitError(`cannot subscribe to '${filter}': the server has no ${what}`, reasonCode);
  if (!limits.sharedAvailable && isShareFilter(filter)) {
    return refused('Shared Subscriptions', ReasonCode.sharedSubscriptionsNotSupported);
  }
  if (!limits.wildcardsAvailable && /[+#]/.test(filter)) {
    return refused('subscriptions with wildcards', ReasonCode.wildcardSubscriptionsNotSupported);
  }
  if (!limits.identifiersAvailable && hasIdentifier) {
    return refused('Subscription Identifiers', ReasonCode.subscriptionIdentifiersNotSupported);
  }
  return null;
}
