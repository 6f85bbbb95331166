/** Who may connect by a JSON Web Token (RFC 7519), which stands in the place of the password. */
import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import type { Config } from '../base/config.js';
import type { Admission, Credentials, Verdict } from '../base/credentials.js';
import {
  JWKS_AFTER_FAILURE_MS,
  JWKS_AGE_MS_MAX,
  JWKS_COOLDOWN_MS,
  JWT_BYTES_MAX,
  STRING_BYTES_MAX,
} from '../base/limits.js';
import type { Authenticator } from './authenticator.js';
import { fetchText, webServiceOf } from './bounded-fetch.js';
import type { FairQueue } from './fair-queue.js';
import { type JwtKey, PUBLIC_ALGORITHMS } from './jwt-key.js';
import { readWrittenRules } from './written-rules.js';

/** The library, loaded when there is a token: most brokers have none. */
type Jose = typeof import('jose');
/** What it verifies with. */
type VerifyKey = Parameters<Jose['jwtVerify']>[1] | JWTVerifyGetKey;

/** Three parts in base64url, the first of which is an object in JSON (RFC 7515, 7.1). */
const TOKEN = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;
/** The claim with rules of the token's own. */
const RULES_CLAIM = 'acl';

/** Settings of tokens. */
export type JwtConfig = Pick<
  Config,
  'jwtAudience' | 'jwtIssuer' | 'jwtClockToleranceMs' | 'jwtUserClaim' | 'jwtUsername'
>;

/** A web service that has a set of keys. */
export interface KeyService {
  readonly url: string;
  /** Time that it has to answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** Whether a password has the form of a token; then it is none. */
export function isToken(password: Buffer): boolean {
  return password.length <= JWT_BYTES_MAX && TOKEN.test(password.toString('latin1'));
}

export class JwtAuthenticator implements Authenticator {
  readonly #config: JwtConfig;
  readonly #source: JwtKey | KeyService;
  #verifier: Promise<Verifier> | null = null;
  readonly #options: JWTVerifyOptions;
  readonly #queue: FairQueue;

  /** @param key of a file, or the URL of a set of keys, with the time that it has to answer. */
  constructor(config: JwtConfig, key: JwtKey | KeyService, queue: FairQueue) {
    const { jwtAudience: audience, jwtIssuer: issuer, jwtClockToleranceMs } = config;
    this.#config = config;
    this.#queue = queue;
    this.#source = key;
    this.#options = {
      algorithms: [...('url' in key ? PUBLIC_ALGORITHMS : key.algorithms)],
      clockTolerance: jwtClockToleranceMs / 1_000,
    };
    if (audience !== null) this.#options.audience = audience;
    if (issuer !== null) this.#options.issuer = issuer;
  }

  /** What has not the form of a token it leaves to others. */
  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const { password, username } = credentials;
    if (password === null || !isToken(password)) return null;
    const { jwtUsername } = this.#config;
    if (jwtUsername !== null && username !== jwtUsername) return null;
    const token = password.toString('latin1');
    return this.#queue.run(
      credentials.remoteAddress,
      () => credentials.isOver === true,
      () => this.#verify(token),
      () => false,
    );
  }

  /** @throws Error when the keys cannot be had. */
  async #verify(token: string): Promise<Verdict> {
    this.#verifier ??= makeVerifier(this.#source);
    const { jose, key } = await this.#verifier;
    try {
      const { payload } = await jose.jwtVerify(token, key as JWTVerifyGetKey, this.#options);
      return this.#admission(payload);
    } catch (error) {
      if (isOfToken(jose, error)) return false;
      throw error;
    }
  }

  /** Who a token says its bearer is; false for one that does not say it well. */
  #admission(payload: JWTPayload): Admission | false {
    const { jwtUserClaim, jwtClockToleranceMs } = this.#config;
    const claims = payload as Readonly<Record<string, unknown>>;
    const username = Object.hasOwn(claims, jwtUserClaim) ? claims[jwtUserClaim] : undefined;
    if (typeof username !== 'string' || username === '') return false;
    if (Buffer.byteLength(username) > STRING_BYTES_MAX) return false;
    const rules = claims[RULES_CLAIM] === undefined ? null : readWrittenRules(claims[RULES_CLAIM]);
    if (typeof rules === 'string') return false;
    const { exp } = payload;
    const expiresAtMs = exp === undefined ? null : exp * 1_000 + jwtClockToleranceMs;
    return { username, expiresAtMs, rules };
  }
}

/** Whether an error says that the token is no good, rather than that nobody can tell. */
function isOfToken({ errors }: Jose, error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false;
  return !(error instanceof errors.JWKSTimeout) && error.code !== 'ERR_JOSE_GENERIC';
}

/** The library with what it is to verify with. */
interface Verifier {
  readonly jose: Jose;
  readonly key: VerifyKey;
}

async function makeVerifier(source: JwtKey | KeyService): Promise<Verifier> {
  const jose = await import('jose');
  return { jose, key: 'url' in source ? remoteKeys(jose, source) : localKey(jose, source) };
}

function localKey(jose: Jose, key: JwtKey): VerifyKey {
  switch (key.kind) {
    case 'secret':
      return key.secret;
    case 'public':
      return key.key;
    default:
      return jose.createLocalJWKSet(key.keys as Parameters<Jose['createLocalJWKSet']>[0]);
  }
}

/** Keys of a web service: asked again when they are old, or a token names one that is not there. */
function remoteKeys(jose: Jose, { url, timeoutMs }: KeyService): JWTVerifyGetKey {
  const service = webServiceOf(url);
  let failedAt = Number.NEGATIVE_INFINITY;
  return jose.createRemoteJWKSet(new URL(service.url), {
    timeoutDuration: timeoutMs,
    cooldownDuration: JWKS_COOLDOWN_MS,
    cacheMaxAge: JWKS_AGE_MS_MAX,
    [jose.customFetch]: async (_, { signal }) => {
      const now = performance.now();
      if (now - failedAt < JWKS_AFTER_FAILURE_MS) throw new Error('there are no keys just now');
      try {
        return new Response(await fetchText(service, { method: 'GET', signal }));
      } catch (error) {
        failedAt = performance.now();
        throw error;
      }
    },
  });
}
