/** Public names of `surgemq`: the server, what its providers are written against, the client. */
export type { Config, ServerOptions } from './base/config.js';
export type { Authenticate, Credentials } from './base/credentials.js';
export { CloseReason, ConfigError } from './base/errors.js';
export type { Logger } from './base/log.js';
export * from './client/index.js';
export type { Authenticator, AuthenticatorFactory } from './connection/authenticator.js';
export type { BoundAddress } from './primary/acceptor.js';
export type { ServerMessage } from './primary/publications.js';
export { Server, type ServerEvents } from './primary/server.js';
export { ServerError, ServerErrorCode } from './primary/server-error.js';
export type { ServerStats, ShardStats } from './primary/stats.js';
export type { SessionStore, SessionsProviderFactory } from './sessions/session-store.js';
export type { TopicsProvider, TopicsProviderFactory } from './topics/provider.js';
