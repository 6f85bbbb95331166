/** Settings of who may connect, and who may do what; part of the table in settings-table.ts. */
import type { Config, SettingValues } from './config.js';
import { AUTO_AUTHENTICATORS, PROGRAM_AUTHENTICATOR } from './credentials.js';
import { AUTHENTICATION_SETTINGS, SETTING_TEXT_BYTES_MAX } from './limits.js';
import { providerName } from './provider-name.js';
import type { Relation } from './settings.js';
import type { ServerSetting } from './settings-table.js';
import type { ValueType } from './value-type.js';
import * as type from './value-type.js';
import { withoutPassword } from './without-password.js';

/** Their names in the configuration. */
export type AccessSetting =
  | 'auth'
  | 'allowAnonymous'
  | 'aclFile'
  | 'passwordFile'
  | 'jwtKey'
  | 'jwtJwksUrl'
  | 'jwtAudience'
  | 'jwtIssuer'
  | 'jwtClockToleranceMs'
  | 'jwtUserClaim'
  | 'jwtUsername'
  | 'authHttp'
  | 'authHttpTimeoutMs'
  | 'authHttpCacheMs';

const oneAuthenticator = providerName([
  ...[AUTO_AUTHENTICATORS, 'certificate', 'password', 'jwt', 'http'],
  ...['mockSuccess', 'mockFailure'],
]);

/** What an item of a list of authenticators is, and which of them are none. */
function itemsOf(given: unknown): readonly unknown[] {
  if (typeof given === 'string') return given.split(',');
  return Array.isArray(given) ? given : [given];
}

function readAuthenticator(given: unknown): string | undefined {
  return typeof given === 'function' ? PROGRAM_AUTHENTICATOR : oneAuthenticator.read(given);
}

/** One or more, by commas or in a list; a program may also give a function. */
const authenticators: ValueType<readonly string[]> = {
  allowed: `one or more, by commas, of ${oneAuthenticator.allowed}; in a program also a function`,
  placeholder: 'provider,…',
  read(given) {
    const names: string[] = [];
    for (const item of itemsOf(given)) {
      const name = readAuthenticator(item);
      if (name === undefined || names.includes(name)) return undefined;
      names.push(name);
    }
    const isAutoAmongOthers = names.length > 1 && names.includes(AUTO_AUTHENTICATORS);
    return names.length === 0 || isAutoAmongOthers ? undefined : names;
  },
  why(given) {
    const wrong = itemsOf(given).find((item) => readAuthenticator(item) === undefined);
    if (wrong !== undefined) return oneAuthenticator.why?.(wrong);
    return `each authenticator once, and ${AUTO_AUTHENTICATORS} alone`;
  },
  show: (names) => names.join(','),
};

const textOrNone = type.textOrNone(SETTING_TEXT_BYTES_MAX);
const yesOrNo = type.trueOrFalse();
/** True, false, or null: nothing is said. */
const allowAnonymous: ValueType<boolean | null> = {
  allowed: 'auto, true or false',
  placeholder: '',
  read(given) {
    const isAuto = typeof given === 'string' && given.trim().toLowerCase() === 'auto';
    return isAuto ? null : yesOrNo.read(given);
  },
  show: (value) => (value === null ? 'auto' : String(value)),
};

/** The URL of a web service. What is between // and @ in it is not shown. */
const webUrl: ValueType<string | null> = {
  allowed: 'none, or a URL that begins with http:// or https://',
  placeholder: 'url',
  read(given) {
    const text = textOrNone.read(given);
    if (text === null || text === undefined) return text;
    return /^https?:\/\//i.test(text) && URL.canParse(text) ? text : undefined;
  },
  show: (value) => (value === null ? 'none' : withoutPassword(value)),
};

/** The name of a claim. */
const claimName: ValueType<string> = {
  ...textOrNone,
  allowed: 'the name of a claim',
  read: (given) => textOrNone.read(given) ?? undefined,
};

export const ACCESS_SETTINGS: { readonly [K in AccessSetting]: ServerSetting<Config[K]> } = {
  auth: {
    environment: 'SURGEMQ_AUTH',
    flag: 'auth',
    option: 'authenticator',
    type: authenticators,
    default: AUTO_AUTHENTICATORS,
    restart: true,
    summary:
      'Who may connect: authenticators in the order in which they are asked; `auto` asks those ' +
      'that something is configured for.',
  },
  allowAnonymous: {
    environment: 'SURGEMQ_ALLOW_ANONYMOUS',
    flag: 'allow-anonymous',
    option: 'allowAnonymous',
    type: allowAnonymous,
    default: 'auto',
    summary:
      'Whether clients without user name and password are let in; `auto` lets them in at ' +
      'addresses that only this machine reaches, as long as no authenticator is configured.',
  },
  passwordFile: {
    environment: 'SURGEMQ_PASSWORD_FILE',
    flag: 'password-file',
    option: 'passwordFile',
    type: textOrNone,
    default: 'none',
    summary: 'Password file of Mosquitto, or as `surgemq passwd` makes it: who may connect.',
  },
  jwtKey: {
    environment: 'SURGEMQ_JWT_KEY',
    flag: 'jwt-key',
    option: 'jwtKey',
    type: textOrNone,
    default: 'none',
    summary:
      'File with the key that JSON Web Tokens are verified with, which clients have as password: ' +
      'a public key or certificate (PEM), a set of public keys (JWKS), or else a secret.',
  },
  jwtJwksUrl: {
    environment: 'SURGEMQ_JWT_JWKS_URL',
    flag: 'jwt-jwks-url',
    option: 'jwtJwksUrl',
    type: webUrl,
    default: 'none',
    summary: 'URL of a set of keys (JWKS) for tokens, in the place of a file.',
  },
  jwtAudience: {
    environment: 'SURGEMQ_JWT_AUDIENCE',
    flag: 'jwt-audience',
    option: 'jwtAudience',
    type: textOrNone,
    default: 'none',
    summary: 'Audience (`aud`) that a token must name.',
  },
  jwtIssuer: {
    environment: 'SURGEMQ_JWT_ISSUER',
    flag: 'jwt-issuer',
    option: 'jwtIssuer',
    type: textOrNone,
    default: 'none',
    summary: 'Issuer (`iss`) that a token must name.',
  },
  jwtClockToleranceMs: {
    environment: 'SURGEMQ_JWT_CLOCK_TOLERANCE',
    flag: 'jwt-clock-tolerance',
    option: 'jwtClockTolerance',
    type: type.duration(AUTHENTICATION_SETTINGS.jwtClockToleranceMs, 1),
    default: type.showDuration(AUTHENTICATION_SETTINGS.jwtClockToleranceMs.default),
    summary: 'How far the clock here and that of whoever makes tokens may be apart.',
  },
  jwtUserClaim: {
    environment: 'SURGEMQ_JWT_USER_CLAIM',
    flag: 'jwt-user-claim',
    option: 'jwtUserClaim',
    type: claimName,
    default: 'sub',
    summary: 'Claim of a token that is the user name.',
  },
  jwtUsername: {
    environment: 'SURGEMQ_JWT_USERNAME',
    flag: 'jwt-username',
    option: 'jwtUsername',
    type: textOrNone,
    default: 'none',
    summary:
      'User name of clients whose password is a token, such as `jwt`; with `none` that is any, ' +
      'or none.',
  },
  authHttp: {
    environment: 'SURGEMQ_AUTH_HTTP',
    flag: 'auth-http',
    option: 'authHttp',
    type: webUrl,
    default: 'none',
    summary: 'URL of a web service that is asked who may connect, by POST with JSON.',
  },
  authHttpTimeoutMs: {
    environment: 'SURGEMQ_AUTH_HTTP_TIMEOUT',
    flag: 'auth-http-timeout',
    option: 'authHttpTimeout',
    type: type.duration(AUTHENTICATION_SETTINGS.authHttpTimeoutMs, 1),
    default: type.showDuration(AUTHENTICATION_SETTINGS.authHttpTimeoutMs.default),
    summary: 'Time that this service, and that of the keys of tokens, has to answer.',
  },
  authHttpCacheMs: {
    environment: 'SURGEMQ_AUTH_HTTP_CACHE',
    flag: 'auth-http-cache',
    option: 'authHttpCache',
    type: type.duration(AUTHENTICATION_SETTINGS.authHttpCacheMs, 1),
    default: type.showDuration(AUTHENTICATION_SETTINGS.authHttpCacheMs.default),
    summary: 'Time for which a client that it let in is not asked about again; 0 is none.',
  },
  aclFile: {
    environment: 'SURGEMQ_ACL_FILE',
    flag: 'acl-file',
    option: 'aclFile',
    type: textOrNone,
    default: 'none',
    summary:
      'Path of a file in the form of Mosquitto’s `acl_file`: who may publish and read what; ' +
      'with one, what it does not allow is denied.',
  },
};

/** What must hold between them. */
export const ACCESS_RELATIONS: readonly Relation<SettingValues>[] = [
  {
    settings: ['jwtKey', 'jwtJwksUrl'],
    severity: 'fault',
    check: ({ jwtKey, jwtJwksUrl }) =>
      jwtKey !== null && jwtJwksUrl !== null ? 'the keys come from one of them' : undefined,
  },
  {
    settings: ['auth', 'jwtKey', 'jwtJwksUrl'],
    severity: 'fault',
    check: ({ auth, jwtKey, jwtJwksUrl }) =>
      auth.includes('jwt') && jwtKey === null && jwtJwksUrl === null
        ? 'there is no key for jwt'
        : undefined,
  },
  {
    settings: ['auth', 'authHttp'],
    severity: 'fault',
    check: ({ auth, authHttp }) =>
      auth.includes('http') && authHttp === null ? 'http has no URL to ask' : undefined,
  },
];
