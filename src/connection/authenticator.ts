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
   * @returns true to accept; false for CONNACK return code 5 (4 when a user name was given). With a
   *   promise the client waits, nobody else does. What it answers instead, or throws, is return
   *   code 3, server unavailable.
   */
  authenticate(credentials: Credentials): boolean | Promise<boolean>;
  /** Called once, when the shard stops. */
  close?(): void | Promise<void>;
}

/** Makes the authenticator of one shard. */
export type AuthenticatorFactory = () => Authenticator | Promise<Authenticator>;

const registry = new Registry<AuthenticatorFactory>('authenticator');

/**
 * Makes the authenticator that ships under a name, or that of a module whose default export is an
 * AuthenticatorFactory.
 * @throws ConfigError with one line when there is none, it fails, or what it makes is none.
 */
export function createAuthenticator(nameOrSpecifier: string): Promise<Authenticator> {
  return registry.create(nameOrSpecifier, async (factory) => {
    const authenticator: Partial<Authenticator> | null | undefined = await factory();
    if (typeof authenticator?.authenticate === 'function') return authenticator as Authenticator;
    throw new Error('what its factory returns has no function `authenticate`');
  });
}

registry.register('mockSuccess', () => ({ authenticate: () => true }));
registry.register('mockFailure', () => ({ authenticate: () => false }));
