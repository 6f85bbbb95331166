/** What clients may leave behind in a broker: nothing. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Broker } from '../support/broker.js';
import { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

/**
 * Ends the persistent sessions that clients with these ids may have left.
 * @param clientIds a set that may still grow until nobody is connected any more.
 */
export async function discardSessions(broker: Broker, clientIds: Iterable<string>): Promise<void> {
  // Who has closed its connection may be accepted yet.
  await eventually(() => broker.server.stats().connectionsOpen === 0, 'nobody to be connected');
  for (const clientId of clientIds) {
    const client = await TestClient.connect(broker, { clientId });
    await client.disconnect();
  }
}

/** Has every thread open what it opens for its first connection. @returns descriptors open then. */
export async function warmUp(broker: Broker): Promise<number> {
  await discardSessions(broker, ['one', 'two', 'three', 'four', 'five', 'six']);
  await eventually(() => broker.server.stats().connectionsOpen === 0, 'quiet');
  return readdirSync('/proc/self/fd').length;
}

/** Nothing is left of anybody: connections, sessions, subscriptions, descriptors. */
export async function expectNothingLeft(broker: Broker, descriptors: number): Promise<void> {
  const { server } = broker;
  const isGone = () => {
    const { connectionsOpen, sessions, subscriptions } = server.stats();
    return connectionsOpen === 0 && sessions === 0 && subscriptions === 0;
  };
  await eventually(isGone, 'the counters to return to zero');
  assert.equal(server.stats().shardDeaths, 0);
  const open = () => readdirSync('/proc/self/fd').length;
  await eventually(() => open() <= descriptors, `${open()} descriptors to be ${descriptors}`);
}
