/** A whole shard in this thread, with a peer that is a bare link. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { loadConfig } from '../../../src/base/config.js';
import { createCounterBlock } from '../../../src/base/counters.js';
import { closeDescriptor, createPipe } from '../../../src/base/libc.js';
import { createAuthenticator } from '../../../src/connection/authenticator.js';
import { unpackInterestChange } from '../../../src/router/interest.js';
import { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { createRing } from '../../../src/router/ring.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { Session } from '../../../src/sessions/session.js';
import { createSessionStore } from '../../../src/sessions/session-store.js';
import type { ToPrimary } from '../../../src/shard/control.js';
import { Shard } from '../../../src/shard/shard.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';
import { eventually } from '../../support/waiting.js';

const RING_BYTES = 65_536;
const LIMITS = { maxInflight: 1, maxQueuedMessages: 1, maxQueuedBytes: 1 };

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

/** Shard 0 of two, which was told that shard 1 is dead. */
async function makeShard(): Promise<{
  shard: Shard;
  rings: SharedArrayBuffer[];
  fds: number[];
  primary: MessagePort;
}> {
  const { config } = loadConfig({ workers: 2, logLevel: 'silent' }, {}, {});
  const rings = [createRing(RING_BYTES), createRing(RING_BYTES)];
  const pipes = [createPipe(), createPipe()];
  const { port1, port2 } = new MessageChannel();
  const fds = pipes.map(({ writeFd }) => writeFd);
  const start = {
    shardIndex: 0,
    shardCount: 2,
    config,
    port: port1,
    rings,
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
  cleanUps.push(() => {
    shard.ticker.stop();
    shard.link.close();
    port1.close();
    port2.close();
    for (const fd of [...fds, pipes[1].readFd]) closeDescriptor(fd);
  });
  shard.dropPeer(1);
  return { shard, rings, fds, primary: port2 };
}

/** Kinds of what the primary has been told since the last call. */
function told(primary: MessagePort): string[] {
  const kinds: string[] = [];
  for (;;) {
    const received = receiveMessageOnPort(primary);
    if (received === undefined) return kinds;
    kinds.push((received.message as ToPrimary).kind);
  }
}

describe('a shard', () => {
  // The primary sends the successor clients then: what they publish must find this shard's
  // subscribers.
  test('has welcomed a successor when that has confirmed all filters', async () => {
    const { shard, rings, fds, primary } = await makeShard();
    const session = new Session('c', true, 4, 1, LIMITS, new AbsentQueues());
    shard.registry.subscribe(session, [['a/+', 1]], () => {});
    rings[1] = createRing(RING_BYTES);
    const successor = new PeerLink({
      shardIndex: 1,
      shardCount: 2,
      rings,
      doorbellReadFd: -1,
      doorbellWriteFds: fds,
      onDoorbell: () => {},
    });
    shard.welcomePeer(1, rings[1], fds[1]);
    shard.turn.flush();
    const announced: string[] = [];
    const changes: number[] = [];
    const onRecord = (...[, kind, number, , , , buffer, start, end]: RecordWords): void => {
      if (kind !== RecordKind.interest) return;
      announced.push(...unpackInterestChange(buffer, start, end).added);
      changes.push(number);
    };
    successor.drain({ onRecord }, RING_BYTES);
    assert.deepEqual(announced, ['a/+']);
    assert.ok(!told(primary).includes('peer-welcomed'));
    for (const number of changes) {
      const none = Buffer.alloc(0);
      successor.send(RecordKind.interestConfirmed, 1, number, 0, 0, 0, none, 0, 0);
    }
    successor.flush();
    shard.turn.schedule();
    await eventually(() => told(primary).includes('peer-welcomed'), 'the welcome to be told');
  });
});

type RecordWords = [number, number, number, number, number, number, Buffer, number, number];
