/** Watches a broker while a load runs: whether its memory grows, whether its event loops stand. */
import type { BrokerUnderTest } from './broker-process.js';
import { measured } from './measure-load.js';
import { type Measure, type MemoryCurve, median } from './results.js';

const MEMORY_SAMPLE_MS = 250;
/** The broker tells the longest delay of the last minute: asked twice as often, none is missed. */
const STATS_MS = 30_000;
/** From here on what it tells is of the time after the first minute, when all is compiled. */
const SETTLED_MS = 120_000;
/** Points of a curve: more would not be seen. */
const CURVE_POINTS_MAX = 60;

/** From its making to `stop`. */
export class BrokerWatch {
  readonly #broker: BrokerUnderTest;
  readonly #memory: number[] = [];
  readonly #timers: NodeJS.Timeout[];
  readonly #startedAt = performance.now();
  /** Null until the broker has told; some cannot. */
  #loopDelayMs: number | null = null;
  #settledLoopDelayMs: number | null = null;

  constructor(broker: BrokerUnderTest) {
    this.#broker = broker;
    const sample = (): void => {
      const bytes = broker.residentBytes();
      if (bytes !== null) this.#memory.push(bytes);
    };
    this.#timers = [
      setInterval(sample, MEMORY_SAMPLE_MS),
      setInterval(() => void this.#ask(), STATS_MS),
    ];
  }

  async #ask(): Promise<void> {
    const stats = await this.#broker.stats();
    if (stats === null) return;
    const { eventLoopDelayMs } = stats;
    this.#loopDelayMs = Math.max(this.#loopDelayMs ?? 0, eventLoopDelayMs);
    if (performance.now() - this.#startedAt < SETTLED_MS) return;
    this.#settledLoopDelayMs = Math.max(this.#settledLoopDelayMs ?? 0, eventLoopDelayMs);
  }

  /** Ends watching; its last look is at the end. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#ask();
  }

  /** Memory near the beginning and at the end, and the longest delay of an event loop. */
  measures(): Measure[] {
    const samples = this.#memory;
    const tenth = Math.max(1, Math.floor(samples.length / 10));
    return [
      ...measured('memory after a tenth', 'bytes', median(samples.slice(tenth, 2 * tenth + 1))),
      ...measured('memory at the end', 'bytes', median(samples.slice(-tenth))),
      ...delayMeasure('event-loop delay', this.#loopDelayMs),
      ...delayMeasure('the same after a minute', this.#settledLoopDelayMs),
    ];
  }

  /** Memory over time: medians of as many stretches as a chart can show. */
  curve(): MemoryCurve {
    const samples = this.#memory;
    const stretch = Math.max(1, Math.ceil(samples.length / CURVE_POINTS_MAX));
    const bytes: number[] = [];
    for (let at = 0; at < samples.length; at += stretch) {
      bytes.push(median(samples.slice(at, at + stretch)));
    }
    return { everyMs: stretch * MEMORY_SAMPLE_MS, bytes };
  }
}

function delayMeasure(name: string, milliseconds: number | null): Measure[] {
  return measured(name, 'nanoseconds', milliseconds === null ? null : milliseconds * 1e6);
}
