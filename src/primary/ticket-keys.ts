/** What all shards make session tickets with: a client may come back to any of them. */
import { randomBytes } from 'node:crypto';
import { TLS_TICKET_KEY_BYTES, TLS_TICKET_KEY_MS } from '../base/limits.js';

/** One a broker. Tickets made with keys of before are good no more: a whole handshake follows. */
export class TicketKeys {
  #keys: Uint8Array = randomBytes(TLS_TICKET_KEY_BYTES);
  readonly #timer: NodeJS.Timeout;

  /**
   * @param onRotated called with new keys, which are in force from then on.
   * @param intervalMs between them; tests have no time.
   */
  constructor(onRotated: (keys: Uint8Array) => void, intervalMs: number = TLS_TICKET_KEY_MS) {
    this.#timer = setInterval(() => {
      this.#keys = randomBytes(TLS_TICKET_KEY_BYTES);
      onRotated(this.#keys);
    }, intervalMs);
    this.#timer.unref();
  }

  get keys(): Uint8Array {
    return this.#keys;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
