/** Events of a client, told so that what a listener throws harms nobody but the program. */
import type { EventEmitter } from 'node:events';
import type { ClientEvents } from './client-events.js';

/** Tells the listeners of one client. */
export class Announcer {
  readonly #emitter: EventEmitter<ClientEvents>;

  constructor(emitter: EventEmitter<ClientEvents>) {
    this.#emitter = emitter;
  }

  /** Calls the listeners of an event. What one throws becomes an uncaught exception, later. */
  tell<K extends keyof ClientEvents>(name: K, ...values: ClientEvents[K]): void {
    try {
      (this.#emitter as EventEmitter).emit(name, ...values);
    } catch (error) {
      throwLater(error);
    }
  }

  /** Tells listeners of an error, if there are any. */
  error(error: unknown): void {
    if (this.#emitter.listenerCount('error') > 0) this.tell('error', error);
  }

  /** A fault of the user's code, never to be lost: without listener an uncaught exception. */
  handlerError(error: unknown): void {
    if (this.#emitter.listenerCount('error') > 0) this.error(error);
    else throwLater(error);
  }
}

/**
 * Throws where nothing of ours is on the stack: an uncaught exception, as from any event listener.
 */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
