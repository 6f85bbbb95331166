/**
 * What the load generator is to do: clients and their parts, as plain data that goes to its
 * threads, and the commands that the threads take.
 */
import type { Histogram } from 'node:perf_hooks';
import type { ListenerKind } from '../../src/base/listener-config.js';
import type { FrameShape, LoadVersion } from './frame-format.js';
import type { CheckKind, PairFault } from './sequence-check.js';

/** What a client publishes. */
export interface PublishPlan extends FrameShape {
  /** Index among all publishers of the load, from 0. */
  readonly publisher: number;
  /** Messages of QoS 1 and 2 sent and not acknowledged. */
  readonly window: number;
  /** Messages in one write; 0: as many as fit a chunk. */
  readonly batch: number;
}

/** Filters of a client: one, or many made by number, of which a tenth has wildcards. */
export type FilterPlan =
  | { readonly kind: 'one'; readonly filter: string }
  | { readonly kind: 'many'; readonly prefix: string; readonly from: number; readonly to: number };

/** The messages a subscription gets: one form, from a range of publishers. */
export interface ReceivePlan extends FrameShape {
  readonly firstPublisher: number;
  readonly publisherCount: number;
  readonly check: CheckKind;
  /** Of a `shared` check: the number of its group in the load, from 0; else -1. */
  readonly group: number;
}

/** What a client subscribes to. */
export interface SubscribePlan {
  readonly filters: FilterPlan;
  readonly qos: 0 | 1 | 2;
  /** Null: nothing is published to these filters. */
  readonly receive: ReceivePlan | null;
}

/** What a client speaks. */
export interface ClientProtocol {
  readonly version: LoadVersion;
  /** It gives topics aliases, and takes aliases from the broker. Only in 5.0. */
  readonly hasAliases: boolean;
}

/** One client. */
export interface ClientPlan extends ClientProtocol {
  readonly clientId: string;
  /** Its session stays when it leaves, and is there when it comes back. */
  readonly keepsSession: boolean;
  readonly publish: PublishPlan | null;
  readonly subscribe: SubscribePlan | null;
  /** A slow reader: how long it reads nothing after each read, in milliseconds; 0 reads on. */
  readonly pauseMs: number;
  /** A client that comes and goes: how long it stays each time, in milliseconds; 0 stays. */
  readonly stayMs: number;
}

/** The whole load. */
export interface LoadPlan {
  readonly clients: readonly ClientPlan[];
  readonly publisherCount: number;
  /** Messages a second of all publishers together, one a write; 0: as fast as they can. */
  readonly ratePerSecond: number;
  /**
   * Of which messages receivers take the latency: all carry the time at which they should have been
   * sent. `sampled`, for loads that go as fast as they can: of one in some reads, its first.
   * `sinceSubscribe`, for what was published before: of one message in some, from the SUBSCRIBE on.
   */
  readonly latency: 'none' | 'sampled' | 'each' | 'sinceSubscribe';
}

/** Doubles of a thread's progress. */
export const PROGRESS_WORDS = 3;

/** Room for the progress of so many threads. */
export function newProgress(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(8 * PROGRESS_WORDS * threads);
}

/** What one thread of the generator gets. */
export interface LoadShare extends LoadPlan {
  /** Name or address; of a unix socket the path. */
  readonly host: string;
  readonly port: number;
  readonly transport: ListenerKind;
  /** Nothing arriving for this long ends a phase; what is missing is lost. In milliseconds. */
  readonly stallMs: number;
  /** Connections that may be on their way at once. */
  readonly connectConcurrency: number;
  /** Bytes of a publisher's chunk. */
  readonly chunkBytes: number;
  /** Subscribers that each publisher's messages go to, those that come and go left out. */
  readonly receivers: Float64Array;
  /** Deliveries outstanding above which publishers wait. */
  readonly ahead: number;
  /** Deliveries due and done so far, and CONNACKs and SUBACKs: PROGRESS_WORDS a thread. */
  readonly progress: SharedArrayBuffer;
  readonly threadIndex: number;
}

/** What a thread is told; it answers each command before it takes the next. */
export type LoadCommand =
  /** All clients, or the first so many; so many begun in a second, 0: as fast as it goes. */
  | { readonly type: 'connect'; readonly limit: number; readonly ratePerSecond: number }
  | { readonly type: 'subscribe' }
  | { readonly type: 'publish'; readonly messages: number; readonly durationMs: number }
  | { readonly type: 'receive'; readonly totals: Float64Array }
  | { readonly type: 'close' };

/**
 * From when to when, in nanoseconds of the monotonic clock; Infinity and 0 when nothing happened.
 */
export interface Span {
  readonly from: number;
  readonly to: number;
  /** How long each CONNACK or SUBACK took, in nanoseconds; null when none came. */
  readonly latency: Histogram | null;
}

/**
 * Answer to `publish`: by index of all publishers, what this thread has sent since the load began.
 */
export interface Published {
  readonly totals: Float64Array;
  readonly firstPublishAt: number;
  /** How late messages at a set rate were, in nanoseconds. */
  readonly lateness: Histogram | null;
}

/** Answer to `receive`. */
export interface Received {
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly lastDeliveryAt: number;
  readonly latency: Histogram | null;
  readonly faults: readonly PairFault[];
}

/** Answers by command. */
export interface LoadAnswers {
  readonly connect: Span;
  readonly subscribe: Span;
  readonly publish: Published;
  readonly receive: Received;
  readonly close: null;
}

/** Nanoseconds of the monotonic clock, the same in every thread. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}

/**
 * Divides a load among `threads` threads; the members of a group go to one. At a set rate those who
 * send and those who receive get threads of their own: the senders sleep between two messages,
 * which would make the receivers late.
 */
export function divide(plan: LoadPlan, threads: number): LoadPlan[] {
  if (plan.ratePerSecond === 0) {
    const shares: ClientPlan[][] = Array.from({ length: threads }, () => []);
    for (const [index, client] of plan.clients.entries()) {
      const group = client.subscribe?.receive?.group ?? -1;
      shares[(group < 0 ? index : group) % threads].push(client);
    }
    return shares.map((clients) => ({ ...plan, clients }));
  }
  const senders = plan.clients.filter(({ publish }) => publish !== null);
  const others = plan.clients.filter(({ publish }) => publish === null);
  return [
    { ...plan, clients: senders },
    ...divide({ ...plan, clients: others, ratePerSecond: 0 }, Math.max(1, threads - 1)),
  ];
}
