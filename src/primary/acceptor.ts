/**
 * Listens, accepts and gives each connection to a shard. Nothing here reads what a client sends:
 * every byte is left for the shard.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { devNull } from 'node:os';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';
import { DESCRIPTOR_PROBE_INTERVAL_MS, LISTEN_BACKLOG, LISTENERS_MAX } from '../base/limits.js';
import { formatListenUri } from '../base/listen-uri.js';
import type { ListenerConfig, ListenerKind } from '../base/listener-config.js';
import type { Logger } from '../base/log.js';
import type { CountedAt } from '../shard/adoption.js';
import { whyNotServed } from '../shard/transports.js';
import type { ListenerCounts } from '../transport/listener-counts.js';
import { proxiesOf } from '../transport/proxies.js';
import { type Accepted, takeAccepted } from './accepted.js';
import type { AddressGate } from './address-gate.js';
import type { Handoff } from './handoff.js';
import { type ListenerPlan, planListeners } from './listener-plan.js';
import { ALL_LATE, NONE_LIVE, type Placement } from './placement.js';
import { RefusalReason, Refusals } from './refusals.js';
import { clearSocketPath } from './unix-socket.js';

/** Where connections are accepted. */
export interface BoundAddress {
  /** What is spoken there, beneath MQTT. */
  readonly kind: ListenerKind;
  /** The address as the system gives it, such as `127.0.0.1` or `::`; empty for kind unix. */
  readonly host: string;
  /** The port bound: never 0 but for kind unix. */
  readonly port: number;
  /** Path of the socket, of kind unix alone; else empty. */
  readonly path: string;
  readonly uri: string;
}

export interface AcceptorOptions {
  readonly logger: Logger;
  readonly placement: Placement;
  readonly handoff: Handoff;
  readonly gate: AddressGate;
  readonly counts: ListenerCounts;
  /** Connections of all shards together, above which new ones are refused. */
  readonly maxConnections: number;
  /** Shards are to know these listeners before connections come that came by them. */
  onListeners(listeners: readonly ListenerConfig[]): void;
}

interface Listener {
  /** As it is configured, before it has a port of the system's choice. */
  wanted: ListenerConfig;
  bound: ListenerConfig;
  readonly server: Server;
  /** Where its connections are counted. */
  readonly slot: number;
  /** It is one of the configuration, and not one that the program has asked for. */
  readonly isConfigured: boolean;
  /** Connections are taken. */
  isOpen: boolean;
}

/** A change of the listeners that needs no more than to be made. */
export interface ListenerChange {
  readonly plan: ListenerPlan<Listener>;
  readonly opened: readonly Listener[];
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
/** The same of a unix socket, where they mean something else. */
const SOCKET_FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'the directory is not there, or this process may not write to it',
  EADDRINUSE: 'there is something of this name',
};
const OUT_OF_DESCRIPTORS: readonly string[] = ['EMFILE', 'ENFILE'];
const RAISE_LIMIT = 'no descriptor is left: raise the limit of open files (ulimit -n)';

export class Acceptor {
  /** Connections of all shards together, above which new ones are refused. */
  maxConnections: number;
  readonly #options: AcceptorOptions;
  readonly #refusals: Refusals;
  #listeners: Listener[] = [];
  /** Of listeners that there are, or are about to be. */
  readonly #slots = new Set<number>();
  #probe: NodeJS.Timeout | null = null;
  #uncountedTold = 0;
  #isClosed = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.maxConnections = options.maxConnections;
    this.#refusals = new Refusals(options.logger);
  }

  /** Where connections are accepted, in the order of the `listen` calls. */
  get addresses(): BoundAddress[] {
    return this.#listeners.map(({ bound: { kind, host, port, path, uri } }) => ({
      kind,
      host,
      port,
      path,
      uri,
    }));
  }

  /** The same as shards know them. */
  get listeners(): ListenerConfig[] {
    return this.#listeners.map(({ bound }) => bound);
  }

  /** What the listeners of the program were asked for as. */
  get programUris(): string[] {
    return this.#listeners
      .filter(({ isConfigured }) => !isConfigured)
      .map(({ wanted }) => wanted.uri);
  }

  /** Whether it is the configuration that says where to listen. */
  get hasConfigured(): boolean {
    return this.#listeners.some(({ isConfigured }) => isConfigured);
  }

  /** What `refusedConnections` counts, by reason. */
  get refusals(): Readonly<Record<RefusalReason, number>> {
    return this.#refusals.totals;
  }

  /** Connections closed at once instead of being given to a shard. */
  get refusedConnections(): number {
    return this.#refusals.total;
  }

  /**
   * Starts to accept as `wanted` says; port 0 takes any that is free.
   * @param isConfigured it is one of the configuration, which a reload may remove.
   * @throws ConfigError with one fault that names the URI and why it cannot be.
   */
  async listen(wanted: ListenerConfig, isConfigured = false): Promise<BoundAddress> {
    const listener = await this.#bind(wanted, isConfigured);
    this.#listeners.push(listener);
    this.#options.onListeners(this.listeners);
    listener.isOpen = true;
    const { kind, host, port, path, uri } = listener.bound;
    if (this.#isClosed) await this.close();
    else this.#startProbe();
    return { kind, host, port, path, uri };
  }

  async #bind(wanted: ListenerConfig, isConfigured: boolean): Promise<Listener> {
    const why = whyNotServed(wanted.kind);
    if (why !== undefined) throw cannotListen(wanted.uri, why);
    const slot = this.#options.counts.freeSlot(this.#slots);
    if (slot < 0) throw cannotListen(wanted.uri, `there are ${LISTENERS_MAX} already`);
    this.#slots.add(slot);
    const server = createServer();
    server.once('close', () => this.#slots.delete(slot));
    const bound = await bind(server, wanted).catch((error: unknown) => {
      this.#slots.delete(slot);
      throw error;
    });
    const listener: Listener = { wanted, bound, server, slot, isConfigured, isOpen: false };
    const onFailed = (reason: string): void =>
      this.#refusals.add(RefusalReason.acceptFailed, reason);
    const onAccepted = (accepted: Accepted): void => {
      // Nobody knows yet whether it will be served: another listener may not be had.
      if (listener.isOpen) this.#onAccepted(accepted, listener);
      else accepted.close();
    };
    takeAccepted(server, onAccepted, onFailed);
    server.on('error', (error) => onFailed(error.message));
    return listener;
  }

  /**
   * Opens what another configuration wants and nobody listens at. Nothing is taken there yet, and
   * nothing else changes.
   * @param wanted its listeners; those of the program stay as they are.
   * @throws ConfigError with a line for each that cannot be had: none is opened then.
   */
  async prepare(wanted: readonly ListenerConfig[]): Promise<ListenerChange> {
    const present = this.#listeners.filter(({ isConfigured }) => isConfigured);
    // Where the program says itself where to listen, the configuration does not.
    const plan = planListeners(present, this.hasConfigured ? wanted : []);
    const opened: Listener[] = [];
    const faults: string[] = [];
    for (const config of plan.opened) {
      try {
        opened.push(await this.#bind(config, true));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        const own = present.find(({ bound }) => isInTheWay(bound, config));
        faults.push(...(own === undefined ? error.faults : [whyInTheWay(own.bound.uri, config)]));
      }
    }
    if (faults.length === 0) return { plan, opened };
    for (const { server } of opened) server.close();
    throw new ConfigError(faults);
  }

  /**
   * Makes a change that was prepared: clients of listeners that are no more are closed by the
   * shards, which are told of it.
   * @param ofProgram how a listener of the program is configured now, by its URI.
   */
  change({ plan, opened }: ListenerChange, ofProgram: (uri: string) => ListenerConfig): void {
    for (const [listener, wanted] of plan.kept) goBy(listener, wanted);
    for (const listener of this.#listeners) {
      if (!listener.isConfigured) goBy(listener, ofProgram(listener.wanted.uri));
    }
    for (const listener of opened) listener.isOpen = true;
    const left = this.#listeners.filter((listener) => !plan.removed.includes(listener));
    this.#listeners = [...left, ...opened];
    this.#options.onListeners(this.listeners);
    for (const { server } of plan.removed) server.close();
    if (!this.#isClosed) return;
    for (const { server } of opened) server.close();
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

  #onAccepted(accepted: Accepted, listener: Listener): void {
    const { bound, slot } = listener;
    const proxies = proxiesOf(bound.proxyProtocolFrom);
    const { placement, gate, counts } = this.#options;
    const { maxConnections } = this;
    if (placement.totalLoad() >= maxConnections) {
      this.#refuse(accepted, RefusalReason.maxConnections, `the limit is ${maxConnections}`);
      return;
    }
    const ofListener = bound.maxConnections;
    if (ofListener !== null && counts.connections(slot) >= ofListener) {
      const detail = `the limit of ${bound.uri} is ${ofListener}`;
      this.#refuse(accepted, RefusalReason.listenerConnections, detail);
      return;
    }
    const shardIndex = placement.place();
    if (shardIndex === ALL_LATE) {
      const why = 'the event loops of all workers are late by more than maxLoopDelay';
      this.#refuse(accepted, RefusalReason.maxLoopDelay, why);
      return;
    }
    if (shardIndex === NONE_LIVE) {
      this.#refuse(accepted, RefusalReason.noShard, 'no shard is running');
      return;
    }
    const place = gate.enter(accepted, shardIndex, proxies);
    if (typeof place === 'number') {
      counts.enter(slot, shardIndex);
      if (this.#hand(shardIndex, accepted, { listener: bound.uri, place, slot })) return;
      counts.leave(slot, shardIndex);
      gate.limits.leave(place, shardIndex);
    } else {
      this.#refuse(accepted, place.reason, place.detail);
    }
    placement.takeBack(shardIndex);
  }

  /** @returns whether the shard has it; otherwise it is refused. */
  #hand(shardIndex: number, accepted: Accepted, counted: CountedAt): boolean {
    try {
      if (this.#options.handoff.hand(shardIndex, accepted, counted)) return true;
      this.#refuse(accepted, RefusalReason.noShard, `shard ${shardIndex} is down`);
    } catch (error) {
      const isOut = OUT_OF_DESCRIPTORS.includes(errorCode(error));
      const reason = isOut ? RefusalReason.descriptorsExhausted : RefusalReason.acceptFailed;
      this.#refuse(accepted, reason, isOut ? RAISE_LIMIT : messageOf(error));
    }
    return false;
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
      this.#tellUncounted();
      try {
        closeSync(openSync(devNull, 'r'));
      } catch (error) {
        if (!OUT_OF_DESCRIPTORS.includes(errorCode(error))) return;
        this.#refusals.add(RefusalReason.descriptorsExhausted, RAISE_LIMIT, 0);
      }
    }, DESCRIPTOR_PROBE_INTERVAL_MS);
    this.#probe.unref();
  }

  /** More addresses have come at a time than can be counted. */
  #tellUncounted(): void {
    const { uncounted } = this.#options.gate.limits;
    const count = uncounted - this.#uncountedTold;
    if (count === 0) return;
    this.#uncountedTold = uncounted;
    this.#options.logger.warn({ count }, 'connections let in without the limits by address');
  }
}

/** @throws ConfigError when the system says no. */
async function bind(server: Server, wanted: ListenerConfig): Promise<ListenerConfig> {
  const { kind, uri, path, mode } = wanted;
  if (kind === 'unix') {
    const why = await clearSocketPath(path);
    if (why !== undefined) throw cannotListen(uri, why);
  }
  const where =
    kind === 'unix'
      ? { path }
      : { ...(wanted.host === '' ? {} : { host: wanted.host }), port: wanted.port };
  await new Promise<void>((resolve, reject) => {
    const onError = (error: Error): void => reject(cannotListen(uri, whyNot(error, kind)));
    server.once('error', onError);
    server.listen({ ...where, backlog: LISTEN_BACKLOG }, () => {
      server.off('error', onError);
      resolve();
    });
  });
  if (kind === 'unix') chmodSync(path, mode);
  const bound = server.address();
  if (bound === null || typeof bound !== 'object') return wanted;
  const { address: host, port } = bound;
  const requestPath = wanted.websocket?.path ?? '';
  return { ...wanted, host, port, uri: formatListenUri({ kind, host, port, path: requestPath }) };
}

/** At all addresses of the machine. */
const ANY_HOSTS: readonly string[] = ['', '0.0.0.0', '::'];

/** Whether the system does not let both be open: of one port, one at an address, one at all. */
function isInTheWay(present: ListenerConfig, wanted: ListenerConfig): boolean {
  const areOfPorts = present.kind !== 'unix' && wanted.kind !== 'unix';
  const isAny = ANY_HOSTS.includes(present.host) || ANY_HOSTS.includes(wanted.host);
  return areOfPorts && present.port === wanted.port && isAny;
}

function whyInTheWay(uri: string, wanted: ListenerConfig): string {
  const [fault] = cannotListen(
    wanted.uri,
    `this broker listens at ${uri}, which is not closed before all else is sure, and the system ` +
      'lets no two listen at one port that way: reload once without this port, then with it',
  ).faults;
  return fault;
}

/** Has a listener go by another configuration; its socket stays. */
function goBy(listener: Listener, wanted: ListenerConfig): void {
  const { host, port } = listener.bound;
  const { kind, path } = wanted;
  const requestPath = wanted.websocket?.path ?? '';
  const uri =
    kind === 'unix' ? wanted.uri : formatListenUri({ kind, host, port, path: requestPath });
  if (kind === 'unix' && wanted.mode !== listener.wanted.mode) chmodSync(path, wanted.mode);
  listener.wanted = wanted;
  listener.bound = { ...wanted, host, port, uri };
}

function whyNot(error: Error, kind: ListenerKind): string {
  const code = errorCode(error);
  const fault = (kind === 'unix' ? SOCKET_FAULTS[code] : undefined) ?? LISTEN_FAULTS[code];
  return fault === undefined ? error.message : `${fault} (${code})`;
}

function cannotListen(uri: string, why: string): ConfigError {
  return new ConfigError([`cannot listen on ${uri}: ${why}`]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
