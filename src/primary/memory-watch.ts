/**
 * Looks at what the process uses of its memory, and tells all shards the level by a shared word.
 * What is on no heap counts too, so the system is asked; what of it the broker knows the use of
 * stands in the log line.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { memoryUsage } from 'node:process';
import {
  MEMORY_GROWTH_BYTES_PER_MS,
  MEMORY_LOOK_MS_MAX,
  MEMORY_LOOK_MS_MIN,
  REFUSAL_LOG_INTERVAL_MS,
} from '../base/limits.js';
import type { Logger } from '../base/log.js';
import { leftBelowCritical, levelOf, MemoryLevel, memoryLimit } from '../base/memory-level.js';

const LEVEL_NAMES = ['ample', 'high', 'short', 'critical'] as const;
const WHAT_HAPPENS: Readonly<Record<MemoryLevel, string>> = {
  [MemoryLevel.ample]: 'everything is taken again',
  [MemoryLevel.high]:
    'QoS 0 messages to readers that are behind are dropped, and retained messages are replayed ' +
    'later',
  [MemoryLevel.short]:
    'new sessions, subscriptions and retained messages and messages for absent clients are refused',
  [MemoryLevel.critical]: 'publishers are read only now and then; give it more (memoryLimit)',
};

/** What is known of the use of memory, by name, in bytes: see `ledgerOf`. */
export type Ledger = Readonly<Record<string, number>>;

/** What a watch works with. */
export interface MemoryWatchParts {
  /** From createMemoryWord. */
  readonly word: SharedArrayBuffer;
  /** The setting: 0 for the default. */
  readonly limitSetting: () => number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly ledger: () => Ledger;
  /** Bytes that the process has in memory; tests bring their own. */
  readonly used?: () => number;
}

/** One of the primary. */
export class MemoryWatch {
  /** The newest look. */
  usedBytes = 0;
  limitBytes: number;
  readonly #parts: MemoryWatchParts;
  readonly #word: Int32Array;
  readonly #resident: ResidentMemory | null;
  #timer: NodeJS.Timeout | undefined;
  #saidLevel: MemoryLevel = MemoryLevel.ample;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(parts: MemoryWatchParts) {
    this.#parts = parts;
    this.#word = new Int32Array(parts.word);
    this.#resident = parts.used === undefined ? new ResidentMemory() : null;
    this.limitBytes = memoryLimit(parts.limitSetting());
  }

  get level(): MemoryLevel {
    return this.#word[0] as MemoryLevel;
  }

  /** Begins to look. The timer does not keep the process alive. */
  start(): void {
    const ms = this.look(performance.now());
    this.#timer = setTimeout(() => this.start(), ms);
    this.#timer.unref();
  }

  /** Looks no more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#resident?.close();
  }

  /**
   * One look. @param now in milliseconds. @returns after how many the next one is due: sooner the
   * less is left.
   */
  look(now: number): number {
    const { used, limitSetting } = this.#parts;
    this.limitBytes = memoryLimit(limitSetting());
    this.usedBytes = used?.() ?? this.#resident!.bytes();
    const level = levelOf(this.usedBytes, this.limitBytes, this.level);
    Atomics.store(this.#word, 0, level);
    if (level !== this.#saidLevel && now - this.#saidAt >= REFUSAL_LOG_INTERVAL_MS) {
      this.#say(level, now);
    }
    const ms = leftBelowCritical(this.usedBytes, this.limitBytes) / MEMORY_GROWTH_BYTES_PER_MS;
    return Math.max(MEMORY_LOOK_MS_MIN, Math.min(MEMORY_LOOK_MS_MAX, ms));
  }

  #say(level: MemoryLevel, now: number): void {
    const { logger, ledger } = this.#parts;
    const { usedBytes, limitBytes } = this;
    const fields = { level: LEVEL_NAMES[level], usedBytes, limitBytes, ...ledger() };
    const line = `memory is ${LEVEL_NAMES[level]}: ${WHAT_HAPPENS[level]}`;
    if (level > this.#saidLevel) logger.warn(fields, line);
    else logger.info(fields, line);
    this.#saidLevel = level;
    this.#saidAt = now;
  }
}

/** Pages of /proc/self/statm; what Linux has on every machine that runs Node but a few of ARM's. */
const PAGE_BYTES = 4_096;

/**
 * What the process has in memory. Where Linux tells it in a file that takes some microseconds: the
 * call that Node has for it looks at more, and takes ten times as long. Pages of files that were
 * mapped since the start are left out: they are the store's, and the system takes them back when it
 * needs them.
 */
class ResidentMemory {
  readonly #buffer = Buffer.alloc(128);
  #descriptor: number;
  /** Pages of files at the start: the program. */
  readonly #filePages: number;

  constructor() {
    this.#descriptor = openStatm();
    this.#filePages = this.#descriptor < 0 ? 0 : this.#read().ofFiles;
  }

  bytes(): number {
    if (this.#descriptor < 0) return memoryUsage.rss();
    const { all, ofFiles } = this.#read();
    return (all - Math.max(0, ofFiles - this.#filePages)) * PAGE_BYTES;
  }

  #read(): { readonly all: number; readonly ofFiles: number } {
    const length = readSync(this.#descriptor, this.#buffer, 0, this.#buffer.length, 0);
    const [, all, ofFiles] = this.#buffer.toString('latin1', 0, length).split(' ');
    return { all: Number(all), ofFiles: Number(ofFiles) };
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }
}

/** @returns -1 where there is none, or its pages are of another size. */
function openStatm(): number {
  let descriptor = -1;
  try {
    descriptor = openSync('/proc/self/statm', 'r');
    const buffer = Buffer.alloc(128);
    const length = readSync(descriptor, buffer, 0, buffer.length, 0);
    const pages = Number(buffer.toString('latin1', 0, length).split(' ')[1]);
    const ratio = memoryUsage.rss() / (pages * PAGE_BYTES);
    if (ratio > 0.5 && ratio < 2) return descriptor;
  } catch {
    // Not Linux.
  }
  if (descriptor >= 0) closeSync(descriptor);
  return -1;
}
