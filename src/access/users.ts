/** Users with passwords: those of the password file, and those of the configuration. */
import { createHmac } from 'node:crypto';
import { SCRAM_ITERATIONS_MIN } from '../base/limits.js';
import { type ScramKeys, scramKeys } from '../base/scram.js';
import type { UserConfig } from '../base/user-config.js';
import { parsePasswordFile, shown } from './password-file.js';
import { costOf, hashOfNobody, type PasswordHash, parsePasswordHash } from './password-hash.js';
import { scramSecret } from './scram-exchange.js';

const SALT_BYTES = 16;

/** One user. */
export interface User {
  readonly name: string;
  /** Changes with the password: who has been let in with another is not this user any more. */
  readonly stamp: string;
  /** Of a user whose password is known in clear text it is worked out when it is asked for. */
  hash(): PasswordHash | Promise<PasswordHash>;
}

/** All of a configuration. It does not change: a reload makes another. */
export class Users {
  readonly #users: ReadonlyMap<string, User>;
  readonly #nobody: PasswordHash;
  readonly #hasScram: boolean;

  /**
   * @param file text of the password file; empty without one.
   * @param configured of these, the ones with a password.
   */
  constructor(file: string, configured: readonly UserConfig[]) {
    const hashes = new Map(parsePasswordFile(file).users);
    const users = new Map<string, User>();
    const secrets = new Map<string, string>();
    for (const { name, passwordHash, password } of configured) {
      const hash = passwordHash === null ? null : parsePasswordHash(passwordHash);
      if (hash !== null && typeof hash !== 'string') hashes.set(name, hash);
      else if (password !== null) secrets.set(name, password);
    }
    for (const [name, hash] of hashes) {
      users.set(name, { name, stamp: stampOf(JSON.stringify(hash)), hash: () => hash });
    }
    for (const [name, password] of secrets) users.set(name, new ClearTextUser(name, password));
    this.#users = users;
    this.#hasScram = secrets.size > 0 || [...hashes.values()].some(({ kind }) => kind === 'scram');
    this.#nobody = usualNobody([...hashes.values()], secrets.size);
  }

  get size(): number {
    return this.#users.size;
  }

  /** Whether there is anybody who can be authenticated by SCRAM. */
  get hasScram(): boolean {
    return this.#hasScram;
  }

  find(name: string): User | undefined {
    return this.#users.get(name);
  }

  /** The keys of a user for SCRAM; null for one who has none, or whom there is not. */
  async scramKeysOf(name: string): Promise<ScramKeys | null> {
    const hash = await this.find(name)?.hash();
    return hash?.kind === 'scram' ? hash.keys : null;
  }

  /** What is verified for whom there is not: as most users have it, so that it takes as long. */
  get nobody(): PasswordHash {
    return this.#nobody;
  }

  /** Iterations that SCRAM tells whom there is not. */
  get scramIterations(): number {
    return this.#nobody.kind === 'scram' ? this.#nobody.keys.iterations : SCRAM_ITERATIONS_MIN;
  }
}

/** A user whose password stands in the configuration, which is as if it were hashed for SCRAM. */
class ClearTextUser implements User {
  readonly name: string;
  readonly stamp: string;
  readonly #password: string;
  #hash: Promise<PasswordHash> | null = null;

  constructor(name: string, password: string) {
    this.name = name;
    this.stamp = stampOf(password);
    this.#password = password;
  }

  hash(): Promise<PasswordHash> {
    this.#hash ??= this.#derive();
    return this.#hash;
  }

  async #derive(): Promise<PasswordHash> {
    // The same in all shards of a process, so that nobody finds out which of them he is at.
    const salt = createHmac('sha256', scramSecret()).update(`salt:${this.name}`).digest();
    const keys = await scramKeys(
      this.#password,
      salt.subarray(0, SALT_BYTES),
      SCRAM_ITERATIONS_MIN,
    );
    return { kind: 'scram', keys };
  }
}

/** A text that says nothing of what it was made from, as it is kept beside connections. */
function stampOf(secret: string): string {
  return createHmac('sha256', scramSecret()).update(secret).digest('base64');
}

/** A hash of nobody's that costs what most hashes do. */
function usualNobody(hashes: readonly PasswordHash[], secrets: number): PasswordHash {
  const clear: PasswordHash = {
    kind: 'scram',
    keys: {
      salt: scramSecret().subarray(0, SALT_BYTES),
      iterations: SCRAM_ITERATIONS_MIN,
      storedKey: Buffer.alloc(32),
      serverKey: Buffer.alloc(32),
    },
  };
  const counts = new Map<string, { hash: PasswordHash; count: number }>();
  if (secrets > 0) counts.set(costOf(clear), { hash: clear, count: secrets });
  for (const hash of hashes) {
    const known = counts.get(costOf(hash));
    if (known === undefined) counts.set(costOf(hash), { hash, count: 1 });
    else known.count++;
  }
  const [first] = [...counts.values()].sort((a, b) => b.count - a.count);
  return hashOfNobody(first?.hash ?? clear);
}

/** What is wrong with the passwords of configured users, a line each. */
export function userFaults(configured: readonly UserConfig[], file: string): string[] {
  const faults: string[] = [];
  const inFile = parsePasswordFile(file).users;
  for (const { name, passwordHash, password } of configured) {
    const hash = passwordHash === null ? null : parsePasswordHash(passwordHash);
    if (typeof hash === 'string') faults.push(`user ${shown(name)}: passwordHash: ${hash}`);
    if ((passwordHash !== null || password !== null) && inFile.has(name)) {
      faults.push(`user ${shown(name)} has a password here and one in the password file`);
    }
  }
  return faults;
}
