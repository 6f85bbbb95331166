/** Who may connect is what a web service says: asked for each CONNECT, by POST with JSON. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Admission, Credentials, Verdict } from '../base/credentials.js';
import { HTTP_CACHE_ENTRIES_MAX } from '../base/limits.js';
import { isOver, readAdmission } from './admission.js';
import type { Authenticator } from './authenticator.js';
import { fetchText, type WebService, webServiceOf } from './bounded-fetch.js';
import type { FairQueue } from './fair-queue.js';
import { readWrittenRules } from './written-rules.js';

const KEY_BYTES = 32;

/** What the service is, and how it is asked. */
export interface HttpConfig {
  readonly url: string;
  /** Time that it has to answer, in milliseconds. */
  readonly timeoutMs: number;
  /** Time for which it is believed without being asked again, in milliseconds; 0: none. */
  readonly cacheMs: number;
}

/** Somebody whom the service has let in. */
interface Known {
  readonly admission: Admission;
  readonly until: number;
}

export class HttpAuthenticator implements Authenticator {
  readonly #service: WebService;
  readonly #config: HttpConfig;
  readonly #queue: FairQueue;
  readonly #clock: () => number;
  /** Digests are worth nothing outside of this thread. */
  readonly #cacheKey = randomBytes(KEY_BYTES);
  /** By the digest of the question, the oldest first. */
  readonly #known = new Map<string, Known>();

  constructor(config: HttpConfig, queue: FairQueue, clock: () => number = () => performance.now()) {
    this.#service = webServiceOf(config.url);
    this.#config = config;
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Rejects when the service does not answer as it should: nobody is let in then. */
  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const question = questionOf(credentials);
    const digest = createHmac('sha256', this.#cacheKey).update(question).digest('base64');
    const known = this.#known.get(digest);
    const isKnown = known !== undefined && known.until > this.#clock();
    // Who was let in until now may be let in again.
    if (isKnown && !isOver(known.admission)) return known.admission;
    return this.#queue.run(
      credentials.remoteAddress,
      () => credentials.isOver === true,
      () => this.#ask(question, digest, credentials.username),
      () => false,
    );
  }

  async #ask(question: string, digest: string, username: string | null): Promise<Verdict> {
    const signal = AbortSignal.timeout(this.#config.timeoutMs);
    const text = await fetchText(this.#service, { method: 'POST', body: question, signal });
    const verdict = readVerdict(text, username);
    if (typeof verdict === 'object' && verdict !== null) this.#note(digest, verdict);
    return verdict;
  }

  #note(digest: string, admission: Admission): void {
    const { cacheMs } = this.#config;
    if (cacheMs === 0) return;
    this.#known.delete(digest);
    this.#known.set(digest, { admission, until: this.#clock() + cacheMs });
    if (this.#known.size <= HTTP_CACHE_ENTRIES_MAX) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

/** All that is known of a client. A password that is no text is told in base64. */
function questionOf(credentials: Credentials): string {
  const { clientId, username, password, remoteAddress } = credentials;
  const { listener = '', certificate = null } = credentials;
  const text = password?.toString('utf8') ?? null;
  const isText = text === null || Buffer.from(text, 'utf8').equals(password!);
  return JSON.stringify({
    clientId,
    username,
    password: isText ? text : null,
    ...(isText ? {} : { passwordBase64: password!.toString('base64') }),
    remoteAddress,
    listener,
    certificate,
  });
}

/**
 * `{ "allow": true | false | null, "username"?, "expiresAt"?, "rules"? }`, with a time in seconds
 * since 1970, as tokens have it.
 * @throws Error for an answer that is none.
 */
function readVerdict(text: string, asked: string | null): Verdict {
  const fault = (what: string): Error => new Error(`the answer of the web service ${what}`);
  let answer: Readonly<Record<string, unknown>> | null;
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw fault('is no JSON');
  }
  const allow = answer?.allow;
  if (allow === false || allow === null) return allow;
  if (allow !== true) throw fault('does not say whether to allow it');
  const { username = asked, expiresAt = null, rules: written = null } = answer ?? {};
  const rules = written === null ? null : readWrittenRules(written);
  if (typeof rules === 'string') throw fault(`is wrong: ${rules}`);
  const expiresAtMs = typeof expiresAt === 'number' ? expiresAt * 1_000 : expiresAt;
  const admission = readAdmission({ username, expiresAtMs, rules });
  if (admission === undefined) throw fault('has a user name or a time that is none');
  return admission;
}
