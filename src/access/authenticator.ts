/** Who may connect: the auth provider, called once for each CONNECT. */
import type { Admission, Credentials, Verdict } from '../base/credentials.js';
import { Registry } from '../base/registry.js';

/** Decides about a CONNECT. One is made in each shard. */
export interface Authenticator {
  /** Answers at once or by a promise: see Authenticate. */
  authenticate(credentials: Credentials): Verdict | Promise<Verdict>;
  /**
   * Begins enhanced authentication [MQTT 5.0, 4.12], of a CONNECT that names an Authentication
   * Method, which is not shown to `authenticate` then, and again when its client wants that on the
   * connection. Without it every method is refused.
   * @returns null for a method that it does not have.
   */
  begin?(credentials: EnhancedCredentials): ServerExchange | null;
  /** Called once, when the shard stops. */
  close?(): void | Promise<void>;
}

/** Credentials of a client that wants to be authenticated by a method of its own choice. */
export interface EnhancedCredentials extends Credentials {
  /** Authentication Method, such as `SCRAM-SHA-256`. */
  readonly method: string;
}

/** One enhanced authentication. */
export interface ServerExchange {
  /**
   * Answers Authentication Data of the client, null for none: those of CONNECT first, or of the
   * AUTH that begins anew. What it throws, and no answer within `authTimeout` of the whole
   * exchange, tells the client that the server is unavailable.
   */
  continue(data: Buffer | null): AuthenticationVerdict | Promise<AuthenticationVerdict>;
  /** Called once: it is over, however it went. */
  end?(): void;
}

/** What an exchange says of what it was given. */
export interface AuthenticationVerdict {
  /** `continue`: the client is to answer the data. */
  readonly result: 'accept' | 'refuse' | 'continue';
  /** Authentication Data for the client; none where it is refused. */
  readonly data?: Uint8Array | null | undefined;
  /** Who is accepted; without it, whoever the user name of CONNECT says. */
  readonly admission?: Admission | null | undefined;
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
