/** What a shard is made with, by the names that the settings give. */
import type { Authenticator } from '../connection/authenticator.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { TopicsProvider } from '../topics/provider.js';

/** What the shard's providers have made for it. */
export interface ShardProviders {
  /** Null: the program that embeds the broker is asked. */
  readonly authenticator: Authenticator | null;
  readonly store: SessionStore<Session>;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
}
