/** Who may connect: the auth provider, called once for each CONNECT. */
import type { Credentials } from '../base/credentials.js';
import { Registry } from '../base/registry.js';

/** Decides about a CONNECT. One is made in each shard. */
export interface Authenticator {
  /** Answers at once or by a promise: see Authenticate. */
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
