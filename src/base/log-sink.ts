/**
 * Where log lines go, without ever waiting: a disk that is full, a pipe that nobody reads, a
 * terminal that was stopped or an output that is gone must not stop a broker. What is not taken
 * waits in a bounded buffer and is tried again; beyond it lines are dropped, and a line says how
 * many once there is room again.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { errorCode } from './error-code.js';
import {
  LOG_BUFFER_BYTES_MAX,
  LOG_EXIT_WAIT_MS,
  LOG_RETRY_MAX_MS,
  LOG_RETRY_MIN_MS,
} from './limits.js';

/**
 * Writes `bytes` from `offset` on. @returns how many of them were taken. @throws Error when none
 * can be taken now, with code EAGAIN when it is only a matter of time.
 */
export type WriteBytes = (bytes: Buffer, offset: number) => number;

/** A line's way out. One a process; lines of all threads come here. */
export class LogSink {
  /** Called once lines are kept again after `lost` of them were dropped: it logs that. */
  onLost: (lost: number) => void = () => {};
  readonly #writeBytes: WriteBytes;
  readonly #bytesMax: number;
  /** Lines not taken yet, the first of them from `#offset` on. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #offset = 0;
  #isDropping = false;
  #isTelling = false;
  #lost = 0;
  #retryMs = LOG_RETRY_MIN_MS;
  #timer: NodeJS.Timeout | null = null;

  constructor(writeBytes: WriteBytes, bytesMax = LOG_BUFFER_BYTES_MAX) {
    this.#writeBytes = writeBytes;
    this.#bytesMax = bytesMax;
  }

  /** Lines dropped and not told of yet. */
  get lost(): number {
    return this.#lost;
  }

  /** Writes a line at once, keeps it for later, or drops it. Never throws and never waits. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    const hasRoom = !this.#isDropping && this.#pendingBytes + bytes.length <= this.#bytesMax;
    if (!hasRoom && !this.#isTelling) {
      this.#isDropping = true;
      this.#lost++;
      return;
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    // While others wait the timer has them tried again, at its pace.
    if (this.#timer === null && !this.#isTelling) this.#drain();
  }

  /**
   * Writes what waits, for as long as it is taken and at most `waitMs`: before the process ends.
   * The one place that waits.
   */
  flushSync(waitMs = LOG_EXIT_WAIT_MS): void {
    const deadline = performance.now() + waitMs;
    const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    this.#tellLost();
    while (this.#tryAll() === 'EAGAIN' && performance.now() < deadline) {
      Atomics.wait(sleeper, 0, 0, LOG_RETRY_MIN_MS);
    }
  }

  #drain(): void {
    const before = this.#pendingBytes;
    this.#timer = null;
    this.#tryAll();
    const hasMoved = this.#pendingBytes < before;
    this.#retryMs = hasMoved ? LOG_RETRY_MIN_MS : Math.min(this.#retryMs * 2, LOG_RETRY_MAX_MS);
    if (this.#pending.length === 0) return;
    this.#timer = setTimeout(() => this.#drain(), this.#retryMs);
    // Nobody lives on for the sake of a log line.
    this.#timer.unref();
  }

  /** Writes until all is taken. @returns why not: the code of the error, empty when it is. */
  #tryAll(): string {
    let taken = 0;
    let fault = '';
    try {
      while (taken < this.#pending.length) {
        const bytes = this.#pending[taken];
        const count = this.#writeBytes(bytes, this.#offset);
        this.#offset += count;
        this.#pendingBytes -= count;
        if (this.#offset < bytes.length) continue;
        this.#offset = 0;
        taken++;
        // Not at the first byte of room: or every other line of a slow reader tells of a lost one.
        if (this.#isDropping && this.#pendingBytes <= this.#bytesMax / 2) this.#tellLost();
      }
    } catch (error) {
      fault = errorCode(error) || 'unknown';
    }
    this.#pending.splice(0, taken);
    return fault;
  }

  #tellLost(): void {
    const lost = this.#lost;
    this.#isDropping = false;
    this.#lost = 0;
    if (lost === 0) return;
    // This one line has room always.
    this.#isTelling = true;
    this.onLost(lost);
    this.#isTelling = false;
  }
}

/** Opens the sink of an output of this process. It writes what waits when the process exits. */
export function openLogSink(fd: number): LogSink {
  const descriptor = nonBlocking(fd);
  const sink = new LogSink((bytes, offset) => writeSync(descriptor, bytes, offset));
  process.on('exit', () => sink.flushSync());
  return sink;
}

/**
 * A descriptor of the same output to which a write does not wait. Whether it waits belongs to the
 * open file, which other processes share, and each of them may change it: so a pipe or a terminal
 * is opened once more. Files do not wait, full or not.
 */
function nonBlocking(fd: number): number {
  try {
    const stat = fstatSync(fd);
    if (stat.isFIFO() || isatty(fd)) {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    }
  } catch {
    // Sockets, systems without /proc, terminals of somebody else: taken as they are. Node makes the
    // pipes and sockets that it has a stream for non-blocking, and it has one for worker threads.
  }
  return fd;
}
