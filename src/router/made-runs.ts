/**
 * Runs that a shard makes itself: wills, messages of the embedding program. Where many clients
 * leave at once, or routes take many steps to be found, they are published over several turns;
 * where the ring is full, when it has room. They keep their order, and wait for what other shards
 * have told anybody of before.
 */
import { MADE_RUNS_STEPS_PER_TURN, QUEUED_RUN_COST_BYTES } from '../base/limits.js';
import type { Run } from '../protocol/run.js';
import type { PeerLink } from './peer-link.js';
import type { Route, RouteCache } from './route.js';

/** A run that was made here, or null where somebody waits for those before. */
interface Made {
  /** See PeerLink.mark. */
  readonly mark: number;
  readonly run: Run | null;
  readonly topicKey: string;
  readonly done: (() => void) | null;
}

/** What they work with; all of one shard. */
export interface MadeParts {
  readonly routes: RouteCache;
  readonly link: PeerLink;
}

/** One a shard. */
export class MadeRuns {
  readonly #routes: RouteCache;
  readonly #link: PeerLink;
  readonly #publish: (run: Run, route: Route) => boolean;
  /** What is not published yet, in order. */
  readonly #waiting: Made[] = [];
  #bytes = 0;
  #stepsLeft = MADE_RUNS_STEPS_PER_TURN;
  /** What goes on may take a flush, behind which it would go on once more with the same. */
  #isGoingOn = false;

  /** @param publish false when the ring has no room: nothing is done. */
  constructor({ routes, link }: MadeParts, publish: (run: Run, route: Route) => boolean) {
    this.#routes = routes;
    this.#link = link;
    this.#publish = publish;
  }

  /** Bytes that wait, as they count for MADE_RUNS_BYTES_MAX. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether runs wait, or somebody for them. */
  get areWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Publishes a run, now or later. */
  publish(run: Run, topicKey: string): void {
    if (this.#waiting.length === 0 && !this.#link.hasNews && this.#tryRun(run, topicKey)) return;
    this.#waiting.push({ mark: this.#link.mark(), run, topicKey, done: null });
    this.#bytes += bytesOf(run);
  }

  /** Calls back when every run made before is on the ring: now, but for what waits. */
  whenPublished(done: () => void): void {
    if (this.#waiting.length === 0 && !this.#isRingFull) done();
    else this.#waiting.push({ mark: 0, run: null, topicKey: '', done });
  }

  /**
   * A turn begins, or there is room in the ring again: goes on with what waits. @returns whether
   * there is more that does not wait for the ring.
   */
  goOn(): boolean {
    if (this.#isGoingOn) return false;
    this.#stepsLeft = MADE_RUNS_STEPS_PER_TURN;
    const waiting = this.#waiting;
    let done = 0;
    this.#isGoingOn = true;
    try {
      while (done < waiting.length && this.#try(waiting[done]!)) done++;
    } finally {
      this.#isGoingOn = false;
      if (done > 0) waiting.splice(0, done);
    }
    return waiting.length > 0 && !this.#isRingFull;
  }

  get #isRingFull(): boolean {
    return this.#link.isBlocked;
  }

  #try({ mark, run, topicKey, done }: Made): boolean {
    if (run === null) {
      if (this.#isRingFull) return false;
      done?.();
      return true;
    }
    if (!this.#link.isPast(mark) || !this.#tryRun(run, topicKey)) return false;
    this.#bytes -= bytesOf(run);
    return true;
  }

  /**
   * @returns false when the ring has no room, or its route was not found within what is left of the
   * turn's steps.
   */
  #tryRun(run: Run, topicKey: string): boolean {
    if (this.#stepsLeft <= 0 || this.#isRingFull) return false;
    const before = this.#routes.matchSteps;
    const route = this.#routes.findKeyWithin(topicKey, this.#stepsLeft);
    this.#stepsLeft -= this.#routes.matchSteps - before;
    return route !== null && this.#publish(run, route);
  }
}

/** What a run that waits takes. */
function bytesOf({ bytes }: Run): number {
  return bytes.length + QUEUED_RUN_COST_BYTES;
}
