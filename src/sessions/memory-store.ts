/** The shipped sessions provider, `mem`: sessions live as long as their shard. */
import { tableKey } from '../base/table-key.js';
import type { SessionStore } from './session-store.js';

/** Sessions by client id in the shard's memory. */
export class MemoryStore<S> implements SessionStore<S> {
  readonly #sessions = new Map<string, S>();
  /** Client ids that are not their own keys: very long ones. */
  readonly #longIds = new Map<string, string>();

  get count(): number {
    return this.#sessions.size;
  }

  get(clientId: string): S | undefined {
    return this.#sessions.get(tableKey(clientId));
  }

  set(clientId: string, session: S): void {
    const key = tableKey(clientId);
    this.#sessions.set(key, session);
    if (key !== clientId) this.#longIds.set(key, clientId);
  }

  delete(clientId: string): boolean {
    const key = tableKey(clientId);
    if (key !== clientId) this.#longIds.delete(key);
    return this.#sessions.delete(key);
  }

  *entries(): Iterable<readonly [clientId: string, session: S]> {
    for (const [key, session] of this.#sessions) {
      yield [this.#longIds.get(key) ?? key, session];
    }
  }

  close(): void {
    this.#sessions.clear();
    this.#longIds.clear();
  }
}
