/** The broker that histories are run against: in this process, or in one that can be ended. */
import type { Server } from '../../src/index.js';
import { Faults } from '../support/kill/faults.js';
import { KillableBroker } from '../support/kill/killable-broker.js';
import { type Endpoint, RawClient } from '../support/raw-client.js';
import type { Fault } from './record.js';

/** What can be done with a broker that is a process of its own. */
export interface BrokerProcess {
  /** Ends it, in order or by SIGKILL. */
  readonly end: (isKill: boolean) => Promise<void>;
  /** Starts it again in its folder and at its port. */
  readonly start: () => Promise<void>;
  /** Errors of its log since they were last taken. */
  readonly takeFaults: () => Fault[];
  /** Ends it, and leaves its folder to whoever looks into it. @returns that folder. */
  readonly keep: () => Promise<string>;
}

/** A running broker. */
export interface ModelBroker extends Endpoint {
  /** @throws Error where it is a process of its own. */
  readonly server: Server;
  readonly process: BrokerProcess | null;
  /** Opens a connection without a packet. */
  readonly raw: () => Promise<RawClient>;
  readonly close: () => Promise<void>;
}

/** Starts one that keeps what it acknowledges on disk. @param ringBytes default: the broker's. */
export async function startProcess(workers: number, ringBytes?: number): Promise<ModelBroker> {
  const faults = new Faults();
  const environment = {
    SURGEMQ_SESSIONS: 'lmdb',
    SURGEMQ_DURABILITY: 'fsync',
    SURGEMQ_CONNECT_TIMEOUT: '60s',
    SURGEMQ_SLOW_CONSUMER_TIMEOUT: '60s',
    ...(ringBytes === undefined ? {} : { SURGEMQ_RING_BYTES: String(ringBytes) }),
  };
  const broker = await KillableBroker.at({ workers, environment, command: null }, faults);
  await broker.start();
  const endpoint = { host: '127.0.0.1', port: broker.port };
  return {
    ...endpoint,
    get server(): Server {
      throw new Error('its Server object is in another process');
    },
    process: {
      end: (isKill) => (isKill ? broker.kill() : broker.stop()),
      start: () => broker.start(),
      takeFaults: () =>
        faults.lines.splice(0).map((text) => ({ rule: 'theBrokerSaysNoError', text })),
      keep: async () => {
        // As it is: a stop in order would write what it has not.
        await broker.kill();
        return broker.folder;
      },
    },
    raw: () => RawClient.open(endpoint),
    close: async () => {
      await broker.stop();
      broker.remove();
    },
  };
}
