/**
 * The one writer of the store: cuts of the segments of all journals, one after the other, each in
 * one transaction. A cut that the disk does not take is tried again, unaltered, and nothing newer
 * before it.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
  STORE_AHEAD_BYTES,
  STORE_LOOK_MS,
  STORE_PAGE_BYTES,
  STORE_RETRY_MS,
  STORE_SPARE_BYTES,
  STORE_TREE_BYTES,
} from '../base/limits.js';
import { Cut } from './cut.js';
import { CutQueue, type SegmentSource } from './cut-queue.js';
import { CutWriter } from './cut-writer.js';
import { DiskReserve } from './disk-reserve.js';
import type { Environment } from './environment.js';
import type { Segment, ToJournal } from './store-messages.js';
import { FULL_WORD, TICKET_WORD } from './store-words.js';

export interface StoreWriterOptions {
  readonly environment: Environment;
  readonly words: SharedArrayBuffer;
  /** Bytes that the store may hold; 0: as many as the disk has room for. */
  readonly bytesMax: number;
  /** A try failed, and why; null: after such, one has succeeded. */
  readonly onFailing: (why: string | null) => void;
  readonly onFull: (isFull: boolean, bytes: number) => void;
  /** Default: STORE_RETRY_MS. */
  readonly retryMs?: number;
  /** Where room is set aside; tests bring a disk that is full. */
  readonly disk?: Pick<DiskReserve, 'size' | 'ensure' | 'close'>;
}

/** The store thread's end of a journal. */
class JournalEnd implements SegmentSource {
  readonly port: MessagePort;
  constructor(port: MessagePort) {
    this.port = port;
  }

  receive(): Segment | undefined {
    return receiveMessageOnPort(this.port)?.message as Segment | undefined;
  }

  tell(message: ToJournal): void {
    this.port.postMessage(message);
  }
}

/** A cut on its way, and whom to tell of it. */
interface Written {
  readonly cut: Cut;
  readonly bytes: number;
  readonly positions: Map<JournalEnd, number>;
  /** The largest ticket. */
  readonly ticket: number;
}

const NOTHING_LONG = { longBytes: 0, longestBytes: 0 };

export class StoreWriter {
  readonly #options: StoreWriterOptions;
  readonly #words: Int32Array;
  readonly #queue = new CutQueue<JournalEnd>();
  readonly #cutWriter: CutWriter;
  readonly #disk: Pick<DiskReserve, 'size' | 'ensure' | 'close'>;
  readonly #ends = new Map<MessagePort, JournalEnd>();
  /** The largest ticket of what is durable. */
  #written = 0;
  /** The cut that the disk has not taken yet. */
  #pending: Written | null = null;
  #why: string | null = null;
  /** The disk takes what is there, but has too little room for more. */
  #isLow = false;
  #next: NodeJS.Immediate | null = null;
  readonly #look: NodeJS.Timeout;
  #usedBytes = 0;
  /** With what was written since the last look, at most; the other is a guess. */
  #usedAtMost = 0;
  #isClosing = false;
  /** The largest number of a session that was ever in a cut. */
  #sessionMax = 0;
  /** Called whenever something has become durable. */
  #onProgress: (() => void)[] = [];

  constructor(options: StoreWriterOptions) {
    this.#options = options;
    this.#words = new Int32Array(options.words);
    this.#cutWriter = new CutWriter(options.environment);
    this.#disk = options.disk ?? new DiskReserve(options.environment.path);
    this.#look = setInterval(() => this.#measure(), STORE_LOOK_MS);
    this.#look.unref();
    this.#measure();
    // What had not gone when the last process ended.
    if (this.#cutWriter.isSweeping) this.#schedule();
  }

  /** The largest number of a session that a journal has spoken of; 0: of none. */
  get sessionMax(): number {
    return this.#sessionMax;
  }

  /** Takes what a journal submits from now on. Nothing may have been posted there. */
  attach(port: MessagePort): void {
    const end = new JournalEnd(port);
    this.#ends.set(port, end);
    this.#queue.add(end);
    port.on('message', (segment: Segment) => {
      this.#queue.hold(end, segment);
      this.#schedule();
    });
    if (this.#why !== null) end.tell({ kind: 'failing', why: this.#why });
  }

  /** A shard has died, and all that it has posted is durable. */
  forgetShard(index: number): void {
    this.#cutWriter.pending.forgetShard(index);
  }

  /** Resolves when all that any journal had posted is durable. */
  async settled(): Promise<void> {
    const target = Atomics.load(this.#words, TICKET_WORD);
    this.#schedule();
    await new Promise((resolve) => setImmediate(resolve));
    const isOver = () => this.#queue.isEmpty && this.#pending === null;
    while (!isOver() && ((this.#written - target) | 0) < 0) await this.#progress();
  }

  /** Resolves when all that was posted there is durable; nothing is taken from there any more. */
  async detach(port: MessagePort): Promise<void> {
    const end = this.#ends.get(port);
    if (end === undefined) return;
    port.removeAllListeners('message');
    this.#queue.remove(end);
    this.#ends.delete(port);
    this.#schedule();
    while (this.#queue.has(end) || this.#pending?.positions.has(end)) await this.#progress();
    port.close();
  }

  /** Resolves when all that was posted is durable. No journal may post any more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#ends.keys()].map((port) => this.detach(port)));
    while (!this.#queue.isEmpty || this.#pending !== null) await this.#progress();
    clearInterval(this.#look);
    this.#disk.close();
  }

  #progress(): Promise<void> {
    return new Promise((resolve) => this.#onProgress.push(resolve));
  }

  #schedule(): void {
    if (this.#pending === null) this.#next ??= setImmediate(() => this.#cycle());
  }

  #cycle(): void {
    this.#next = null;
    const held = this.#queue.next();
    const isSweeping = this.#cutWriter.isSweeping && !this.#isClosing;
    if (held.length === 0 && !isSweeping) return;
    const cut = new Cut();
    const positions = new Map<JournalEnd, number>();
    let bytes = 0;
    for (const { source, segment } of held) {
      cut.add(segment);
      bytes += segment.length;
      positions.set(source, segment.position);
    }
    this.#sessionMax = Math.max(this.#sessionMax, cut.sessionMax);
    const ticket = held.at(-1)?.segment.ticket ?? this.#written;
    this.#pending = { cut, bytes, positions, ticket };
    this.#write();
  }

  #write(): void {
    const { cut, bytes, positions, ticket } = this.#pending!;
    try {
      this.#reserve(cut, bytes);
      this.#cutWriter.write(cut);
    } catch (error) {
      this.#onFailed(this.#options.environment.whyFailed(error as Error));
      return;
    }
    this.#pending = null;
    this.#written = ticket;
    for (const [end, position] of positions) end.tell({ kind: 'durable', position });
    if (this.#why !== null && !this.#isLow) this.#onWell();
    this.#usedBytes += bytes;
    this.#usedAtMost += this.#takenAtMost(cut, bytes);
    const { bytesMax } = this.#options;
    // It is far less most often: the look tells, which costs little beside a commit.
    if (bytesMax > 0 && this.#usedAtMost >= bytesMax && !this.#isFull) this.#measure();
    for (const resolve of this.#onProgress.splice(0)) resolve();
    this.#schedule();
  }

  /** How much room a cut takes at most. */
  #takenAtMost({ changes }: Cut, bytes: number): number {
    // Each change copies pages of its own at most, and all together no more than there are.
    const copied = Math.min(2 * STORE_PAGE_BYTES * changes, this.#usedBytes);
    return 2 * bytes + copied + STORE_TREE_BYTES;
  }

  /** @throws DiskFullError */
  #reserve(cut: Cut, bytes: number): void {
    const needed = this.#takenAtMost(cut, bytes);
    // Who takes messages away must find room where no more can come.
    this.#ensure(cut.hasMessages ? needed + STORE_SPARE_BYTES : needed, cut);
    if (!cut.hasMessages || this.#isLow) return;
    const why = this.#whyLow(needed, cut);
    this.#isLow = why !== null;
    if (why !== null && this.#why === null) this.#say(why);
  }

  /** Why there is no more room than a cut needs; null: there is enough. */
  #whyLow(needed: number, cut: Pick<Cut, 'longBytes' | 'longestBytes'>): string | null {
    try {
      this.#ensure(needed + STORE_AHEAD_BYTES, cut);
      return null;
    } catch (error) {
      return this.#options.environment.whyFailed(error as Error);
    }
  }

  /** @throws DiskFullError */
  #ensure(needed: number, { longBytes, longestBytes }: Pick<Cut, 'longBytes' | 'longestBytes'>) {
    try {
      this.#disk.ensure(needed);
    } catch (error) {
      const used = this.#usedBytes;
      // Of the pages that are free in the file, those of late may not be used yet.
      const free = Math.max(0, this.#disk.size - used) / 2;
      if (free === 0 || this.#options.environment.isReadElsewhere) throw error;
      // So many of them follow each other as there are for each that is in use, at least.
      const areLongIn = longestBytes * used <= free * STORE_PAGE_BYTES;
      const behind = STORE_TREE_BYTES + (areLongIn ? 0 : 2 * longBytes);
      this.#disk.ensure(Math.max(behind, needed - free));
    }
  }

  #onFailed(why: string): void {
    this.#say(why);
    setTimeout(() => this.#write(), this.#options.retryMs ?? STORE_RETRY_MS);
  }

  /** Who publishes what is to be kept is refused from here on. */
  #say(why: string): void {
    if (this.#why === null) {
      for (const end of this.#ends.values()) end.tell({ kind: 'failing', why });
    }
    this.#why = why;
    this.#options.onFailing(why);
  }

  #onWell(): void {
    this.#why = null;
    for (const end of this.#ends.values()) end.tell({ kind: 'well' });
    this.#options.onFailing(null);
  }

  #lookForRoom(): void {
    const why = this.#whyLow(STORE_TREE_BYTES, NOTHING_LONG);
    this.#isLow = why !== null;
    if (why === null) this.#onWell();
    else this.#say(why);
  }

  get #isFull(): boolean {
    return this.#words[FULL_WORD] !== 0;
  }

  #measure(): void {
    const { environment } = this.#options;
    environment.forgetDeadReaders();
    this.#usedBytes = environment.usedBytes();
    this.#usedAtMost = this.#usedBytes;
    if (this.#isLow && this.#pending === null) this.#lookForRoom();
    const { bytesMax } = this.#options;
    const isFull = bytesMax > 0 && this.#usedBytes >= bytesMax;
    if (isFull === this.#isFull) return;
    Atomics.store(this.#words, FULL_WORD, isFull ? 1 : 0);
    this.#options.onFull(isFull, this.#usedBytes);
  }
}
