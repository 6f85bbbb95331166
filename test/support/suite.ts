/** The frame of the black-box tests: a theme, run with every number of shards. */
import { after, afterEach, before, describe } from 'node:test';
import type { ServerOptions } from '../../src/index.js';
import { type Broker, startBroker, unique, WORKER_COUNTS } from './broker.js';
import type { TestClient } from './test-client.js';

/** What a theme's tests find: the broker of their number of shards. */
export interface Theme {
  readonly broker: Broker;
  readonly workers: number;
}

/**
 * Describes a theme once for each number of shards, each with a broker of its own that every test
 * finds without connections, so that its clients are placed on shards by turns. Sessions and
 * retained messages stay: tests use names of their own (`unique`).
 */
export function describeTheme(
  title: string,
  body: (theme: Theme) => void,
  options: ServerOptions = {},
): void {
  for (const workers of WORKER_COUNTS) {
    describe(`${title}, ${workers === 1 ? '1 worker' : `${workers} workers`}`, () => {
      let broker: Broker | undefined;
      before(async () => {
        broker = await startBroker({ ...options, workers });
      });
      afterEach(() => broker?.idle());
      after(() => broker?.close());
      body({
        workers,
        get broker() {
          if (broker === undefined) throw new Error('the broker has not been started');
          return broker;
        },
      });
    });
  }
}

/**
 * Clients on every shard that have subscribed to `topic`: when each of them has a message, every
 * shard has handled it. A shard hears of what happened on another a moment later, which only an
 * acknowledgement waits for.
 */
export async function connectEverywhere(theme: Theme, topic: string): Promise<TestClient[]> {
  const clients: TestClient[] = [];
  // Twice as many as shards, since some shards may have a client more than others already.
  for (let n = 0; n < theme.workers * 2; n++) {
    const client = await theme.broker.client({ clientId: unique('everywhere') });
    await client.subscribe([topic, 0]);
    clients.push(client);
  }
  return clients;
}

/** The numbers from `from` to `to` as texts: payloads whose order can be checked. */
export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, at) => String(from + at));
}
