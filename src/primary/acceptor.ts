/**
 * Listens, accepts and gives each connection to a shard. Nothing here reads what a client sends:
 * every byte is left for the shard.
 */
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { devNull } from 'node:os';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';
import { DESCRIPTOR_PROBE_INTERVAL_MS, LISTEN_BACKLOG } from '../base/limits.js';
import {
  formatListenUri,
  LISTEN_URI_ALLOWED,
  type ListenAddress,
  parseListenUri,
} from '../base/listen-uri.js';
import type { Logger } from '../base/log.js';
import { withoutPassword } from '../base/without-password.js';
import { type Accepted, takeAccepted } from './accepted.js';
import type { Handoff } from './handoff.js';
import type { Placement } from './placement.js';
import { RefusalReason, Refusals } from './refusals.js';

/** Where connections are accepted. */
export interface BoundAddress {
  /** What is spoken there; MQTT over plain TCP is the only kind so far. */
  readonly kind: 'tcp';
  /** The address as the system gives it, such as `127.0.0.1` or `::`. */
  readonly host: string;
  /** The port bound: never 0. */
  readonly port: number;
  readonly uri: string;
}

export interface AcceptorOptions {
  readonly logger: Logger;
  readonly placement: Placement;
  readonly handoff: Handoff;
  /** Connections of all shards together, above which new ones are refused. */
  readonly maxConnections: number;
}

interface Listener {
  readonly address: BoundAddress;
  readonly server: Server;
}

/** Why the system does not let us listen, in the operator's words. */
const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'ports below 1024 need a privilege',
  EAFNOSUPPORT: 'this machine does not have this address family',
  ENOTFOUND: 'there is no host of this name',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EMFILE: 'this process has no descriptor left',
};
const OUT_OF_DESCRIPTORS: readonly string[] = ['EMFILE', 'ENFILE'];
const RAISE_LIMIT = 'no descriptor is left: raise the limit of open files (ulimit -n)';

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #refusals: Refusals;
  readonly #listeners: Listener[] = [];
  #probe: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.logger);
  }

  /** Where connections are accepted, in the order of the `listen` calls. */
  get addresses(): BoundAddress[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** Connections closed at once instead of being given to a shard. */
  get refusedConnections(): number {
    return this.#refusals.total;
  }

  /**
   * Starts to accept at `uri`, `tcp://host:port`; a host that is empty means every address, port 0
   * any port that is free.
   * @throws ConfigError with one fault that names the URI and why it cannot be.
   */
  async listen(uri: string): Promise<BoundAddress> {
    const wanted = parseListenUri(uri);
    if (wanted === undefined) {
      throw new ConfigError([
        `cannot listen on ${withoutPassword(uri)}: it must be ${LISTEN_URI_ALLOWED}`,
      ]);
    }
    const server = createServer();
    const address = await bind(server, uri, wanted);
    const onFailed = (why: string): void => this.#refusals.add(RefusalReason.acceptFailed, why);
    takeAccepted(server, (accepted) => this.#onAccepted(accepted, address.uri), onFailed);
    server.on('error', (error) => onFailed(error.message));
    this.#listeners.push({ address, server });
    if (this.#isClosed) await this.close();
    else this.#startProbe();
    return address;
  }

  /**
   * Accepts no more. Resolves when every listener is closed; what was given to shards is theirs.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#probe !== null) clearInterval(this.#probe);
    this.#refusals.close();
    const listeners = this.#listeners.splice(0);
    await Promise.all(
      listeners.map(({ server }) => new Promise((resolve) => server.close(resolve))),
    );
  }

  #onAccepted(accepted: Accepted, listener: string): void {
    const { placement, handoff, maxConnections } = this.#options;
    if (placement.totalLoad() >= maxConnections) {
      this.#refuse(accepted, RefusalReason.maxConnections, `the limit is ${maxConnections}`);
      return;
    }
    const shardIndex = placement.place();
    if (shardIndex < 0) {
      this.#refuse(accepted, RefusalReason.noShard, 'no shard is running');
      return;
    }
    try {
      if (handoff.hand(shardIndex, accepted, listener)) return;
      this.#refuse(accepted, RefusalReason.noShard, `shard ${shardIndex} is down`);
    } catch (error) {
      const isOut = OUT_OF_DESCRIPTORS.includes(errorCode(error));
      const reason = isOut ? RefusalReason.descriptorsExhausted : RefusalReason.acceptFailed;
      this.#refuse(accepted, reason, isOut ? RAISE_LIMIT : messageOf(error));
    }
    placement.takeBack(shardIndex);
  }

  #refuse(accepted: Accepted, reason: RefusalReason, detail: string): void {
    accepted.close();
    this.#refusals.add(reason, detail);
  }

  /**
   * When accepting itself finds no descriptor, libuv takes each waiting connection with one that it
   * holds in reserve and closes it, and says nothing. So we look for ourselves whether one is left.
   */
  #startProbe(): void {
    if (this.#probe !== null) return;
    this.#probe = setInterval(() => {
      try {
        closeSync(openSync(devNull, 'r'));
      } catch (error) {
        if (!OUT_OF_DESCRIPTORS.includes(errorCode(error))) return;
        this.#refusals.add(RefusalReason.descriptorsExhausted, RAISE_LIMIT, 0);
      }
    }, DESCRIPTOR_PROBE_INTERVAL_MS);
    this.#probe.unref();
  }
}

/** @throws ConfigError when the system says no. */
function bind(server: Server, uri: string, wanted: ListenAddress): Promise<BoundAddress> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const code = errorCode(error);
      const fault = LISTEN_FAULTS[code];
      const why = fault === undefined ? error.message : `${fault} (${code})`;
      reject(new ConfigError([`cannot listen on ${uri}: ${why}`]));
    };
    server.once('error', onError);
    const host = wanted.host === '' ? {} : { host: wanted.host };
    server.listen({ ...host, port: wanted.port, backlog: LISTEN_BACKLOG }, () => {
      server.off('error', onError);
      const bound = server.address();
      const { address, port } =
        bound !== null && typeof bound === 'object'
          ? bound
          : { address: wanted.host, port: wanted.port };
      const uriBound = formatListenUri({ host: address, port });
      resolve({ kind: 'tcp', host: address, port, uri: uriBound });
    });
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
