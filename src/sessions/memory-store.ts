/** The shipped sessions provider, `mem`: sessions live as long as their shard. */
import type { SessionStore } from './session-store.js';

/** Sessions by client id in the shard's memory. */
export class MemoryStore<S> implements SessionStore<S> {
  readonly #sessions = new Map<string, S>();

  get count(): number {
    return this.#sessions.size;
  }

  get(clientId: string): S | undefined {
    return this.#sessions.get(clientId);
  }

  set(clientId: string, session: S): void {
    this.#sessions.set(clientId, session);
  }

  delete(clientId: string): boolean {
    return this.#sessions.delete(clientId);
  }

  entries(): Iterable<readonly [clientId: string, session: S]> {
    return this.#sessions.entries();
  }

  close(): void {
    this.#sessions.clear();
  }
}
