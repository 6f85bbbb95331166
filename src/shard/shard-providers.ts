/** What a shard is made with, by the names that the settings give. */
import type { Authenticator } from '../access/authenticator.js';
import type { RetainedMessage } from '../router/retained-message.js';
import type { Session } from '../sessions/session.js';
import type { SessionStore } from '../sessions/session-store.js';
import type { StoreReader } from '../store/store-reader.js';
import type { TopicsProvider } from '../topics/provider.js';

/** What the shard's providers have made for it. */
export interface ShardProviders {
  /** Those that are not made of the configuration, by their names in it. */
  readonly authenticators: ReadonlyMap<string, Authenticator>;
  readonly store: SessionStore<Session>;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  /** What it reads of the store; null: there is none. */
  readonly reader: StoreReader | null;
}
