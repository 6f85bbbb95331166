/** Which authenticators a configuration asks, in which order. */
import type { Config } from '../base/config.js';
import { AUTO_AUTHENTICATORS } from '../base/credentials.js';

/** Lets in everybody, so it decides about nobody. */
const EVERYBODY = 'mockSuccess';

/** Those that are made of the configuration: it says whom they let in. */
export const CONFIGURED_AUTHENTICATORS = ['certificate', 'password', 'jwt', 'http'] as const;
export type ConfiguredAuthenticator = (typeof CONFIGURED_AUTHENTICATORS)[number];

/**
 * Names of the authenticators in the order in which they are asked; with `auto` those that there
 * is something configured for, and none when there is nothing.
 */
export function authenticatorNames(config: Config): readonly string[] {
  const { auth } = config;
  const isAuto = auth.length === 1 && auth[0] === AUTO_AUTHENTICATORS;
  return isAuto ? CONFIGURED_AUTHENTICATORS.filter((name) => isConfigured(name, config)) : auth;
}

/** Whether somebody turns away clients whom nobody knows. */
export function doesAnybodyDecide(names: readonly string[]): boolean {
  return names.length > 0 && !names.includes(EVERYBODY);
}

/** Whether an authenticator is one of those that the configuration makes. */
export function isConfiguredKind(name: string): name is ConfiguredAuthenticator {
  return (CONFIGURED_AUTHENTICATORS as readonly string[]).includes(name);
}

function isConfigured(name: ConfiguredAuthenticator, config: Config): boolean {
  const { passwordFile, users, jwtKey, jwtJwksUrl, authHttp } = config;
  switch (name) {
    case 'certificate':
      return isNameTaken(config);
    case 'password':
      return (
        passwordFile !== null ||
        users.some((user) => user.password !== null || user.passwordHash !== null)
      );
    case 'jwt':
      return jwtKey !== null || jwtJwksUrl !== null;
    default:
      return authHttp !== null;
  }
}

/** Whether some listener takes the user name from certificates, or one that is added would. */
function isNameTaken({ listeners, tlsClientCertUsername }: Config): boolean {
  const isTaken = listeners.some(({ tls }) => (tls?.usernameFrom ?? null) !== null);
  return isTaken || tlsClientCertUsername !== null;
}
