/** Public names of `surgemq`: the server, what its providers are written against, the client. */

export type {
  AuthenticationVerdict,
  Authenticator,
  AuthenticatorFactory,
  EnhancedCredentials,
  ServerExchange,
} from './access/authenticator.js';
export { scramSha256Exchange } from './access/scram-exchange.js';
export type { AccessAction, AccessRule } from './base/access-rule.js';
export type { Config } from './base/config.js';
export type {
  Admission,
  Authenticate,
  CertificateNames,
  Credentials,
  Verdict,
} from './base/credentials.js';
export { CloseReason, ConfigError } from './base/errors.js';
export type { Logger } from './base/log.js';
export { ScramError, type ScramKeys, scramKeys } from './base/scram.js';
export type { ServerOptions } from './base/server-options.js';
export type { UserConfig } from './base/user-config.js';
export * from './client/index.js';
export type { BoundAddress } from './primary/acceptor.js';
export type { ServerMessage } from './primary/publications.js';
export type { ReloadResult } from './primary/reload.js';
export { Server, type ServerEvents } from './primary/server.js';
export { ServerError, ServerErrorCode } from './primary/server-error.js';
export type { ServerStats, ShardStats } from './primary/stats.js';
export type { SessionStore, SessionsProviderFactory } from './sessions/session-store.js';
export type { TopicsProvider, TopicsProviderFactory } from './topics/provider.js';
