/** A flood inside of its process: opens the connections, writes to all in turn, and counts. */
import { writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { ListenerKind } from '../../src/base/listener-config.js';
import { encodePacket } from '../../src/protocol/codec.js';
import { BenchError } from './bench-error.js';
import { FloodClient } from './flood-client.js';
import { FLOODS, type FloodChunk } from './floods.js';
import { monotonicNs } from './load-plan.js';
import { socketQueueBytes } from './proc.js';

const READ_BUFFER_BYTES = 256 * 1024;
/** After so much time of writing the sockets are read. */
const TURN_MS = 1;
const SUBACK_FAILURE = 0x80;

/** What a process is told; it answers each command before it takes the next. */
export type FloodCommand =
  | {
      readonly type: 'open';
      readonly flood: string;
      readonly host: string;
      readonly port: number;
      readonly transport: ListenerKind;
      readonly clients: number;
      /** Beginning of the client ids. */
      readonly clientId: string;
    }
  | { readonly type: 'start' }
  | { readonly type: 'count' };

/** What a flood has come to since it began; times are of the monotonic clock, in nanoseconds. */
export interface FloodCount {
  readonly at: number;
  /** Packets that were answered or, where none are, that the broker has read. */
  readonly packets: number;
  /** Bytes that the broker has read. */
  readonly bytesRead: number;
  /** Clients whose connection has ended, and why the first did. */
  readonly gone: number;
  readonly why: string | null;
  /** Filters that the broker did not grant. */
  readonly filtersRefused: number;
}

/** Lives in a process of its own, which has lower priority than those that measure. */
export class FloodTask {
  #clients: FloodClient[] = [];
  #holder: FloodClient | null = null;
  #chunks: FloodChunk[] = [];
  #ready: FloodClient[] = [];
  #isTurnDue = false;
  #filtersRefused = 0;
  #brokerPort = 0;

  constructor() {
    // The quiet pair's threads share a core with it: they are to run as soon as they have work.
    const nice = constants.priority.PRIORITY_BELOW_NORMAL;
    setPriority(nice);
    try {
      // What counts between sessions, where Linux shares the cores out by them.
      writeFileSync('/proc/self/autogroup', String(nice));
    } catch {
      // It does not, or this is another system.
    }
  }

  /** Carries out one command. @throws BenchError when a connection fails. */
  async run(command: FloodCommand): Promise<FloodCount> {
    if (command.type === 'open') await this.#open(command);
    if (command.type === 'start') {
      for (const client of this.#clients) this.#onReady(client);
    }
    return this.#count();
  }

  async #open(command: Extract<FloodCommand, { type: 'open' }>): Promise<void> {
    const { port, clientId } = command;
    this.#brokerPort = port;
    const flood = FLOODS.get(command.flood);
    if (flood === undefined) throw new BenchError(`${command.flood} is no flood`);
    const readBuffer = Buffer.alloc(READ_BUFFER_BYTES);
    const onReady = (client: FloodClient): void => this.#onReady(client);
    const count = command.clients || flood.clients;
    this.#chunks = Array.from({ length: count }, (_, index) => flood.chunk(index));
    this.#clients = this.#chunks.map(
      (chunk, index) => new FloodClient(`${clientId}-${index}`, chunk, readBuffer, onReady),
    );
    if (flood.heldFilters !== undefined) {
      this.#holder = new FloodClient(`${clientId}-holder`, null, readBuffer, onReady);
      await this.#holder.connect(command);
      await this.#hold(this.#holder, flood.heldFilters());
    }
    for (const client of this.#clients) await client.connect(command);
  }

  /** Subscribes in parts. */
  async #hold(holder: FloodClient, parts: Iterable<readonly string[]>): Promise<void> {
    for (const filters of parts) {
      const subscriptions = filters.map((filter) => ({ filter, qos: 0 as const }));
      const subscribe = encodePacket({ type: 'subscribe', packetId: 1, subscriptions }, 4);
      const headBytes = filters.length + 2 < 128 ? 4 : 5;
      const suback = await holder.ask(subscribe, headBytes + filters.length);
      for (const code of suback.subarray(headBytes)) {
        if (code === SUBACK_FAILURE) this.#filtersRefused++;
      }
    }
  }

  #onReady(client: FloodClient): void {
    this.#ready.push(client);
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#turn());
  }

  /** Writes to those that take something, each once, as long as the turn's time lasts. */
  #turn(): void {
    this.#isTurnDue = false;
    const clients = this.#ready;
    this.#ready = [];
    const until = performance.now() + TURN_MS;
    let at = 0;
    for (; at < clients.length && performance.now() < until; at++) {
      const client = clients[at];
      if (client.flood()) this.#ready.push(client);
    }
    // Those that had no turn are the first of the next.
    this.#ready.unshift(...clients.slice(at));
    if (this.#ready.length === 0) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#turn());
  }

  #count(): FloodCount {
    let packets = 0;
    let bytesRead = 0;
    const queued = socketQueueBytes(this.#brokerPort);
    const gone = this.#clients.filter(({ failure }) => failure !== null);
    for (const [index, client] of this.#clients.entries()) {
      const chunk = this.#chunks[index];
      const read = client.bytesSent - (queued.get(client.localPort) ?? 0);
      bytesRead += read;
      packets +=
        chunk.answerBytes > 0
          ? (client.bytesReceived / chunk.answerBytes) * chunk.packets
          : (read / client.wireBytes) * chunk.packets;
    }
    const lost = this.#holder?.failure ?? null;
    return {
      at: monotonicNs(),
      packets,
      bytesRead,
      gone: gone.length + (lost === null ? 0 : 1),
      why: gone[0]?.failure ?? lost,
      filtersRefused: this.#filtersRefused,
    };
  }
}
