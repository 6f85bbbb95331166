/** The store thread: opens the store, writes it for all shards, and answers the primary. */
import type { MessagePort } from 'node:worker_threads';
import { ConfigError } from '../base/errors.js';
import { SHARDS_MAX } from '../base/limits.js';
import { Environment } from './environment.js';
import { largestSession } from './largest-session.js';
import type { FromStore, StoreStart, ToStore } from './store-messages.js';
import { StoreWriter } from './store-writer.js';

/** Runs until the primary says `close`. @param port to the primary. */
export function runStore(start: StoreStart, port: MessagePort): void {
  const tell = (message: FromStore) => port.postMessage(message);
  try {
    const task = new StoreTask(start, tell);
    port.on('message', (message: ToStore) => {
      task.handle(message).then((isOver) => {
        if (isOver) port.close();
      });
    });
    tell({ kind: 'ready' });
  } catch (error) {
    const { folder } = start;
    const what = `the store in ${folder} is damaged (surgemq store check says more)`;
    const isSaid = error instanceof ConfigError;
    const faults = isSaid ? error.faults : [`${what}: ${(error as Error).message}`];
    tell({ kind: 'refused', faults });
    port.close();
  }
}

class StoreTask {
  readonly #environment: Environment;
  readonly #writer: StoreWriter;
  readonly #tell: (message: FromStore) => void;
  /** Ports to the shards as they run now. */
  readonly #ports = new Map<number, MessagePort>();
  /** The largest number of a session of which anything was left at the start. */
  readonly #sessionMax: number;

  constructor(
    { folder, durability, words, bytesMax }: StoreStart,
    tell: (message: FromStore) => void,
  ) {
    this.#tell = tell;
    this.#environment = new Environment(folder, durability);
    this.#sessionMax = largestSession(this.#environment);
    this.#writer = new StoreWriter({
      environment: this.#environment,
      words,
      bytesMax,
      onFailing: (why) => tell(why === null ? { kind: 'well' } : { kind: 'failing', why }),
      onFull: (isFull, bytes) => tell({ kind: 'full', isFull, bytes }),
    });
  }

  /** @returns whether the thread is to end. */
  async handle(message: ToStore): Promise<boolean> {
    if (message.kind === 'attach') {
      await this.#attach(message.shardIndex, message.port);
      return false;
    }
    await this.#writer.close();
    await this.#environment.close();
    this.#tell({ kind: 'closed' });
    return true;
  }

  async #attach(shardIndex: number, port: MessagePort): Promise<void> {
    const former = this.#ports.get(shardIndex);
    if (former !== undefined) {
      await this.#writer.detach(former);
      // Another one may have died, and said before what the successor has to find.
      await this.#writer.settled();
      this.#writer.forgetShard(shardIndex);
    }
    this.#ports.set(shardIndex, port);
    this.#writer.attach(port);
    const sessionMax = Math.max(this.#sessionMax, this.#writer.sessionMax);
    // Shards give numbers that differ modulo SHARDS_MAX, whichever base each of them has.
    const base = Math.ceil((sessionMax + 1) / SHARDS_MAX) * SHARDS_MAX;
    this.#tell({ kind: 'attached', shardIndex, base });
  }
}
