/** Makes the chain of authenticators that a configuration asks. */
import type { Config } from '../base/config.js';
import {
  HASHES_AT_ONCE,
  QUESTIONS_WAITING_MAX,
  QUESTIONS_WAITING_PER_ADDRESS_MAX,
  TOKENS_AT_ONCE,
  WEB_QUESTIONS_AT_ONCE,
  WEB_QUESTIONS_PER_ADDRESS,
} from '../base/limits.js';
import type { Materials } from '../base/materials.js';
import { AnonymousClients, type FindListener } from './anonymous.js';
import type { Authenticator } from './authenticator.js';
import {
  authenticatorNames,
  type ConfiguredAuthenticator,
  isConfiguredKind,
} from './authenticator-names.js';
import { CertificateAuthenticator } from './certificate-authenticator.js';
import { Chain } from './chain.js';
import { FairQueue } from './fair-queue.js';
import { HttpAuthenticator } from './http-authenticator.js';
import { isToken, JwtAuthenticator, type KeyService } from './jwt-authenticator.js';
import { type JwtKey, readJwtKey } from './jwt-key.js';
import { PasswordAuthenticator } from './password-authenticator.js';
import { Users } from './users.js';

/** Where questions of a shard wait for their turn: they outlive a configuration. */
export class AuthenticationQueues {
  readonly hashes: FairQueue;
  readonly tokens: FairQueue;
  readonly web: FairQueue;

  /** @param shardCount shards of the process, which share its threads for hashing. */
  constructor(shardCount: number) {
    const waiting = {
      waitingMax: QUESTIONS_WAITING_MAX,
      waitingPerAddressMax: QUESTIONS_WAITING_PER_ADDRESS_MAX,
    };
    const hashes = Math.max(1, Math.floor(HASHES_AT_ONCE / shardCount));
    this.hashes = new FairQueue({ ...waiting, atOnce: hashes, atOncePerAddress: 1 });
    const tokens = { atOnce: TOKENS_AT_ONCE, atOncePerAddress: TOKENS_AT_ONCE };
    this.tokens = new FairQueue({ ...waiting, ...tokens });
    const web = { atOnce: WEB_QUESTIONS_AT_ONCE, atOncePerAddress: WEB_QUESTIONS_PER_ADDRESS };
    this.web = new FairQueue({ ...waiting, ...web });
  }

  /** Nothing is asked any more. */
  close(): void {
    for (const queue of [this.hashes, this.tokens, this.web]) queue.close();
  }
}

/**
 * @param others authenticators that are not made of the configuration, by their names in it.
 * @param materials with what the files of the configuration hold, checked.
 */
export function makeChain(
  config: Config,
  materials: Materials,
  others: ReadonlyMap<string, Authenticator>,
  queues: AuthenticationQueues,
  findListener: FindListener,
): Chain {
  const names = authenticatorNames(config);
  const areTokens = names.includes('jwt');
  const links = names.map((name) =>
    isConfiguredKind(name)
      ? configured(name, { config, materials, queues, findListener, areTokens })
      : others.get(name)!,
  );
  return new Chain(links, new AnonymousClients(config, findListener));
}

interface Parts {
  readonly config: Config;
  readonly materials: Materials;
  readonly queues: AuthenticationQueues;
  readonly findListener: FindListener;
  /** Passwords that are tokens are another authenticator's. */
  readonly areTokens: boolean;
}

function configured(name: ConfiguredAuthenticator, parts: Parts): Authenticator {
  const { config, materials, queues, findListener, areTokens } = parts;
  const textOf = (path: string | null): string => (path && materials.get(path)) ?? '';
  switch (name) {
    case 'certificate':
      return new CertificateAuthenticator(findListener);
    case 'password': {
      const users = new Users(textOf(config.passwordFile), config.users);
      return new PasswordAuthenticator(users, queues.hashes, areTokens ? isToken : undefined);
    }
    case 'jwt':
      return new JwtAuthenticator(config, keyOf(config, textOf(config.jwtKey)), queues.tokens);
    default:
      return new HttpAuthenticator(
        {
          url: config.authHttp!,
          timeoutMs: config.authHttpTimeoutMs,
          cacheMs: config.authHttpCacheMs,
        },
        queues.web,
      );
  }
}

function keyOf(config: Config, text: string): JwtKey | KeyService {
  const { jwtJwksUrl: url, authHttpTimeoutMs: timeoutMs } = config;
  if (url !== null) return { url, timeoutMs };
  const key = readJwtKey(text);
  if (typeof key !== 'string') return key;
  // It was checked before it came here: whatever this is, it verifies nothing.
  return { kind: 'set', keys: { keys: [] }, algorithms: [] };
}
