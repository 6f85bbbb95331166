/**
 * The runs that wait in the queues of a shard, each once, in a table: queues name them by their
 * place in it, a small integer. A run goes to thousands of queues at a time. Were each to refer to
 * it, V8 would have to note and to follow every one of these references from old objects to a new
 * one: half the time of a shard with 10,000 absent sessions, in pauses of up to 45 ms.
 */
import type { Run } from '../protocol/run.js';
import { RunBuffers } from './run-buffers.js';

/** Of a run that has had no place yet. */
export const NO_PLACE = -1;

/** A table of so many places stays: messages that wait for a moment make and drop none. */
const PLACES_KEPT = 1_024;

/** One a shard. */
export class HeldRuns {
  /** What runs may lie in that wait a moment. */
  readonly buffers = new RunBuffers();
  #runs: (Run | null)[] = [];
  /** By place: how many queues the run there is in. */
  #holders: number[] = [];
  /** Places that are free, those behind the end of the table apart. */
  #free: number[] = [];
  #count = 0;

  /** The run at a place that `hold` has given and not every holder let go of. */
  at(place: number): Run {
    return this.#runs[place]!;
  }

  /** How many queues this run is in. */
  holdersOf(run: Run): number {
    const { place = NO_PLACE } = run;
    return place >= 0 && this.#runs[place] === run ? this.#holders[place] : 0;
  }

  /** How many queues the run at this place is in. */
  holdersAt(place: number): number {
    return this.#holders[place];
  }

  /** One more queue holds this run. @returns its place. */
  hold(run: Run): number {
    const { place = NO_PLACE } = run;
    if (place >= 0 && this.#runs[place] === run) {
      this.#holders[place]++;
      return place;
    }
    return this.#add(run);
  }

  /** A queue holds the run at this place no more. @returns how many still do. */
  letGo(place: number): number {
    const left = --this.#holders[place];
    if (left === 0) this.#remove(place);
    return left;
  }

  #add(run: Run): number {
    let place = this.#free.pop() ?? this.#runs.length;
    // Places that the table was cut off at.
    while (place > this.#runs.length) place = this.#free.pop() ?? this.#runs.length;
    if (place === this.#runs.length) {
      this.#runs.push(run);
      this.#holders.push(1);
    } else {
      this.#runs[place] = run;
      this.#holders[place] = 1;
    }
    this.#count++;
    run.place = place;
    return place;
  }

  /** Takes back the memory of a run that is in no queue. */
  giveBack(run: Run): void {
    const { buffer } = run;
    if (buffer === null || buffer === undefined) return;
    run.buffer = null;
    this.buffers.give(buffer);
  }

  /** The bytes of a run are kept by somebody who is no queue: they are never reused. */
  keepBytes(run: Run): void {
    if (run.buffer === null || run.buffer === undefined) return;
    run.buffer = null;
    this.buffers.forget();
  }

  #remove(place: number): void {
    const runs = this.#runs;
    const run = runs[place]!;
    if (run.isInDelivery !== true) this.giveBack(run);
    runs[place] = null;
    this.#count--;
    if (runs.length <= PLACES_KEPT || place < runs.length - 1) {
      if (this.#count > 0 || runs.length <= PLACES_KEPT) {
        this.#free.push(place);
        return;
      }
      this.#runs = [];
      this.#holders = [];
      this.#free = [];
      return;
    }
    // What is free at its end goes back.
    while (runs.length > PLACES_KEPT && runs[runs.length - 1] === null) {
      runs.pop();
      this.#holders.pop();
    }
    if (this.#count === 0) this.#free = Array.from({ length: runs.length }, (_, at) => at);
  }
}
