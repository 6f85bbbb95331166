/**
 * Where a shard keeps its sessions by client id, as an interface so that a durable store can come.
 */
import { Registry } from '../base/registry.js';
import { MemoryStore } from './memory-store.js';

/**
 * Sessions of one shard, those of connected clients and those of absent ones. Each shard makes its
 * own store; the primary sees to it that a client id is in one of them only. All calls but `close`
 * are synchronous. A store keeps the object it is given: changes made to a session later are seen
 * in it.
 */
export interface SessionStore<S> {
  get(clientId: string): S | undefined;
  /** Adds a session, or takes the place of the one with this client id. */
  set(clientId: string, session: S): void;
  /** @returns false when there was none. */
  delete(clientId: string): boolean;
  /** Number of sessions. */
  readonly count: number;
  /** Every session once; `delete` of the one just given is allowed on the way. */
  entries(): Iterable<readonly [clientId: string, session: S]>;
  /** Called once, when the shard stops. Nothing is called after it. */
  close(): void | Promise<void>;
}

/** Makes the store of one shard. Generic, as a store in memory only keeps sessions. */
export type SessionsProviderFactory = <S>() => SessionStore<S> | Promise<SessionStore<S>>;

const registry = new Registry<SessionsProviderFactory>('sessions provider');

/**
 * Makes the store of the provider that ships under a name, or of a module whose default export is a
 * SessionsProviderFactory. @throws ConfigError with one line when there is none or it fails.
 */
export function createSessionStore<S>(nameOrSpecifier: string): Promise<SessionStore<S>> {
  return registry.create(nameOrSpecifier, (factory) => factory<S>());
}

// What is on disk is the journal's affair: the store has what the shard works with.
registry.register('lmdb', <S>() => new MemoryStore<S>());
registry.register('mem', <S>() => new MemoryStore<S>());
