/** The life of a shard as a task of the primary's pool: start, serve, stop. */

import { type Authenticator, createAuthenticator } from '../access/authenticator.js';
import { authenticatorNames, isConfiguredKind } from '../access/authenticator-names.js';
import type { Config } from '../base/config.js';
import { PROGRAM_AUTHENTICATOR } from '../base/credentials.js';
import { CloseReason } from '../base/errors.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { Session } from '../sessions/session.js';
import { createSessionStore } from '../sessions/session-store.js';
import type { StoreReader } from '../store/store-reader.js';
import { createTopicsProvider } from '../topics/provider.js';
import type { ShardStart, ToShard } from './control.js';
import { loadStore } from './load-store.js';
import { dropPeer, onPeerLoaded, welcomePeer } from './peers.js';
import { publishForProgram } from './program-publication.js';
import { reloadShard } from './reload.js';
import { Shard } from './shard.js';
import { quiesce, stop } from './shutdown.js';

/**
 * Runs one shard in this thread.
 * @returns a promise that resolves when the primary has stopped it, and rejects when it cannot
 * start.
 * @throws ConfigError for a provider that cannot be had.
 */
export async function runShard(start: ShardStart): Promise<void> {
  const { config, port } = start;
  const [authenticators, store, topics, reader] = await Promise.all([
    loadAuthenticators(config),
    createSessionStore<Session>(config.sessions),
    createTopicsProvider<Session, RetainedMessage>(config.topics),
    openReader(start),
  ]);
  const shard = new Shard(start, { authenticators, store, topics, reader });
  await new Promise<void>((resolve, reject) => {
    port.on('message', (messages: readonly ToShard[]) => {
      // What the primary says may follow from what other shards have done.
      shard.turn.whenCaughtUp(() => {
        for (const message of messages) onMessage(shard, message, resolve, reject);
      });
    });
    loadStore(shard, start).then(() => shard.line.say({ kind: 'ready' }), reject);
  });
  port.close();
}

/** LMDB is loaded by shards that have a store alone. */
async function openReader({ store }: ShardStart): Promise<StoreReader | null> {
  if (store === null) return null;
  const { StoreReader: Reader } = await import('../store/store-reader.js');
  return new Reader(store);
}

/** Those that are modules. The function of a program is not in this thread. */
async function loadAuthenticators(config: Config): Promise<Map<string, Authenticator>> {
  const names = authenticatorNames(config).filter(
    (name) => !isConfiguredKind(name) && name !== PROGRAM_AUTHENTICATOR,
  );
  const made = await Promise.all(
    names.map(async (name) => [name, await createAuthenticator(name)] as const),
  );
  return new Map(made);
}

function onMessage(
  shard: Shard,
  message: ToShard,
  resolve: () => void,
  reject: (error: unknown) => void,
): void {
  switch (message.kind) {
    case 'listeners':
      shard.adoption.setListeners(message.listeners);
      return;
    case 'ticket-keys':
      shard.adoption.setTicketKeys(message.keys);
      return;
    case 'descriptor':
      shard.adoption.adopt(message.fd, message);
      return;
    case 'socket':
      shard.adoption.adopt(message.socket, message);
      return;
    case 'granted':
      shard.takeover.onGranted(message.claim, message.from);
      return;
    case 'refused':
      shard.takeover.onRefused(message.claim, message.reason);
      return;
    case 'watch-clients':
      shard.line.isWatched = message.enabled;
      return;
    case 'release':
      shard.takeover.onRelease(message);
      return;
    case 'peer-dead':
      dropPeer(shard, message.shardIndex);
      return;
    case 'peer-new':
      welcomePeer(shard, message.shardIndex, message.ring, message.doorbellWriteFd);
      return;
    case 'peer-loaded':
      onPeerLoaded(shard, message.shardIndex);
      return;
    case 'authenticated':
      shard.programAuthenticator.onAnswers(message.answers);
      return;
    case 'publish':
      publish(shard, message);
      return;
    case 'kick':
      shard.registry.get(message.clientId)?.outlet?.closeConnection(CloseReason.kicked);
      return;
    case 'reload':
      reload(shard, message);
      return;
    case 'quiesce':
      quiesce(shard).then(() => shard.line.say({ kind: 'quiesced' }), reject);
      return;
    case 'stop':
      stop(shard, message.deadlineMs).then(resolve, reject);
      return;
  }
}

function publish(shard: Shard, message: Extract<ToShard, { kind: 'publish' }>): void {
  const { id } = message;
  try {
    publishForProgram(shard, message.message, (why) => {
      if (why === null) shard.line.published(id);
      else shard.line.say({ kind: 'published', id, error: why });
    });
  } catch (error) {
    shard.line.say({ kind: 'published', id, error: String(error) });
  }
}

function reload(
  shard: Shard,
  { id, config, materials }: Extract<ToShard, { kind: 'reload' }>,
): void {
  let fault: string | null = null;
  try {
    reloadShard(shard, config, materials);
  } catch (error) {
    fault = String(error);
  }
  shard.access.whenRevised(() => shard.line.say({ kind: 'reloaded', id, fault }));
}
