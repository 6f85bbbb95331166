/** The gate of acceptors that a test makes by itself, and what they count listeners by. */
import { AddressGate } from '../../src/primary/address-gate.js';
import { AddressLimits, type AddressLimitValues } from '../../src/transport/address-limits.js';
import { AddressTable } from '../../src/transport/address-table.js';
import { ListenerCounts } from '../../src/transport/listener-counts.js';

/** A gate with these limits, which hold for loopback too: tests have no other addresses. */
export function makeGate(shardCount: number, limits: Partial<AddressLimitValues> = {}) {
  const none = { maxConnectionsPerAddress: 0, connectRatePerAddress: 0, connectRate: 0 };
  const memory = AddressTable.createMemory(shardCount);
  const nobody = (): boolean => false;
  return new AddressGate(new AddressLimits(memory, shardCount, { ...none, ...limits }, nobody));
}

/** Nothing is counted yet. */
export function makeCounts(shardCount: number): ListenerCounts {
  return new ListenerCounts(ListenerCounts.createMemory(shardCount), shardCount);
}
