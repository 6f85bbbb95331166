/** One thread of the load generator: runs its share of the clients as the commands say. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { GroupCheck } from './group-check.js';
import { canConnectIdle, IdleConnections } from './idle-connections.js';
import { LoadClient } from './load-client.js';
import {
  type LoadAnswers,
  type LoadCommand,
  type LoadShare,
  monotonicNs,
  PROGRESS_WORDS,
  type Published,
  type Received,
  type Span,
} from './load-plan.js';
import { AckBatch, viewedBytes } from './receiver.js';

const READ_BUFFER_BYTES = 256 * 1024;
/** Latencies are kept from 1 us to 60 s with three digits, as nanoseconds. */
const HISTOGRAM = { lowest: 1_000, highest: 60_000_000_000, figures: 3 } as const;
/** How often a phase looks whether it is over, in milliseconds. */
const WATCH_MS = 5;
/** How long publishers that wait for deliveries sleep when none come in here, in milliseconds. */
const HOLD_MS = 2;
/** Longest sleep between two messages at a set rate: acks and commands wait as long. */
const SLEEP_MS_MAX = 5;

/** A histogram of nanoseconds. */
export function latencyHistogram(): RecordableHistogram {
  return createHistogram(HISTOGRAM);
}

/** As a histogram takes it. */
function nanosecondsSince(at: number): number {
  return Math.max(HISTOGRAM.lowest, Math.round(monotonicNs() - at));
}

/** Runs clients until it is told to close. */
export class LoadThread {
  readonly #share: LoadShare;
  readonly #clients: LoadClient[];
  readonly #publishers: LoadClient[];
  readonly #groups = new Map<number, GroupCheck>();
  /** All clients only connect: they need no objects. */
  readonly #isIdle: boolean;
  readonly #idle = new IdleConnections();
  /** Deliveries due and done and answers, of this thread and of all. */
  readonly #progress: Float64Array;
  readonly #allProgress: Float64Array;
  /** Clients that have something to send and may; a client stands in it once. */
  #ready: LoadClient[] = [];
  #nextReady: LoadClient[] = [];
  #isTurnDue = false;
  /** Publishers wait for deliveries. */
  #isHeld = false;
  #latency = latencyHistogram();
  /** How long CONNACKs or SUBACKs took, of the command at hand. */
  #answers = latencyHistogram();
  #lateness = latencyHistogram();
  #delivered = 0;
  #deliveredBefore = 0;
  #bytesBefore = 0;
  #lastDeliveryAt = 0;
  /** Until when publishers may send. */
  #publishUntil = 0;
  #isPublishing = false;
  /** How the visits went; settled ones at once, as one that fails early is asked for late. */
  #visits: Promise<PromiseSettledResult<void>[]> = Promise.resolve([]);

  constructor(share: LoadShare) {
    this.#share = share;
    this.#progress = new Float64Array(
      share.progress,
      8 * PROGRESS_WORDS * share.threadIndex,
      PROGRESS_WORDS,
    );
    this.#allProgress = new Float64Array(share.progress);
    const isTimed = share.latency !== 'none';
    const host = {
      host: share.host,
      port: share.port,
      transport: share.transport,
      chunkBytes: share.chunkBytes,
      readBuffer: viewedBytes(READ_BUFFER_BYTES),
      // An ack for each of the smallest packets that one read can bring, and for the one carried.
      acks: new AckBatch(READ_BUFFER_BYTES + 1_024),
      latency: isTimed ? { onLatency: (sentAt: number) => this.#onLatency(sentAt) } : null,
      isSampled: share.latency === 'sampled',
      isSinceSubscribe: share.latency === 'sinceSubscribe',
      groupCheck: (group: number, publishers: number) => this.#groupCheck(group, publishers),
      onAnswer: (sentAt: number) => this.#onAnswer(sentAt),
      onDelivered: (count: number) => this.#onDelivered(count),
      onReady: (client: LoadClient) => this.#onReady(client),
    };
    this.#isIdle =
      share.transport === 'tcp' &&
      canConnectIdle(share.host) &&
      share.clients.every(({ publish, subscribe }) => publish === null && subscribe === null);
    this.#clients = this.#isIdle ? [] : share.clients.map((plan) => new LoadClient(host, plan));
    this.#publishers = this.#clients.filter(({ writer }) => writer !== null);
  }

  #groupCheck(group: number, publisherCount: number): GroupCheck {
    const check = this.#groups.get(group) ?? new GroupCheck(publisherCount);
    this.#groups.set(group, check);
    return check;
  }

  /** Carries out one command. */
  run(command: LoadCommand): Promise<LoadAnswers[LoadCommand['type']]> {
    switch (command.type) {
      case 'connect':
        return this.#isIdle
          ? this.#connectIdle(command.limit, command.ratePerSecond)
          : this.#inParts((client) => client.connect(), command.limit, command.ratePerSecond);
      case 'subscribe':
        return this.#inParts((client) => client.subscribe());
      case 'publish':
        return this.#publish(command.messages, command.durationMs);
      case 'receive':
        return this.#receive(command.totals);
      case 'close':
        for (const client of this.#clients) client.close();
        this.#idle.close();
        return Promise.resolve(null);
    }
  }

  async #connectIdle(limit: number, ratePerSecond: number): Promise<Span> {
    const { host, port, clients, stallMs } = this.#share;
    this.#answers = latencyHistogram();
    const onConnack = (sentAt: number): void => this.#onAnswer(sentAt);
    return {
      ...this.#idle.open(host, port, clients.slice(0, limit), stallMs, ratePerSecond, onConnack),
      latency: this.#answers,
    };
  }

  /**
   * Does something for all clients that stay, a bounded number at a time.
   * @param ratePerSecond how many are begun in a second; 0: as fast as it goes.
   */
  async #inParts(
    action: (client: LoadClient) => Promise<void>,
    limit = Number.POSITIVE_INFINITY,
    ratePerSecond = 0,
  ): Promise<Span> {
    this.#answers = latencyHistogram();
    const from = monotonicNs();
    const staying = this.#clients.filter(({ plan }) => plan.stayMs === 0);
    const rest = staying.slice(0, limit).values();
    let done = 0;
    let to = from;
    let begun = 0;
    let ended = 0;
    let failure: unknown = null;
    const worker = async (): Promise<void> => {
      for (const client of rest) {
        const dueMs = ratePerSecond === 0 ? 0 : (begun++ * 1_000) / ratePerSecond;
        if (dueMs > 0) await delay(Math.max(0, dueMs - (monotonicNs() - from) / 1e6));
        await action(client);
        done++;
        to = monotonicNs();
      }
    };
    const { connectConcurrency } = this.#share;
    for (let n = 0; n < connectConcurrency; n++) {
      worker().then(
        () => ended++,
        (error: unknown) => {
          failure ??= error;
        },
      );
    }
    await this.#until(
      () => failure !== null || ended === connectConcurrency,
      // Those that come back may be sent much behind their CONNACK.
      () => done + this.#delivered,
    );
    if (failure !== null) throw failure;
    if (ended < connectConcurrency) throw new Error('the broker does not answer');
    return { from, to, latency: this.#answers };
  }

  #onAnswer(sentAt: number): void {
    this.#answers.record(nanosecondsSince(sentAt));
    this.#progress[2]++;
  }

  #onLatency(sentAt: number): void {
    if (sentAt === 0) return;
    this.#latency.record(nanosecondsSince(sentAt));
  }

  #onDelivered(count: number): void {
    this.#delivered += count;
    this.#progress[1] = this.#delivered;
    this.#lastDeliveryAt = monotonicNs();
    if (this.#isHeld && this.#outstanding() < this.#share.ahead) this.#release();
  }

  /** Deliveries due and not done, in all threads. */
  #outstanding(): number {
    const words = this.#allProgress;
    let outstanding = 0;
    for (let at = 0; at < words.length; at += PROGRESS_WORDS)
      outstanding += words[at] - words[at + 1];
    return outstanding;
  }

  #release(): void {
    this.#isHeld = false;
    this.#plan();
  }

  // ---- publishing ------------------------------------------------------------------------------

  async #publish(messages: number, durationMs: number): Promise<Published> {
    const firstPublishAt = this.#publishers.length === 0 ? Number.POSITIVE_INFINITY : monotonicNs();
    this.#lateness.reset();
    for (const client of this.#clients) client.beginPhase();
    this.#publishUntil = messages > 0 ? Number.POSITIVE_INFINITY : monotonicNs() + durationMs * 1e6;
    for (const client of this.#publishers) {
      client.sendUpTo = messages > 0 ? client.writer!.sent + messages : Number.POSITIVE_INFINITY;
    }
    this.#isPublishing = true;
    const visitUntil = performance.now() + durationMs;
    const visitors = this.#clients.filter(({ plan }) => plan.stayMs > 0);
    this.#visits = Promise.allSettled(visitors.map((client) => this.#visit(client, visitUntil)));
    if (this.#share.ratePerSecond > 0) {
      await this.#publishAtRate(messages, durationMs);
    } else {
      for (const client of this.#publishers) this.#onReady(client);
      await this.#until(() => this.#isPublished());
    }
    this.#isPublishing = false;
    const totals = new Float64Array(this.#share.publisherCount);
    for (const { plan, writer } of this.#publishers) totals[plan.publish!.publisher] = writer!.sent;
    return {
      totals,
      firstPublishAt,
      lateness: this.#share.ratePerSecond > 0 ? this.#lateness : null,
    };
  }

  /** Everything sent is out, and acknowledged where it is to be. */
  #isPublished(): boolean {
    const isOver = monotonicNs() >= this.#publishUntil;
    return this.#publishers.every(({ writer, plan, isWritable, acknowledged, sendUpTo }) => {
      const isSent = isOver || writer!.sent >= sendUpTo;
      const { qos } = plan.publish!;
      return isSent && isWritable && (qos === 0 || acknowledged >= writer!.sent);
    });
  }

  #onReady(client: LoadClient): void {
    if (!this.#isPublishing || client.isListed || this.#share.ratePerSecond > 0) return;
    client.isListed = true;
    this.#nextReady.push(client);
    this.#plan();
  }

  #plan(): void {
    if (this.#isTurnDue || this.#isHeld) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#turn());
  }

  /** One chunk of every client that may send; then the sockets are read. */
  #turn(): void {
    this.#isTurnDue = false;
    const now = monotonicNs();
    const isOver = now >= this.#publishUntil;
    if (!isOver && this.#outstanding() >= this.#share.ahead) {
      this.#hold();
      return;
    }
    const clients = this.#nextReady;
    this.#nextReady = this.#ready;
    this.#ready = clients;
    const sentAt = this.#share.latency === 'sampled' ? now : 0;
    let due = 0;
    for (let at = 0; at < clients.length; at++) {
      const client = clients[at];
      client.isListed = false;
      const count = isOver ? 0 : this.#countToSend(client);
      if (count === 0) continue;
      const writer = client.writer!;
      due += count * this.#share.receivers[client.plan.publish!.publisher];
      if (client.write(writer.chunk, 0, writer.fill(count, sentAt), true)) this.#onReady(client);
    }
    clients.length = 0;
    this.#progress[0] += due;
  }

  /** Sends nothing until deliveries have come in, here or in another thread. */
  #hold(): void {
    this.#isHeld = true;
    setTimeout(() => {
      if (this.#isHeld) this.#release();
    }, HOLD_MS);
  }

  #countToSend(client: LoadClient): number {
    const { writer, plan, window, acknowledged, isWritable, sendUpTo } = client;
    if (!isWritable) return 0;
    const { qos } = plan.publish!;
    const { sent, frames } = writer!;
    const allowed = qos === 0 ? frames : Math.min(frames, window - (sent - acknowledged));
    return Math.min(allowed, sendUpTo - sent);
  }

  /**
   * Sends one message after the other, of each client in turn, each at its time. The times are set
   * beforehand: a message that goes out late counts its latency from when it should have.
   */
  async #publishAtRate(messages: number, durationMs: number): Promise<void> {
    const interval = 1e9 / this.#share.ratePerSecond;
    const publishers = this.#publishers;
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    const start = monotonicNs();
    const count =
      messages > 0
        ? messages * publishers.length
        : Math.round((durationMs * this.#share.ratePerSecond) / 1_000);
    for (let sent = 0; sent < count; ) {
      const now = monotonicNs();
      let due = start + sent * interval;
      for (; sent < count && due <= now; sent++, due = start + sent * interval) {
        const client = publishers[sent % publishers.length];
        const writer = client.writer!;
        client.write(writer.chunk, 0, writer.fill(1, due), false);
        this.#lateness.record(Math.max(1_000, Math.round(now - due)));
        this.#progress[0] += this.#share.receivers[client.plan.publish!.publisher];
      }
      if (sent < count) Atomics.wait(sleeper, 0, 0, Math.min(SLEEP_MS_MAX, (due - now) / 1e6));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#until(() =>
      publishers.every(
        ({ writer, plan, isWritable, acknowledged }) =>
          isWritable && (plan.publish!.qos === 0 || acknowledged >= writer!.sent),
      ),
    );
  }

  /** A client that comes, listens for a while, and goes, until the time is over. */
  async #visit(client: LoadClient, until: number): Promise<void> {
    while (performance.now() < until) {
      await client.connect();
      await client.subscribe();
      await new Promise((resolve) => setTimeout(resolve, client.plan.stayMs));
      client.close();
      await new Promise((resolve) => setTimeout(resolve, client.plan.stayMs));
    }
  }

  // ---- receiving -------------------------------------------------------------------------------

  async #receive(totals: Float64Array): Promise<Received> {
    await this.#until(() => this.#clients.every((client) => client.isComplete(totals)));
    for (const visit of await this.#visits) {
      if (visit.status === 'rejected') throw visit.reason;
    }
    const bytes = this.#clients.reduce((sum, c) => sum + c.delivered * c.payloadBytes, 0);
    const received = {
      delivered: this.#delivered - this.#deliveredBefore,
      deliveredBytes: bytes - this.#bytesBefore,
      lastDeliveryAt: this.#lastDeliveryAt,
      latency: this.#latency.count > 0 ? this.#latency : null,
      faults: this.#clients.flatMap((client) => client.takeFaults(totals)),
    };
    this.#deliveredBefore = this.#delivered;
    this.#bytesBefore = bytes;
    this.#latency = latencyHistogram();
    return received;
  }

  /** Resolves when `isDone`, or when nothing has moved for the stall time. */
  #until(isDone: () => boolean, moved = () => this.#moved()): Promise<void> {
    return new Promise((resolve) => {
      let movedAt = performance.now();
      let seen = -1;
      const timer = setInterval(() => {
        const now = performance.now();
        const movedTo = moved();
        if (movedTo !== seen) movedAt = now;
        seen = movedTo;
        if (!isDone() && now - movedAt < this.#share.stallMs) return;
        clearInterval(timer);
        resolve();
      }, WATCH_MS);
    });
  }

  /** A number that changes as long as anything goes on. */
  #moved(): number {
    const acknowledged = this.#publishers.reduce((sum, client) => sum + client.acknowledged, 0);
    const sent = this.#publishers.reduce((sum, { writer }) => sum + writer!.sent, 0);
    return this.#delivered + acknowledged + sent;
  }
}
