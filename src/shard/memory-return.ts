/**
 * Gives memory back when much of what waited is gone. V8 collects when something is allocated,
 * which may be hours later, and the C library keeps what is freed: 1,000 absent sessions that had
 * 600 MiB left them all resident. So it is asked for: a collection, and, when what it has freed is
 * free, to return that to the system.
 */
import { collectGarbage } from '../base/collect-garbage.js';
import { trimMemory } from '../base/libc.js';
import {
  MEMORY_RETURN_BYTES_MIN,
  MEMORY_RETURN_HEAP_BYTES_MAX,
  MEMORY_RETURN_SECONDS_MIN,
} from '../base/limits.js';

/** How it is done; tests bring their own. */
export interface MemoryReturnSteps {
  /** Bytes of this thread's heap, garbage too. */
  heapBytes(): number;
  collect(): void;
  trim(): void;
}

/** The real steps. */
export function memoryReturnSteps(heapBytes: () => number): MemoryReturnSteps {
  return { heapBytes, collect: () => void collectGarbage(), trim: trimMemory };
}

/** One a shard. */
export class MemoryReturn {
  readonly #steps: MemoryReturnSteps;
  /** The most that was kept since memory was given back last. */
  #peakBytes = 0;
  #keptBytes = 0;
  #secondsSince = MEMORY_RETURN_SECONDS_MIN;
  #isCollected = false;

  constructor(steps: MemoryReturnSteps) {
    this.#steps = steps;
  }

  /** To be called once a second. @param keptBytes what waits now, for whomever. */
  onSecond(keptBytes: number): void {
    this.#secondsSince++;
    if (this.#isCollected) {
      this.#isCollected = false;
      this.#steps.trim();
    }
    const isFalling = keptBytes < this.#keptBytes - MEMORY_RETURN_BYTES_MIN / 8;
    this.#keptBytes = keptBytes;
    this.#peakBytes = Math.max(this.#peakBytes, keptBytes);
    if (this.#peakBytes - keptBytes < MEMORY_RETURN_BYTES_MIN) return;
    // While more is being let go of, once for all of it.
    if (isFalling || this.#secondsSince < MEMORY_RETURN_SECONDS_MIN) return;
    this.#secondsSince = 0;
    this.#peakBytes = keptBytes;
    this.#isCollected = true;
    // With a large heap it would hold everybody up: V8 does it in steps when it sees fit.
    if (this.#steps.heapBytes() <= MEMORY_RETURN_HEAP_BYTES_MAX) this.#steps.collect();
  }
}
