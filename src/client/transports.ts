/** The transports of one client: which its URI asks for, and what they hand on to each other. */
import type { ProtocolLevel } from './handshake.js';
import type { ClientSettings } from './options.js';
import { openSocket, openTls, type TlsMemory } from './socket-transport.js';
import type { Transport, TransportOwner } from './transport.js';
import { WsTransport } from './ws-transport.js';

export class Transports {
  readonly #settings: ClientSettings;
  readonly #memory: TlsMemory = { session: null };

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /** Begins a connection for a protocol version; `owner` is told of it later. */
  open(version: ProtocolLevel, owner: TransportOwner): Transport {
    const { tls, requestPath } = this.#settings;
    if (requestPath !== '') return new WsTransport(this.#settings, version, this.#memory, owner);
    if (tls === null) return openSocket(this.#settings, owner);
    return openTls(this.#settings, tls, this.#memory, owner);
  }
}
