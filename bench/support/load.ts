/**
 * The load generator as the bench sees it: threads of a Piscina pool that carry out commands
 * together.
 */
import { availableParallelism } from 'node:os';
import type { Histogram } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { ListenerKind } from '../../src/base/listener-config.js';
import { BenchError } from './bench-error.js';
import {
  divide,
  type LoadAnswers,
  type LoadCommand,
  type LoadPlan,
  type LoadShare,
  newProgress,
  PROGRESS_WORDS,
  type Span,
} from './load-plan.js';
import { latencyHistogram } from './load-thread.js';
import type { PairFault } from './sequence-check.js';

const LOAD_WORKER = fileURLToPath(new URL('../../workers/load.js', import.meta.url));
/** A publisher's chunk, smaller where there are so many that they would not fit the caches. */
const CHUNK_BYTES = 64 * 1024;
const CHUNK_BYTES_MANY = 16 * 1024;
const MANY_PUBLISHERS = 128;
const CONNECT_CONCURRENCY = 64;

/** Where the broker is and how to load it. */
export interface LoadTarget {
  /** Name or address; of a unix socket the path. */
  readonly host: string;
  readonly port: number;
  readonly transport: ListenerKind;
  readonly threads: number;
  readonly stallMs: number;
  /** Deliveries outstanding above which publishers wait. */
  readonly ahead: number;
}

/** What one phase of publishing came to. */
export interface Phase {
  readonly firstPublishAt: number;
  readonly lastDeliveryAt: number;
  readonly published: number;
  readonly delivered: number;
  /** Bytes of payload delivered. */
  readonly deliveredBytes: number;
  readonly latency: Histogram | null;
  readonly lateness: Histogram | null;
  readonly faults: readonly PairFault[];
}

/** What a task of the pool gets. */
export interface LoadTask {
  readonly share: LoadShare;
  readonly port: MessagePort;
}

/** A command's answer, or the text of its error. */
export type LoadReply =
  | { readonly answer: LoadAnswers[LoadCommand['type']] }
  | { readonly error: string };

/** One thread at the other end of a port. */
class Member {
  readonly #port: MessagePort;
  readonly #died: Promise<never>;

  constructor(port: MessagePort, task: Promise<unknown>) {
    this.#port = port;
    this.#died = task.then(() => {
      throw new BenchError('a thread of the load generator has ended');
    });
    this.#died.catch(() => {});
  }

  async command<T extends LoadCommand>(command: T): Promise<LoadAnswers[T['type']]> {
    const reply = new Promise<LoadReply>((resolve) => this.#port.once('message', resolve));
    this.#port.postMessage(command);
    const outcome = await Promise.race([reply, this.#died]);
    if ('error' in outcome) throw new BenchError(outcome.error);
    return outcome.answer as LoadAnswers[T['type']];
  }

  close(): void {
    this.#port.close();
  }
}

/** Clients on threads, connected to one broker. */
export class Load {
  readonly #pool: Piscina<LoadTask, void>;
  readonly #members: Member[];
  readonly #progress: SharedArrayBuffer;
  readonly #publisherCount: number;
  #totals: Float64Array<ArrayBufferLike>;
  readonly threads: number;

  /** Starts the threads. Nothing is connected yet. */
  constructor(plan: LoadPlan, target: LoadTarget) {
    const shares = divide(plan, target.threads);
    const receivers = countReceivers(plan);
    this.threads = shares.length;
    this.#progress = newProgress(shares.length);
    this.#publisherCount = plan.publisherCount;
    this.#totals = new Float64Array(plan.publisherCount);
    this.#pool = new Piscina({
      minThreads: shares.length,
      maxThreads: shares.length,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
    });
    this.#members = shares.map((share, threadIndex) => {
      const { port1, port2 } = new MessageChannel();
      const task: LoadTask = {
        share: {
          ...share,
          host: target.host,
          port: target.port,
          transport: target.transport,
          stallMs: target.stallMs,
          ahead: target.ahead,
          receivers,
          connectConcurrency: CONNECT_CONCURRENCY,
          chunkBytes: plan.publisherCount > MANY_PUBLISHERS ? CHUNK_BYTES_MANY : CHUNK_BYTES,
          progress: this.#progress,
          threadIndex,
        },
        port: port2,
      };
      const run = this.#pool.run(task, { filename: LOAD_WORKER, transferList: [port2] });
      return new Member(port1, run);
    });
  }

  /** Messages delivered so far, for a progress line. */
  get delivered(): number {
    return this.#sumOfWord(1);
  }

  /** CONNACKs and SUBACKs so far. */
  get answered(): number {
    return this.#sumOfWord(2);
  }

  #sumOfWord(word: number): number {
    return sum(new Float64Array(this.#progress).filter((_, at) => at % PROGRESS_WORDS === word));
  }

  #all<T extends LoadCommand>(command: T): Promise<LoadAnswers[T['type']][]> {
    return Promise.all(this.#members.map((member) => member.command(command)));
  }

  /**
   * Connects all clients, or about the first `limit`.
   * @param ratePerSecond how many are begun in a second; 0: as fast as it goes.
   * @returns from the first attempt to the last CONNACK, and how long each took from its own on.
   */
  async connect(limit = Number.POSITIVE_INFINITY, ratePerSecond = 0): Promise<Span> {
    const members = this.#members.length;
    return longest(
      await this.#all({
        type: 'connect',
        limit: Math.ceil(limit / members),
        ratePerSecond: ratePerSecond / members,
      }),
    );
  }

  /** Closes the connections; others may be made. */
  async disconnect(): Promise<void> {
    await this.#all({ type: 'close' });
  }

  /**
   * Subscribes all clients that have filters. @returns from the first SUBSCRIBE to the last SUBACK,
   * and how long each took.
   */
  async subscribe(): Promise<Span> {
    return longest(await this.#all({ type: 'subscribe' }));
  }

  /**
   * Publishes `messages` of each publisher or, if that is 0, for a time, and waits for the
   * deliveries.
   */
  async publish(messages: number, durationMs: number): Promise<Phase> {
    const before = sum(this.#totals);
    const sent = await this.#all({ type: 'publish', messages, durationMs });
    const totals = new Float64Array(this.#publisherCount);
    for (const { totals: some } of sent) {
      for (let at = 0; at < totals.length; at++) totals[at] += some[at];
    }
    this.#totals = totals;
    const phase = await this.receive();
    return {
      ...phase,
      firstPublishAt: Math.min(...sent.map(({ firstPublishAt }) => firstPublishAt)),
      published: sum(totals) - before,
      lateness: merged(sent.map(({ lateness }) => lateness)),
    };
  }

  /** Waits for everything published so far. */
  async receive(): Promise<Phase> {
    const got = await this.#all({ type: 'receive', totals: this.#totals });
    return {
      firstPublishAt: 0,
      lastDeliveryAt: Math.max(...got.map(({ lastDeliveryAt }) => lastDeliveryAt)),
      published: 0,
      delivered: got.reduce((total, { delivered }) => total + delivered, 0),
      deliveredBytes: got.reduce((total, { deliveredBytes }) => total + deliveredBytes, 0),
      latency: merged(got.map(({ latency }) => latency)),
      lateness: null,
      faults: got.flatMap(({ faults }) => faults),
    };
  }

  /** What `other` has published counts as expected of the subscribers here. */
  expectFrom(other: Load): void {
    this.#totals = other.#totals;
  }

  /** So many messages of each publisher count as expected. */
  expect(totals: readonly number[]): void {
    this.#totals = Float64Array.from(totals);
  }

  /** Closes the connections and ends the threads. */
  async close(): Promise<void> {
    try {
      await this.disconnect();
    } finally {
      for (const member of this.#members) member.close();
      await this.#pool.destroy();
    }
  }
}

/** Threads that are of use to a load on this machine when nothing is said. */
export function defaultThreads(): number {
  return Math.max(1, Math.floor(availableParallelism() / 4));
}

/** Subscribers by publisher, a group being one. */
function countReceivers({ clients, publisherCount }: LoadPlan): Float64Array {
  const receivers = new Float64Array(publisherCount);
  const groups = new Set<number>();
  for (const { subscribe } of clients) {
    const receive = subscribe?.receive;
    // Of a group one gets each message.
    if (!receive || receive.check === 'joined' || groups.has(receive.group)) continue;
    if (receive.group >= 0) groups.add(receive.group);
    const end = receive.firstPublisher + receive.publisherCount;
    for (let index = receive.firstPublisher; index < end; index++) receivers[index]++;
  }
  return receivers;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

function longest(spans: readonly Span[]): Span {
  return {
    from: Math.min(...spans.map(({ from }) => from)),
    to: Math.max(...spans.map(({ to }) => to)),
    latency: merged(spans.map(({ latency }) => latency)),
  };
}

function merged(histograms: readonly (Histogram | null)[]): Histogram | null {
  const some = histograms.filter((histogram) => histogram !== null && histogram.count > 0);
  if (some.length === 0) return null;
  const all = latencyHistogram();
  for (const histogram of some) all.add(histogram as typeof all);
  return all;
}
