/**
 * How long a shard's event loop keeps everyone waiting. Node's own monitorEventLoopDelay is not
 * used: it leaves out the first interval after each reset, so that a longest delay of the last
 * minute cannot be had from it.
 */
import { monotonicMs } from '../base/clock.js';
import { LOOP_DELAY_SAMPLE_MS, LOOP_DELAY_WINDOW_SECONDS } from '../base/limits.js';

/** Looks often how late its timer is, and remembers the worst of each second of a minute. */
export class LoopDelay {
  readonly #worstOfSecond = new Float64Array(LOOP_DELAY_WINDOW_SECONDS);
  #second = 0;
  #dueAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Begins to look. The timer does not keep the thread alive. @param seen told at each look how
   * late it was, in milliseconds.
   */
  start(seen: (lateMs: number) => void): void {
    seen(0);
    this.#dueAt = monotonicMs() + LOOP_DELAY_SAMPLE_MS;
    this.#timer = setInterval(() => seen(this.look(monotonicMs())), LOOP_DELAY_SAMPLE_MS);
    this.#timer.unref();
  }

  /** Ends looking. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look; tests call it with a time of their own, in milliseconds. @returns how late it is. */
  look(now: number): number {
    const late = now - this.#dueAt;
    this.#dueAt = now + LOOP_DELAY_SAMPLE_MS;
    if (late > this.#worstOfSecond[this.#second]) this.#worstOfSecond[this.#second] = late;
    return late;
  }

  /** The longest delay of the last minute, in milliseconds. To be called once a second. */
  onSecond(): number {
    const worst = Math.max(...this.#worstOfSecond);
    this.#second = (this.#second + 1) % LOOP_DELAY_WINDOW_SECONDS;
    this.#worstOfSecond[this.#second] = 0;
    return worst;
  }
}
