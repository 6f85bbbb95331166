/** Lets connections in by their address, before anything is read of them. */
import type { BlockList } from 'node:net';
import {
  type AddressLimits,
  BEHIND_PROXY,
  TOO_HIGH_RATE,
  TOO_MANY_CONNECTIONS,
} from '../transport/address-limits.js';
import { NO_PLACE } from '../transport/address-table.js';
import { isProxy } from '../transport/proxies.js';
import type { Accepted } from './accepted.js';
import { RefusalReason } from './refusals.js';

/** Why one is not let in. */
export interface GateRefusal {
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** One for all listeners. */
export class AddressGate {
  readonly limits: AddressLimits;

  constructor(limits: AddressLimits) {
    this.limits = limits;
  }

  /**
   * A connection is to be given to a shard.
   * @param proxies of its listener; null: none.
   * @returns the place that it is counted in, for `AddressLimits.leave`, or BEHIND_PROXY; or why it
   * is refused.
   */
  enter(
    accepted: Accepted,
    shardIndex: number,
    proxies: BlockList | null = null,
  ): number | GateRefusal {
    const { limits } = this;
    if (!limits.areAny && proxies === null) return NO_PLACE;
    const address = accepted.peerAddress;
    if (proxies !== null && isProxy(proxies, address)) return BEHIND_PROXY;
    const place = limits.enter(address, shardIndex);
    if (place >= NO_PLACE) return place;
    return { reason: reasonOf(place), detail: limits.why(place, address) };
  }
}

function reasonOf(refusal: number): RefusalReason {
  if (refusal === TOO_MANY_CONNECTIONS) return RefusalReason.addressConnections;
  return refusal === TOO_HIGH_RATE ? RefusalReason.addressRate : RefusalReason.connectRate;
}
