/** Takes connections that the primary has accepted: a transport and a connection for each. */
import { Counter, type Counters } from '../base/counters.js';
import type { Deadline, Deadlines } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { READ_HEADROOM_BYTES } from '../base/limits.js';
import type { ListenerConfig } from '../base/listener-config.js';
import { WordIds } from '../base/word-ids.js';
import { Connection } from '../connection/connection.js';
import { BEHIND_PROXY } from '../transport/address-limits.js';
import { Handshakes, type HandshakesHost } from '../transport/handshakes.js';
import { ProxyTransport } from '../transport/proxy-transport.js';
import { TlsContexts } from '../transport/tls-contexts.js';
import type { Transport } from '../transport/transport.js';
import type { Shard } from './shard.js';
import { type Accepted, makePlain, TRANSPORTS, type TransportHost } from './transports.js';

/** Where a connection is counted. */
export interface CountedAt {
  /** URI of the listener that it came by. */
  readonly listener: string;
  /** By its address. */
  readonly place: number;
  /** By its listener. */
  readonly slot: number;
}

/** One a shard. */
export class Adoption implements TransportHost, HandshakesHost {
  readonly readSlice: Buffer;
  readonly handshakes: Handshakes = new Handshakes(this);
  readonly #shard: Shard;
  readonly #connectionIds = new WordIds();
  #listeners: ReadonlyMap<string, ListenerConfig> = new Map();
  #ticketKeys: Buffer = Buffer.alloc(0);
  /** By the URI of the listener; made when the first client comes. */
  readonly #tlsContexts = new Map<string, TlsContexts>();

  constructor(shard: Shard) {
    this.#shard = shard;
    this.readSlice = shard.readBuffer.subarray(READ_HEADROOM_BYTES);
  }

  get counters(): Counters {
    return this.#shard.counters;
  }

  get deadlines(): Deadlines<Deadline> {
    return this.#shard.deadlines;
  }

  get handshakeTimeoutMs(): number {
    return this.#shard.config.handshakeTimeoutMs;
  }

  get handshakesMax(): number {
    const { maxHandshakes, workers } = this.#shard.config;
    return Math.max(1, Math.floor(maxHandshakes / workers));
  }

  /**
   * All listeners there are, from here on: what connections come by is known before they come. Who
   * came by one that is no more is closed.
   */
  setListeners(listeners: readonly ListenerConfig[]): void {
    this.#listeners = new Map(listeners.map((listener) => [listener.uri, listener]));
    this.renewTls();
    this.#shard.profiles.setListeners(listeners);
    for (const connection of this.#shard.connections.values()) {
      if (this.#listeners.has(connection.transport.peer.listener)) continue;
      connection.close(CloseReason.listenerRemoved, { detail: 'its listener was removed' });
    }
  }

  /** What session tickets are made with from here on, by all shards. */
  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
    this.renewTls();
  }

  /** Certificates, or what is made of them, may be others now; connections that are open stay. */
  renewTls(): void {
    this.#tlsContexts.clear();
  }

  tlsContexts(listener: ListenerConfig): TlsContexts {
    const known = this.#tlsContexts.get(listener.uri);
    if (known !== undefined) return known;
    const contexts = new TlsContexts(listener.tls!, this.#shard.materials, this.#ticketKeys);
    this.#tlsContexts.set(listener.uri, contexts);
    return contexts;
  }

  /** What a client came by; undefined when that listener is there no more. */
  listener(uri: string): ListenerConfig | undefined {
    return this.#listeners.get(uri);
  }

  /**
   * Takes a connection over: from here on this shard is its one owner.
   * @param counted the listener that it came by, and where it is counted.
   */
  adopt(accepted: Accepted, { listener: uri, place, slot }: CountedAt): void {
    const shard = this.#shard;
    const listener = this.#listeners.get(uri);
    const make = listener === undefined ? null : TRANSPORTS[listener.kind];
    const isServed = listener !== undefined && make !== null && !shard.isStopping;
    const makeIt = (own: Accepted): Transport =>
      isServed ? make(own, listener, this) : makePlain(own, { uri }, this);
    const transport =
      isServed && place === BEHIND_PROXY
        ? this.#behindProxy(accepted, uri, makeIt)
        : makeIt(accepted);
    const id = this.#connectionIds.next(shard.connections);
    const connection = new Connection(shard, id, transport);
    connection.addressPlace = place;
    connection.listenerSlot = slot;
    shard.connections.set(id, connection);
    shard.counters.add(Counter.connectionsOpened, 1);
    shard.counters.add(Counter.connectionsOpen, 1);
    if (!isServed) transport.destroy();
  }

  log(level: 'info', fields: object, message: string): void {
    this.#shard.log(level, fields, message);
  }

  #behindProxy(
    accepted: Accepted,
    listener: string,
    make: (own: Accepted) => Transport,
  ): Transport {
    const { addresses: limits, shardIndex } = this.#shard;
    try {
      return new ProxyTransport(accepted, { listener, limits, shardIndex, make });
    } catch (error) {
      // No descriptor is left to read the header by.
      this.#shard.log('warn', { err: String(error) }, 'a connection by a proxy is closed');
      const transport = makePlain(accepted, { uri: listener }, this);
      transport.destroy();
      return transport;
    }
  }
}
