/** Starts ring workers as the primary starts shards, and replaces one that was ended. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { closeDescriptor, createPipe } from '../../src/base/libc.js';
import { createRing } from '../../src/router/ring.js';
import { createTickets } from '../../src/router/ring-layout.js';
import { within } from '../support/waiting.js';
import type { FromRingWorker, RingReport, RingWorkerData, ToRingWorker } from './traffic.js';

/** What differs between the shards of a test. */
export type ShardPlan = Pick<RingWorkerData, 'records' | 'batch' | 'drainBytes'>;

export class RingShards {
  readonly #plans: readonly ShardPlan[];
  readonly #rings: SharedArrayBuffer[];
  readonly #tickets = createTickets();
  readonly #readFds: number[] = [];
  readonly #writeFds: number[] = [];
  readonly #retiredFds: number[] = [];
  readonly #incarnations: number[];
  readonly #workers: Worker[] = [];
  readonly #progress: Promise<void>[] = [];
  readonly #reports: Promise<RingReport>[] = [];

  constructor(plans: readonly ShardPlan[], ringBytes: number, progressAfter = 0) {
    this.#plans = plans;
    this.#rings = plans.map(() => createRing(ringBytes));
    this.#incarnations = plans.map(() => 0);
    for (let index = 0; index < plans.length; index++) this.#newPipe(index);
    for (let index = 0; index < plans.length; index++) this.#start(index, progressAfter, false);
  }

  /** Resolves when the shard has received as many records as it was to say. */
  progress(index: number): Promise<void> {
    return within(this.#progress[index], `progress of shard ${index}`);
  }

  /** What all shards report at their end. */
  reports(): Promise<RingReport[]> {
    return this.reportsOf(this.#workers.map((_, index) => index));
  }

  /** What some shards report at their end. */
  reportsOf(indexes: readonly number[]): Promise<RingReport[]> {
    const reports = Promise.all(indexes.map((index) => this.#reports[index]));
    return within(reports, `the reports of shards ${indexes}`, 60_000);
  }

  post(index: number, message: ToRingWorker): void {
    this.#workers[index].postMessage(message);
  }

  postAll(message: ToRingWorker, except = -1): void {
    for (let index = 0; index < this.#workers.length; index++) {
      if (index !== except) this.post(index, message);
    }
  }

  /** Ends a shard's thread wherever it is. */
  async kill(index: number): Promise<void> {
    // Its report will not come.
    this.#reports[index].catch(() => {});
    this.#progress[index].catch(() => {});
    await this.#workers[index].terminate();
  }

  /** Starts a successor, before its peers know of it. */
  replace(index: number, ringBytes: number, progressAfter: number): void {
    this.#rings[index] = createRing(ringBytes);
    this.#incarnations[index]++;
    this.#newPipe(index);
    this.#start(index, progressAfter, true);
  }

  /** Tells the peers of the successor. */
  introduce(index: number): void {
    this.postAll(
      {
        kind: 'peer-new',
        index,
        incarnation: this.#incarnations[index],
        ring: this.#rings[index],
        doorbellWriteFd: this.#writeFds[index],
      },
      index,
    );
  }

  /** Ends what still runs and closes the doorbells. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    for (const fd of [...this.#writeFds, ...this.#retiredFds]) closeDescriptor(fd);
  }

  #newPipe(index: number): void {
    const { readFd, writeFd } = createPipe();
    // The former write end stays open: a peer may still ring it.
    if (this.#writeFds[index] !== undefined) this.#retiredFds.push(this.#writeFds[index]);
    this.#readFds[index] = readFd;
    this.#writeFds[index] = writeFd;
  }

  #start(index: number, progressAfter: number, isLate: boolean): void {
    const workerData: RingWorkerData = {
      ...this.#plans[index],
      shardIndex: index,
      shardCount: this.#plans.length,
      rings: this.#rings,
      tickets: this.#tickets,
      doorbellReadFd: this.#readFds[index],
      doorbellWriteFds: this.#writeFds,
      incarnations: this.#incarnations,
      isLate,
      progressAfter,
    };
    const worker = new Worker(new URL('./ring-worker.js', import.meta.url), { workerData });
    this.#workers[index] = worker;
    this.#progress[index] = new Promise((resolve, reject) => {
      worker.on('message', (message: FromRingWorker) => {
        if (message.kind === 'progress') resolve();
      });
      worker.on('exit', () => reject(new Error(`shard ${index} ended before its progress`)));
    });
    this.#progress[index].catch(() => {});
    this.#reports[index] = reportOf(worker, index);
    this.#reports[index].catch(() => {});
  }
}

async function reportOf(worker: Worker, index: number): Promise<RingReport> {
  let report: RingReport | undefined;
  worker.on('message', (message: FromRingWorker) => {
    if (message.kind === 'done') report = message.report;
  });
  // Rejects with what the worker threw.
  await once(worker, 'exit');
  if (report === undefined) throw new Error(`shard ${index} ended without a report`);
  return report;
}
