/** Who may connect by user name and password: in CONNECT, or proved by SCRAM-SHA-256. */
import type { Credentials, Verdict } from '../base/credentials.js';
import { SCRAM_SHA_256 } from '../base/scram.js';
import { KnownAdmission } from './admission.js';
import type { Authenticator, EnhancedCredentials, ServerExchange } from './authenticator.js';
import type { FairQueue } from './fair-queue.js';
import { verifyPassword } from './password-hash.js';
import { scramSha256Exchange } from './scram-exchange.js';
import type { User, Users } from './users.js';
import { Verified } from './verified.js';

export class PasswordAuthenticator implements Authenticator {
  readonly users: Users;
  readonly #queue: FairQueue;
  readonly #isLeft: (password: Buffer) => boolean;
  readonly #verified = new Verified();

  /**
   * @param queue where hashing waits for its turn.
   * @param isLeft passwords that are somebody else's to check, such as tokens.
   */
  constructor(users: Users, queue: FairQueue, isLeft: (password: Buffer) => boolean = () => false) {
    this.users = users;
    this.#queue = queue;
    this.#isLeft = isLeft;
  }

  /** Whom it does not know it leaves to others, after as long as it takes to refuse a user. */
  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const { username, password } = credentials;
    if (username === null || password === null || this.#isLeft(password)) return null;
    const user = this.users.find(username);
    const stamp = user?.stamp ?? '';
    const digest = this.#verified.digestOf(username, password, stamp);
    if (user !== undefined && this.#verified.has(digest)) return admissionOf(user);
    return this.#verify(credentials, password, user, digest);
  }

  begin({ method }: EnhancedCredentials): ServerExchange | null {
    const { users } = this;
    if (method !== SCRAM_SHA_256 || !users.hasScram) return null;
    return scramSha256Exchange((name) => users.scramKeysOf(name), {
      iterations: users.scramIterations,
      admit: (name) => new KnownAdmission(name, users.find(name)?.stamp ?? ''),
    });
  }

  knows(username: string, stamp: string): boolean {
    return this.users.find(username)?.stamp === stamp;
  }

  async #verify(
    credentials: Credentials,
    password: Buffer,
    user: User | undefined,
    digest: string,
  ): Promise<Verdict> {
    const isRight = await this.#queue.run(
      credentials.remoteAddress,
      () => credentials.isOver === true,
      async () => verifyPassword((await user?.hash()) ?? this.users.nobody, password),
      (answer) => !answer,
    );
    if (user === undefined || isRight === null) return null;
    if (!isRight) return false;
    this.#verified.add(digest);
    return admissionOf(user);
  }
}

function admissionOf({ name, stamp }: User): KnownAdmission {
  return new KnownAdmission(name, stamp);
}
