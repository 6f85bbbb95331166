/** A store in a temporary folder, with journals in this thread. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { FIXED_HEADER_BYTES_MAX } from '../../../src/protocol/fixed-header.js';
import { writeRemainingLength } from '../../../src/protocol/publish-frame.js';
import type { Run } from '../../../src/protocol/run.js';
import { DiskFullError, DiskReserve } from '../../../src/store/disk-reserve.js';
import { Environment, TABLES, type TableName } from '../../../src/store/environment.js';
import { Journal } from '../../../src/store/journal.js';
import { StoreReader } from '../../../src/store/store-reader.js';
import { createStoreWords } from '../../../src/store/store-words.js';
import { StoreWriter } from '../../../src/store/store-writer.js';
import type { RetainedRow } from '../../../src/store/stored-retained.js';
import { FilterRange } from '../../../src/topics/filter-range.js';
import type { RetainedMatch } from '../../../src/topics/retained-tree.js';

/** What cleans up behind a test. */
export type Context = Pick<TestContext, 'after'>;

export function temporaryFolder(context: Context): string {
  const folder = mkdtempSync(join(tmpdir(), 'surgemq-store-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A journal, and what it was told. */
export interface TestJournal {
  readonly journal: Journal;
  /** The store thread's end of its port. */
  readonly port: MessagePort;
  readonly states: string[];
  /** Resolves when all that was appended is durable. */
  readonly settled: () => Promise<void>;
}

export class TemporaryStore {
  readonly folder: string;
  readonly words = createStoreWords();
  readonly environment: Environment;
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  /** What the writer said of its disk. */
  readonly failures: (string | null)[] = [];
  readonly fullness: boolean[] = [];
  /** Has the disk be full for what comes. */
  isDiskFull = false;
  /** Bytes that the disk has room for, behind the end of the file. */
  diskRoom = Number.POSITIVE_INFINITY;
  #closed: Promise<void> | null = null;

  constructor(context: Context, folder = temporaryFolder(context), bytesMax = 0) {
    this.folder = folder;
    this.environment = new Environment(folder, 'fsync');
    this.writer = new StoreWriter({
      environment: this.environment,
      words: this.words,
      bytesMax,
      onFailing: (why) => this.failures.push(why),
      onFull: (isFull) => this.fullness.push(isFull),
      retryMs: 5,
      disk: this.#disk(),
    });
    this.reader = new StoreReader({ folder, durability: 'fsync' });
    context.after(() => this.close());
  }

  /** @param onDurable is called when more is. */
  journal(onDurable: () => void = () => {}): TestJournal {
    const { port1: port, port2 } = new MessageChannel();
    const states: string[] = [];
    let wake = () => {};
    const journal: Journal = new Journal({
      port: port2,
      words: this.words,
      onDurable: () => {
        onDurable();
        wake();
      },
      onState: (isFailing, why) => states.push(isFailing ? why : 'well'),
    });
    this.writer.attach(port);
    const settled = async () => {
      journal.submit();
      while (journal.durable < journal.appended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      this.reader.renew();
    };
    return { journal, port, states, settled };
  }

  #disk(): DiskReserve {
    const disk = new DiskReserve(this.environment.path);
    const ensure = disk.ensure.bind(disk);
    disk.ensure = (bytes) => {
      if (this.isDiskFull || bytes > this.diskRoom) {
        throw new DiskFullError(this.folder, Object.assign(new Error(), { code: 'ENOSPC' }));
      }
      ensure(bytes);
    };
    return disk;
  }

  /** How many rows each table has, those without any left out. */
  rows(): Partial<Record<TableName, number>> {
    this.environment.renew();
    const counts = TABLES.map((name) => [name, this.environment.tables[name].getCount()] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.writer.close();
    await this.reader.close();
    await this.environment.close();
  }
}

/** A run of so many PUBLISH packets with this payload, QoS 1 and the topic `a/b`. */
export function runOf(payload: string, count = 1, expiresAt = 0): Run {
  const body = Buffer.from(`\0\u0003a/b\0\u0001${payload}`);
  const head = Buffer.alloc(FIXED_HEADER_BYTES_MAX);
  head[0] = 0x32;
  const length = writeRemainingLength(head, 1, body.length);
  const frame = Buffer.concat([head.subarray(0, length), body]);
  const bytes = Buffer.concat(new Array<Buffer>(count).fill(frame));
  return { bytes, header: 0x32, topicLength: 3, count, propertyBytes: 0, expiresAt };
}

/** What topics retain on disk, but for those that begin with `$`. */
export function retainedIn(
  reader: StoreReader,
  isWanted: (topicKey: string) => boolean = () => true,
): RetainedRow[] {
  const table = reader.retainedTable(null);
  const range = new FilterRange('#');
  const all: RetainedRow[] = [];
  for (let from: string | null = ''; from !== null; ) {
    const found: RetainedMatch<string>[] = [];
    from = table.read(from, { range, to: null, hidden: null, found, steps: 0 });
    for (const [topicKey, message] of found) all.push({ topicKey, message });
  }
  return all.filter(({ topicKey }) => isWanted(topicKey));
}
