/**
 * Questions that take a while (a hash, a signature, a web service), few at a time: who waits is
 * served by turns of addresses, so that a flood from one does not keep the others waiting.
 */
import { AFTER_REFUSAL_MS } from '../base/limits.js';
import { addressKey } from '../transport/address-key.js';

/** There is no room for one more question: its client is to come again. */
export class BusyError extends Error {
  readonly code = 'SURGEMQ_BUSY';
  constructor() {
    super('too many clients wait for it');
    this.name = 'BusyError';
  }
}

/** What a queue may hold. */
export interface QueueBounds {
  readonly atOnce: number;
  readonly atOncePerAddress: number;
  readonly waitingMax: number;
  readonly waitingPerAddressMax: number;
}

/** What is asked. */
interface Question {
  /** Whether anybody still wants to know. */
  isOver(): boolean;
  begin(): Promise<unknown>;
  leave(): void;
}

/** The questions of one address. */
interface Line {
  readonly questions: Question[];
  running: number;
  /** Time before which none begins. */
  notBefore: number;
}

/** One for each kind of question, in each shard. */
export class FairQueue {
  readonly #bounds: QueueBounds;
  readonly #clock: () => number;
  /** In the order in which they have their turn. */
  readonly #lines = new Map<bigint, Line>();
  #waiting = 0;
  #running = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param clock milliseconds. */
  constructor(bounds: QueueBounds, clock: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** Questions that have not begun. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Asks when it is the turn of `address`.
   * @param isOver whether nobody wants to know any more; then nothing is asked.
   * @param isRefusal whether an answer is one that makes the address wait before its next question.
   * @returns what `ask` answers, null when nobody wants to know; rejects with what it throws.
   * @throws BusyError when there is no room for one more.
   */
  run<T>(
    address: string,
    isOver: () => boolean,
    ask: () => Promise<T>,
    isRefusal: (answer: T) => boolean,
  ): Promise<T | null> {
    const key = addressKey(address);
    const { waitingMax, waitingPerAddressMax } = this.#bounds;
    const line = this.#lines.get(key) ?? { questions: [], running: 0, notBefore: 0 };
    if (line.questions.length >= waitingPerAddressMax) this.#sweep(line);
    if (this.#waiting >= waitingMax || line.questions.length >= waitingPerAddressMax) {
      throw new BusyError();
    }
    return new Promise<T | null>((resolve, reject) => {
      const begin = (): Promise<unknown> =>
        ask().then((answer) => {
          if (isRefusal(answer)) line.notBefore = this.#clock() + AFTER_REFUSAL_MS;
          resolve(answer);
        }, reject);
      line.questions.push({ isOver, begin, leave: () => resolve(null) });
      this.#lines.set(key, line);
      this.#waiting++;
      this.#next();
    });
  }

  /** Nothing is asked any more. */
  close(): void {
    for (const { questions } of this.#lines.values()) {
      for (const question of questions) question.leave();
    }
    this.#lines.clear();
    this.#waiting = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Those whose clients have left make room. */
  #sweep(line: Line): void {
    const left = line.questions.filter((question) => !question.isOver());
    for (const question of line.questions) if (question.isOver()) question.leave();
    this.#waiting -= line.questions.length - left.length;
    line.questions.splice(0, line.questions.length, ...left);
  }

  #next(): void {
    while (this.#running < this.#bounds.atOnce) {
      const line = this.#takeLine();
      if (line === null) return;
      const question = line.questions.shift()!;
      this.#waiting--;
      if (question.isOver()) {
        question.leave();
        continue;
      }
      this.#running++;
      line.running++;
      void question.begin().then(() => {
        this.#running--;
        line.running--;
        this.#next();
      });
    }
  }

  /** The first address that may ask what it has, which goes to the end of all. */
  #takeLine(): Line | null {
    const now = this.#clock();
    let earliest = Number.POSITIVE_INFINITY;
    for (const [key, line] of this.#lines) {
      const isWaiting = line.questions.length > 0;
      if (line.notBefore > now) {
        if (isWaiting) earliest = Math.min(earliest, line.notBefore);
      } else if (isWaiting && line.running < this.#bounds.atOncePerAddress) {
        this.#lines.delete(key);
        this.#lines.set(key, line);
        return line;
      } else if (!isWaiting && line.running === 0) {
        this.#lines.delete(key);
      }
    }
    if (earliest < Number.POSITIVE_INFINITY) this.#wake(earliest - now);
    return null;
  }

  #wake(ms: number): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#next();
    }, ms);
    this.#timer.unref();
  }
}
