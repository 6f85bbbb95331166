/** Who wants to connect, and who decides about it: types that all layers share. */

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

/**
 * Decides about a CONNECT.
 * @returns true to accept; false for CONNACK return code 5 (4 when a user name was given). With a
 *   promise the client waits, nobody else does. What it answers instead, or throws, is return
 *   code 3, server unavailable; so is no answer within `authTimeout`.
 */
export type Authenticate = (credentials: Credentials) => boolean | Promise<boolean>;

/** The name in the configuration of an authenticator that is a function of the program's. */
export const PROGRAM_AUTHENTICATOR = 'the function of this program';
