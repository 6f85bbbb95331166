/** Authenticators one behind the other: each is asked about whom those before it leave to it. */
import type { Admission, Credentials, Verdict } from '../base/credentials.js';
import { KnownAdmission, UNASKED } from './admission.js';
import type { AnonymousClients } from './anonymous.js';
import type { Authenticator, EnhancedCredentials, ServerExchange } from './authenticator.js';

/** An authenticator in a chain. */
interface Link extends Authenticator {
  /** Whether it knows a user with the password of this stamp. */
  knows?(username: string, stamp: string): boolean;
}

/** One a shard and configuration. */
export class Chain implements Authenticator {
  readonly #links: readonly Link[];
  readonly #anonymous: AnonymousClients;

  /** @param links empty: clients are anonymous, whatever they say of themselves. */
  constructor(links: readonly Link[], anonymous: AnonymousClients) {
    this.#links = links;
    this.#anonymous = anonymous;
  }

  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const isNobody =
      isWithoutCredentials(credentials) && (credentials.certificate ?? null) === null;
    if (isNobody && this.#anonymous.areRefused(credentials.listener)) return false;
    return this.#askFrom(0, credentials);
  }

  begin(credentials: EnhancedCredentials): ServerExchange | null {
    for (const link of this.#links) {
      const exchange = link.begin?.(credentials) ?? null;
      if (exchange !== null) return exchange;
    }
    return null;
  }

  /**
   * Whether somebody who was let in before would be let in still, as far as that can be told
   * without asking: a user has its password, nobody is nobody.
   * @param listener that it came by.
   */
  isStillAllowed(admission: Admission, listener: string): boolean {
    if (admission === UNASKED) return this.#anonymous.areAllowed(listener);
    if (!(admission instanceof KnownAdmission)) return true;
    const { username, stamp } = admission;
    return this.#links.some((link) => link.knows?.(username, stamp) ?? false);
  }

  async close(): Promise<void> {
    for (const link of this.#links) await link.close?.();
  }

  /** At once as long as they answer at once. What is no verdict is the caller's to find. */
  #askFrom(first: number, credentials: Credentials): Verdict | Promise<Verdict> {
    for (let at = first; at < this.#links.length; at++) {
      const verdict = this.#links[at].authenticate(credentials);
      if (verdict === null) continue;
      return typeof verdict === 'object' ? this.#askOn(at + 1, verdict, credentials) : verdict;
    }
    return this.#whenNobodyKnows(credentials);
  }

  /** What has answered with an object may have answered with a promise, of anything. */
  async #askOn(next: number, answer: object, credentials: Credentials): Promise<Verdict> {
    const verdict = (await answer) as Verdict;
    return verdict === null && !credentials.isOver ? this.#askFrom(next, credentials) : verdict;
  }

  #whenNobodyKnows(credentials: Credentials): Verdict {
    // Who says who it is where somebody could have known it is not let in as nobody.
    if (this.#links.length > 0 && !isWithoutCredentials(credentials)) return false;
    return this.#anonymous.areAllowed(credentials.listener) ? UNASKED : false;
  }
}

function isWithoutCredentials({ username, password }: Credentials): boolean {
  return username === null && password === null;
}
