/**
 * Credentials that have been verified: who comes back with them is not hashed again. When a broken
 * network mends, all clients come at once, and hashing is what would take long.
 *
 * It is safe, since a digest is made with a key that only this thread has, and only for as long as
 * it runs; over name, password and stored hash, so that it is worth nothing when one of them
 * changes; and is noted only when the hash itself has been verified. A client learns by it that
 * what it said was right, which it is told anyway.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { VERIFIED_MAX } from '../base/limits.js';

const KEY_BYTES = 32;

/** One a shard and configuration. */
export class Verified {
  readonly #key = randomBytes(KEY_BYTES);
  /** The oldest first. */
  readonly #digests = new Set<string>();

  /** The digest of what a client says. @param stamp of the user as it is stored. */
  digestOf(username: string, password: Buffer, stamp: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([username, stamp]))
      .update('\0')
      .update(password)
      .digest('base64');
  }

  has(digest: string): boolean {
    return this.#digests.has(digest);
  }

  add(digest: string): void {
    this.#digests.add(digest);
    if (this.#digests.size <= VERIFIED_MAX) return;
    for (const oldest of this.#digests) {
      this.#digests.delete(oldest);
      return;
    }
  }
}
