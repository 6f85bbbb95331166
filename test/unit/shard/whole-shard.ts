/** A whole shard in this thread, with a peer that is a bare link. */
import { MessageChannel } from 'node:worker_threads';
import { loadConfig } from '../../../src/base/config.js';
import { createCounterBlock } from '../../../src/base/counters.js';
import { closeDescriptor, createPipe } from '../../../src/base/libc.js';
import { NO_MATERIALS } from '../../../src/base/materials.js';
import { createMemoryWord } from '../../../src/base/memory-level.js';
import { RateDebts } from '../../../src/base/rate-debts.js';
import type { ServerOptions } from '../../../src/base/server-options.js';
import { PeerLink } from '../../../src/router/peer-link.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { createRing } from '../../../src/router/ring.js';
import { createTickets } from '../../../src/router/ring-layout.js';
import { createWakes } from '../../../src/router/wakes.js';
import type { Session } from '../../../src/sessions/session.js';
import { createSessionStore } from '../../../src/sessions/session-store.js';
import type { ToPrimary } from '../../../src/shard/control.js';
import { Shard } from '../../../src/shard/shard.js';
import type { ShardStoreStart } from '../../../src/store/store-messages.js';
import type { StoreReader } from '../../../src/store/store-reader.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';
import { AddressTable } from '../../../src/transport/address-table.js';
import { ListenerCounts } from '../../../src/transport/listener-counts.js';

/** Bytes of each ring. */
export const RING_BYTES = 65_536;

/** What a shard keeps things in. */
export interface Kept {
  readonly start: ShardStoreStart;
  readonly reader: StoreReader;
}

/** Shard 0 of two or more, and what it works with. */
export interface WholeShard {
  readonly shard: Shard;
  /** Ring i is written by shard i. */
  readonly rings: SharedArrayBuffer[];
  readonly tickets: SharedArrayBuffer;
  /** Write ends of the doorbells. */
  readonly fds: readonly number[];
  /** Everything it has said to the primary so far. */
  readonly said: ToPrimary[];
  close(): void;
}

export async function makeShard(
  logLevel: 'silent' | 'debug' = 'silent',
  options: ServerOptions = {},
  kept: Kept | null = null,
): Promise<WholeShard> {
  const given = { workers: 2, logLevel, ringBytes: RING_BYTES, ...options };
  const { config } = loadConfig(given, {}, {});
  const { workers: shardCount } = config;
  const rings = Array.from({ length: shardCount }, () => createRing(RING_BYTES));
  const tickets = createTickets();
  const pipes = rings.map(() => createPipe());
  const said: ToPrimary[] = [];
  const { port1, port2 } = new MessageChannel();
  const port = Object.assign(port1, { postMessage: (message: ToPrimary) => said.push(message) });
  const fds = pipes.map(({ writeFd }) => writeFd);
  const start = {
    shardIndex: 0,
    shardCount,
    config,
    materials: NO_MATERIALS,
    port,
    rings,
    tickets,
    wakes: createWakes(),
    doorbellReadFd: pipes[0]!.readFd,
    doorbellWriteFds: fds,
    counters: createCounterBlock(),
    memoryLevel: createMemoryWord(),
    addresses: AddressTable.createMemory(shardCount),
    store: kept?.start ?? null,
    orphans: null,
    listenerCounts: ListenerCounts.createMemory(shardCount),
    rateDebts: RateDebts.createMemory(),
    isReplacement: false,
  };
  const shard = new Shard(start, {
    authenticators: new Map(),
    store: await createSessionStore<Session>(config.sessions),
    topics: await createTopicsProvider<Session, RetainedMessage>(config.topics),
    reader: kept?.reader ?? null,
  });
  const close = () => {
    shard.ticker.stop();
    shard.link.close();
    port1.close();
    port2.close();
    const others = pipes.slice(1).map(({ readFd }) => readFd);
    for (const fd of [...fds, ...others]) closeDescriptor(fd);
  };
  return { shard, rings, tickets, fds, said, close };
}

/** The link of another shard: it writes its ring, and reads that of shard 0. */
export function makePeer({ rings, tickets, fds }: WholeShard, shardIndex = 1): PeerLink {
  return new PeerLink({
    shardIndex,
    shardCount: rings.length,
    rings,
    tickets,
    doorbellReadFd: -1,
    doorbellWriteFds: fds,
    onDoorbell: () => {},
  });
}
