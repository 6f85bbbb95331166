/** The life of a shard as a task of the primary's pool: start, serve, stop. */
import { PROGRAM_AUTHENTICATOR } from '../base/credentials.js';
import { CloseReason } from '../base/errors.js';
import { createAuthenticator } from '../connection/authenticator.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { Session } from '../sessions/session.js';
import { createSessionStore } from '../sessions/session-store.js';
import { createTopicsProvider } from '../topics/provider.js';
import type { ShardStart, ToShard } from './control.js';
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
  const isProgrammed = config.auth === PROGRAM_AUTHENTICATOR;
  const [authenticator, store, topics] = await Promise.all([
    isProgrammed ? null : createAuthenticator(config.auth),
    createSessionStore<Session>(config.sessions),
    createTopicsProvider<Session, RetainedMessage>(config.topics),
  ]);
  const shard = new Shard(start, { authenticator, store, topics });
  await new Promise<void>((resolve, reject) => {
    port.on('message', (messages: readonly ToShard[]) => {
      // What the primary says may follow from what other shards have done.
      shard.turn.whenCaughtUp(() => {
        for (const message of messages) onMessage(shard, message, resolve, reject);
      });
    });
    shard.line.say({ kind: 'ready' });
  });
  port.close();
}

function onMessage(
  shard: Shard,
  message: ToShard,
  resolve: () => void,
  reject: (error: unknown) => void,
): void {
  switch (message.kind) {
    case 'descriptor':
      shard.adoptDescriptor(message.fd);
      return;
    case 'socket':
      shard.adoptSocket(message.socket);
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
      shard.dropPeer(message.shardIndex);
      return;
    case 'peer-new':
      shard.welcomePeer(message.shardIndex, message.ring, message.doorbellWriteFd);
      return;
    case 'authenticated':
      shard.programAuthenticator?.onAnswers(message.answers);
      return;
    case 'publish':
      publish(shard, message);
      return;
    case 'kick':
      shard.registry.get(message.clientId)?.outlet?.closeConnection(CloseReason.kicked);
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
    shard.publish(message.message, () => shard.line.published(id));
  } catch (error) {
    shard.line.say({ kind: 'published', id, error: String(error) });
  }
}
