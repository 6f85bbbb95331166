/**
 * What a subscription grants, in 32 bits, so that the trees keep it where they kept a QoS:
 *
 * ```
 *   31                          4      3       2     1  0
 *  +-----------------------------+----------+-------+-----+
 *  |  Subscription Identifier    | retain as|  no   | QoS |
 *  |  1 to 268,435,455; 0: none  | published| local |     |
 *  +-----------------------------+----------+-------+-----+
 * ```
 *
 * A grant of MQTT 3.x is its QoS. As an integer of 32 bits it may be negative.
 */
import type { QoS } from '../protocol/packet.js';

/** One subscription's grant. */
export type Grant = number;

/** Bit: what the client itself publishes is not sent to it [MQTT-3.8.3-3]. */
export const NO_LOCAL = 4;
/** Bit: messages keep the RETAIN flag that they were published with [MQTT-3.3.1-13]. */
export const RETAIN_AS_PUBLISHED = 8;
const IDENTIFIER_SHIFT = 4;
const QOS_BITS = 3;

/** @param identifier of the subscription, 0 for none. */
export function makeGrant(
  qos: QoS,
  noLocal: boolean,
  retainAsPublished: boolean,
  identifier: number,
): Grant {
  const flags = (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0);
  return qos | flags | (identifier << IDENTIFIER_SHIFT);
}

/** The QoS granted. */
export function grantedQos(grant: Grant): QoS {
  return (grant & QOS_BITS) as QoS;
}

/** The Subscription Identifier, 0 for none. */
export function identifierOf(grant: Grant): number {
  return grant >>> IDENTIFIER_SHIFT;
}

/**
 * What all subscriptions of one client that match a topic grant together, its identifiers apart:
 *
 * - bits 0, 1: the highest QoS [MQTT-3.3.4-2].
 * - bits 2, 3: 1 more than the highest QoS of those without No Local, 0 where all have it: what the
 *   client itself publishes is sent to it for their sake alone.
 * - bit 4: one of them has Retain As Published.
 */
export type MatchedGrant = number;

/** Bit of a matched grant. */
export const KEEPS_RETAIN = 16;
const OWN_SHIFT = 2;
const OWN_BITS = 12;

/** By the low four bits of a grant: what it is matched alone. */
const MATCHED: readonly MatchedGrant[] = Array.from({ length: 16 }, (_, grant) => {
  const qos = grant & QOS_BITS;
  const own = (grant & NO_LOCAL) !== 0 ? 0 : (qos + 1) << OWN_SHIFT;
  return qos | own | ((grant & RETAIN_AS_PUBLISHED) !== 0 ? KEEPS_RETAIN : 0);
});

/** The matched grant of one subscription. */
export function matchedGrant(grant: Grant): MatchedGrant {
  return MATCHED[grant & 15]!;
}

/** The matched grant of what both stand for. */
export function mergeGrants(one: MatchedGrant, other: MatchedGrant): MatchedGrant {
  return (
    Math.max(one & QOS_BITS, other & QOS_BITS) |
    Math.max(one & OWN_BITS, other & OWN_BITS) |
    ((one | other) & KEEPS_RETAIN)
  );
}

/** The QoS at which the client gets what it publishes itself; -1: it does not. */
export function ownQos(grant: MatchedGrant): number {
  return ((grant & OWN_BITS) >> OWN_SHIFT) - 1;
}
