/** Whether one more connection of an address is let in. */
import { addressKey, isLocalAddress, NO_ADDRESS } from './address-key.js';
import { AddressTable, NO_PLACE } from './address-table.js';
import { sharedMicros } from './connect-rate.js';

/** The settings that say so; 0 is no limit. */
export interface AddressLimitValues {
  readonly maxConnectionsPerAddress: number;
  readonly connectRatePerAddress: number;
  /** New connections a second of all addresses. */
  readonly connectRate: number;
}

/** What there is too much of, in place of the place that a connection is counted in. */
export const TOO_MANY_CONNECTIONS = -2;
export const TOO_HIGH_RATE = -3;
export const TOO_HIGH_TOTAL_RATE = -4;
/** It came by a proxy: it is counted when its header has told the address. */
export const BEHIND_PROXY = -5;

/** One a thread, over the table that they share. */
export class AddressLimits {
  /** Those in force: a reload changes them. */
  values: AddressLimitValues;
  readonly #table: AddressTable;
  readonly #isExempt: (address: string) => boolean;

  /** @param isExempt of addresses that have no limits; tests bring their own. */
  constructor(
    memory: SharedArrayBuffer,
    shardCount: number,
    values: AddressLimitValues,
    isExempt: (address: string) => boolean = isLocalAddress,
  ) {
    this.#table = new AddressTable(memory, shardCount);
    this.values = values;
    this.#isExempt = isExempt;
  }

  /** Whether there are any: otherwise nobody needs to know the address. */
  get areAny(): boolean {
    const { maxConnectionsPerAddress, connectRatePerAddress, connectRate } = this.values;
    return maxConnectionsPerAddress > 0 || connectRatePerAddress > 0 || connectRate > 0;
  }

  /** Connections that were not counted, as there was no place for their addresses. */
  get uncounted(): number {
    return this.#table.uncounted;
  }

  /**
   * Counts a connection of `address` with a shard, if it may be.
   * @returns the place to give back to `leave`; NO_PLACE: it may be and is not counted;
   * TOO_MANY_CONNECTIONS, TOO_HIGH_RATE or TOO_HIGH_TOTAL_RATE: it may not.
   */
  enter(address: string, shardIndex: number, now: number = sharedMicros()): number {
    if (!this.areAny || this.#isExempt(address)) return NO_PLACE;
    const place = this.#enterOwn(address, shardIndex, now);
    const { connectRate } = this.values;
    if (place < NO_PLACE || connectRate === 0) return place;
    // Last: who is refused for its own sake takes nothing from others.
    if (this.#table.takeTotalRate(connectRate, now)) return place;
    this.leave(place, shardIndex);
    return TOO_HIGH_TOTAL_RATE;
  }

  /** What an address may have by itself. */
  #enterOwn(address: string, shardIndex: number, now: number): number {
    const { maxConnectionsPerAddress, connectRatePerAddress } = this.values;
    const key = addressKey(address);
    const hasLimits = maxConnectionsPerAddress > 0 || connectRatePerAddress > 0;
    if (key === NO_ADDRESS || !hasLimits) return NO_PLACE;
    const place = this.#table.placeOf(key, now);
    if (place === NO_PLACE) return NO_PLACE;
    // Counted first: of two threads at the limit one at most is let in.
    this.#table.add(place, shardIndex);
    const connections = this.#table.connections(place);
    if (maxConnectionsPerAddress > 0 && connections > maxConnectionsPerAddress) {
      this.#table.remove(place, shardIndex);
      return TOO_MANY_CONNECTIONS;
    }
    if (connectRatePerAddress === 0) return place;
    if (this.#table.takeRate(place, connectRatePerAddress, now)) return place;
    this.#table.remove(place, shardIndex);
    return TOO_HIGH_RATE;
  }

  /** Why `enter` said no, in words. */
  why(refusal: number, address: string): string {
    const { maxConnectionsPerAddress, connectRatePerAddress, connectRate } = this.values;
    switch (refusal) {
      case TOO_MANY_CONNECTIONS:
        return `${address} has ${maxConnectionsPerAddress}: see maxConnectionsPerAddress`;
      case TOO_HIGH_RATE:
        return `${address} makes over ${connectRatePerAddress} a second: connectRatePerAddress`;
      default:
        return `all together make over ${connectRate} a second: see connectRate`;
    }
  }

  /** A connection that was counted is closed, or was not taken by the shard. */
  leave(place: number, shardIndex: number): void {
    if (place >= 0) this.#table.remove(place, shardIndex);
  }

  /** The thread of a shard is gone. */
  forgetShard(shardIndex: number): void {
    this.#table.forgetShard(shardIndex);
  }
}
