/** Whether the memory of a soak run's broker stays flat. */
import type { SoakBroker } from './soak-broker.js';

/** Resident bytes are looked at so many times in a run. */
const SAMPLES = 120;
/** What the last third of a run may have above the middle one: a part, and some for noise. */
const GROWTH_MAX = 1.1;
const NOISE_MIB = 24;
/** A shorter run is still warming up when it ends. */
const JUDGED_FROM_SECONDS = 600;

const MIB = 2 ** 20;

/** Looks at the resident memory of the broker while it exists, and prints it now and then. */
export class MemoryWatch {
  readonly #broker: SoakBroker;
  readonly #seconds: number;
  readonly #samples: number[] = [];
  readonly #timer: NodeJS.Timeout;

  /** @param seconds the length of the run. */
  constructor(broker: SoakBroker, seconds: number) {
    this.#broker = broker;
    this.#seconds = seconds;
    this.#timer = setInterval(() => this.#look(), (seconds * 1_000) / SAMPLES);
  }

  /** Ends it. @returns a fault if memory has grown to the end of the run. */
  stop(): string[] {
    clearInterval(this.#timer);
    if (this.#seconds < JUDGED_FROM_SECONDS) return [];
    const { middleMiB, lastMiB } = this.figures;
    if (lastMiB <= middleMiB * GROWTH_MAX + NOISE_MIB) return [];
    return [`memory grew: ${middleMiB} MiB in the middle of the run, ${lastMiB} at its end`];
  }

  /** Medians of the middle and the last third of the run, and the most there was, in MiB. */
  get figures(): { middleMiB: number; lastMiB: number; mostMiB: number } {
    const third = Math.floor(this.#samples.length / 3);
    return {
      middleMiB: median(this.#samples.slice(third, 2 * third)),
      lastMiB: median(this.#samples.slice(2 * third)),
      mostMiB: Math.max(0, ...this.#samples),
    };
  }

  #look(): void {
    this.#samples.push(Math.round(this.#broker.residentBytes / MIB));
    const count = this.#samples.length;
    if (count % 10 !== 0) return;
    const minutes = ((count / SAMPLES) * this.#seconds) / 60;
    console.log(`${minutes.toFixed(1)} min: ${this.#samples.at(-1)} MiB`);
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
