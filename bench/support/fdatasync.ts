/** How long the disk takes for fdatasync of a few new bytes, measured beside a load. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicNs } from './load-plan.js';
import { latencyHistogram } from './load-thread.js';

/** A page, written over one after the other in a file that has its size: as a store does. */
const PAGE_BYTES = 4_096;
const PAGES = 256;
/** Between two beside a load: often enough to be loaded, too seldom to be a load. */
const BETWEEN_MS = 100;
let files = 0;

/** A file for it. */
export class FdatasyncProbe implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #page = Buffer.alloc(PAGE_BYTES, 0x5a);
  #next = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** @param folder on the disk that is meant; null: where temporary files are. */
  static async open(folder: string | null): Promise<FdatasyncProbe> {
    const path = join(folder ?? tmpdir(), `fdatasync-${process.pid}-${++files}`);
    const file = await open(path, 'w');
    await file.write(Buffer.alloc(PAGES * PAGE_BYTES));
    await file.sync();
    return new FdatasyncProbe(path, file);
  }

  /** Writes a page and has it on disk. @returns nanoseconds of the fdatasync alone. */
  async once(): Promise<number> {
    await this.#file.write(this.#page, 0, PAGE_BYTES, (this.#next++ % PAGES) * PAGE_BYTES);
    const from = monotonicNs();
    await this.#file.datasync();
    return monotonicNs() - from;
  }

  /** Measures every now and then while `body` runs. */
  async beside<T>(
    body: () => Promise<T>,
  ): Promise<{ readonly outcome: T; readonly took: RecordableHistogram }> {
    const took = latencyHistogram();
    let isOver = false;
    const measuring = (async () => {
      while (!isOver) {
        took.record(Math.max(1_000, await this.once()));
        await delay(BETWEEN_MS);
      }
    })();
    try {
      return { outcome: await body(), took };
    } finally {
      isOver = true;
      await measuring;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}
