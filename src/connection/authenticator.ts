/** Who may connect: the auth provider, called once for each CONNECT. */
import { Registry } from '../base/registry.js';

/** What a client says of itself in CONNECT, and where it comes from. */
export interface Credentials {
  readonly clientId: string;
  /** Null when CONNECT has no user name. */
  readonly username: string | null;
  /** Null when CONNECT has no password; any bytes otherwise. */
  readonly password: Buffer | null;
  /** Address of the client's end of the connection, as text; empty when it is not known. */
  readonly remoteAddress: string;
}

/** Decides about a CONNECT. One is made in each shard. */
export interface Authenticator {
  /**
   * @returns true to accept; false for CONNACK return code 5 (4 when a user name was given). A
   * promise
   *   may take as long as it likes: the client waits, nobody else does. One that rejects is return
   *   code 3.
   */
  authenticate(credentials: Credentials): boolean | Promise<boolean>;
  /** Called once, when the shard stops. */
  close?(): void | Promise<void>;
}

/** Makes the authenticator of one shard. */
export type AuthenticatorFactory = () => Authenticator | Promise<Authenticator>;

const registry = new Registry<AuthenticatorFactory>('authenticator');

/**
 * Registers an authenticator in this thread. @throws Error when the name is taken or `factory` is
 * none.
 */
export function registerAuthenticator(name: string, factory: AuthenticatorFactory): void {
  registry.register(name, factory);
}

/** @returns false when no authenticator has this name. */
export function unregisterAuthenticator(name: string): boolean {
  return registry.unregister(name);
}

/**
 * Makes the authenticator registered under a name, or that of a module whose default export is an
 * AuthenticatorFactory. @throws ConfigError with one line when there is none or it fails.
 */
export function createAuthenticator(nameOrSpecifier: string): Promise<Authenticator> {
  return registry.create(nameOrSpecifier, (factory) => factory());
}

registerAuthenticator('mockSuccess', () => ({ authenticate: () => true }));
registerAuthenticator('mockFailure', () => ({ authenticate: () => false }));
