/** A whole shard in this thread, with a peer that is a bare link. */
import { MessageChannel } from 'node:worker_threads';
import { loadConfig } from '../../../src/base/config.js';
import { createCounterBlock } from '../../../src/base/counters.js';
import { closeDescriptor, createPipe } from '../../../src/base/libc.js';
import { createAuthenticator } from '../../../src/connection/authenticator.js';
import { PeerLink } from '../../../src/router/peer-link.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { createRing } from '../../../src/router/ring.js';
import { createTickets } from '../../../src/router/ring-layout.js';
import type { Session } from '../../../src/sessions/session.js';
import { createSessionStore } from '../../../src/sessions/session-store.js';
import type { ToPrimary } from '../../../src/shard/control.js';
import { Shard } from '../../../src/shard/shard.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';

/** Bytes of each ring. */
export const RING_BYTES = 65_536;

/** Shard 0 of two, and what it works with. */
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

export async function makeShard(logLevel: 'silent' | 'debug' = 'silent'): Promise<WholeShard> {
  const { config } = loadConfig({ workers: 2, logLevel, ringBytes: RING_BYTES }, {}, {});
  const rings = [createRing(RING_BYTES), createRing(RING_BYTES)];
  const tickets = createTickets();
  const pipes = [createPipe(), createPipe()];
  const said: ToPrimary[] = [];
  const { port1, port2 } = new MessageChannel();
  const port = Object.assign(port1, { postMessage: (message: ToPrimary) => said.push(message) });
  const fds = pipes.map(({ writeFd }) => writeFd);
  const start = {
    shardIndex: 0,
    shardCount: 2,
    config,
    port,
    rings,
    tickets,
    doorbellReadFd: pipes[0].readFd,
    doorbellWriteFds: fds,
    counters: createCounterBlock(),
    isReplacement: false,
  };
  const shard = new Shard(start, {
    authenticator: await createAuthenticator(config.auth),
    store: await createSessionStore<Session>(config.sessions),
    topics: await createTopicsProvider<Session, RetainedMessage>(config.topics),
  });
  const close = () => {
    shard.ticker.stop();
    shard.link.close();
    port1.close();
    port2.close();
    for (const fd of [...fds, pipes[1].readFd]) closeDescriptor(fd);
  };
  return { shard, rings, tickets, fds, said, close };
}

/** The link of shard 1: it writes ring 1 and reads ring 0. */
export function makePeer({ rings, tickets, fds }: WholeShard): PeerLink {
  return new PeerLink({
    shardIndex: 1,
    shardCount: 2,
    rings,
    tickets,
    doorbellReadFd: -1,
    doorbellWriteFds: fds,
    onDoorbell: () => {},
  });
}
