/** Who wants to connect, and who decides about it: types that all layers share. */
import type { AccessRule } from './access-rule.js';

/** Names in the certificate that a client has shown and that was found valid. */
export interface CertificateNames {
  /** CN of its subject; null: it has none. */
  readonly commonName: string | null;
  /** Its subject alternative names, without their kinds, in their order. */
  readonly alternativeNames: readonly string[];
}

/** What a client says of itself in CONNECT, and where it comes from. */
export interface Credentials {
  readonly clientId: string;
  /** Null when CONNECT has no user name. */
  readonly username: string | null;
  /** Null when CONNECT has no password; any bytes otherwise. */
  readonly password: Buffer | null;
  /** Address of the client's end of the connection, as text; empty when it is not known. */
  readonly remoteAddress: string;
  /** URI of the listener that the client came by; empty when it is not known. */
  readonly listener?: string;
  /** Null when the client has shown no certificate. */
  readonly certificate?: CertificateNames | null;
  /** Nobody waits for the answer any more: the client is gone, or was told to come again. */
  readonly isOver?: boolean;
}

/** A client is let in, as somebody. */
export interface Admission {
  /** The user it is, for rules, limits and logs; null: anonymous. */
  readonly username: string | null;
  /** When its connection is closed, in milliseconds since 1970; null: never. */
  readonly expiresAtMs: number | null;
  /** Rules of its own, which stand in the place of those of its user; null: it has none. */
  readonly rules: readonly AccessRule[] | null;
}

/** What an authenticator of a chain says: null leaves the decision to the next one. */
export type Verdict = boolean | Admission | null;

/**
 * Decides about a CONNECT.
 * @returns true or an Admission to accept; false for CONNACK return code 5 (4 when there are
 *   credentials); null to leave it to the next authenticator, and with none left to refuse. With a
 *   promise the client waits, nobody else does. What it answers instead, or throws, is return
 *   code 3, server unavailable; so is no answer within `authTimeout`.
 */
export type Authenticate = (credentials: Credentials) => Verdict | Promise<Verdict>;

/** The name in the configuration of an authenticator that is a function of the program's. */
export const PROGRAM_AUTHENTICATOR = 'the function of this program';
/** The name in the configuration of whatever there is something configured for. */
export const AUTO_AUTHENTICATORS = 'auto';
