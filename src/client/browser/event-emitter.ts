/** As much of Node's EventEmitter as the client and its users need, for browsers. */

type Listener = (...values: unknown[]) => void;
/** Arguments of the listeners, by event. */
type EventMap<T> = Record<keyof T, unknown[]>;

/** Tells listeners of events, as Node's does: in order, and those that were there when it began. */
export class EventEmitter<T extends EventMap<T> = Record<string, unknown[]>> {
  readonly #listeners = new Map<unknown, Listener[]>();

  /** Adds a listener; 'newListener' is told before. */
  on<K extends keyof T>(name: K, listener: (...values: T[K]) => void): this {
    this.#emit('newListener', [name, listener]);
    this.#listeners.set(name, [...this.#of(name), listener as unknown as Listener]);
    return this;
  }

  addListener<K extends keyof T>(name: K, listener: (...values: T[K]) => void): this {
    return this.on(name, listener);
  }

  /** Adds a listener that is called once. */
  once<K extends keyof T>(name: K, listener: (...values: T[K]) => void): this {
    const first = Object.assign(
      (...values: T[K]): void => {
        this.off(name, first);
        listener(...values);
      },
      { listener },
    );
    return this.on(name, first);
  }

  /** Removes a listener, the last one that was added as this function. */
  off<K extends keyof T>(name: K, listener: (...values: T[K]) => void): this {
    const listeners = this.#of(name);
    const at = listeners.findLastIndex(
      (one: unknown) => one === listener || (one as { listener?: unknown }).listener === listener,
    );
    if (at >= 0) this.#listeners.set(name, listeners.toSpliced(at, 1));
    return this;
  }

  removeListener<K extends keyof T>(name: K, listener: (...values: T[K]) => void): this {
    return this.off(name, listener);
  }

  /** Removes all listeners, or all of one event. */
  removeAllListeners(name?: keyof T): this {
    if (name === undefined) this.#listeners.clear();
    else this.#listeners.delete(name);
    return this;
  }

  listenerCount(name: keyof T): number {
    return this.#of(name).length;
  }

  /** Calls the listeners. @throws the error of an 'error' that nobody listens to. */
  emit<K extends keyof T>(name: K, ...values: T[K]): boolean {
    if (this.#emit(name, values)) return true;
    if (name === 'error') throw values[0];
    return false;
  }

  #of(name: unknown): readonly Listener[] {
    return this.#listeners.get(name) ?? [];
  }

  #emit(name: unknown, values: unknown[]): boolean {
    const listeners = this.#of(name);
    for (const listener of listeners) listener.apply(this, values);
    return listeners.length > 0;
  }
}
