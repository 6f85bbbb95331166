/** Users as the configuration has them, beside those of a password file: plain data. */
import type { AccessRule } from './access-rule.js';
import type { UserOwnSettings } from './client-settings.js';

/** One user. */
export interface UserConfig {
  /** The user name of CONNECT. */
  readonly name: string;
  /** Its password, hashed as in a password file (`$7$…`); null: `password` has it, or nothing. */
  readonly passwordHash: string | null;
  /** Its password in clear text; null: `passwordHash` has it, or it comes in by a certificate. */
  readonly password: string | null;
  /** What it may do, before the rules for all; null: what those say. */
  readonly rules: readonly AccessRule[] | null;
  /** Connections that it may have, 0 for any number; null: as `maxConnectionsPerUser` says. */
  readonly maxConnections: number | null;
  /** Its own values of settings. */
  readonly ownSettings: UserOwnSettings;
}
