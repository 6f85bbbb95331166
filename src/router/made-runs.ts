/**
 * Runs that a shard makes itself: wills, messages of the embedding program. Where many clients
 * leave at once, or routes take many steps to be found, they are published over several turns;
 * where the ring is full, when it has room, and where as much waits for the disk as may, when it
 * has taken some. They keep their order, and wait for what other shards have told anybody of
 * before.
 *
 * What would miss sessions that a shard is still to find in the store is put aside, and what comes
 * behind it goes on: a shard that has died may be waited for by somebody who waits here.
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
  /** Called when it is published, in one piece with that; or of who waits, when it is its turn. */
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
  readonly #publish: (run: Run, route: Route, done: (() => void) | null) => boolean;
  readonly #mustWait: (run: Run, route: Route) => boolean;
  /** What is not published yet, in order. */
  readonly #waiting: Made[] = [];
  /** What was put aside, in order. */
  #aside: Made[] = [];
  #bytes = 0;
  #stepsLeft = MADE_RUNS_STEPS_PER_TURN;
  /** What goes on may take a flush, behind which it would go on once more with the same. */
  #isGoingOn = false;
  #isHeld = false;
  /** Whether what goes this way is to be put aside, until `takeUp`. */
  isTooEarly: (route: Route, header: number) => boolean = () => false;

  /**
   * @param publish false when the ring has no room: nothing is done. `done` is to be called in one
   *   piece with what is done.
   * @param mustWait it is to be kept, and the disk has to take other things first. Default: never.
   */
  constructor(
    { routes, link }: MadeParts,
    publish: (run: Run, route: Route, done: (() => void) | null) => boolean,
    mustWait: (run: Run, route: Route) => boolean = () => false,
  ) {
    this.#routes = routes;
    this.#link = link;
    this.#publish = publish;
    this.#mustWait = mustWait;
  }

  /** Bytes that wait, as they count for MADE_RUNS_BYTES_MAX. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether runs wait, or somebody for them. */
  get areWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What waits does so for the disk, as far as was seen last. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Publishes a run, now or later. @param done called when it is, in one piece with that. */
  publish(run: Run, topicKey: string, done: (() => void) | null = null): void {
    const isNext = this.#waiting.length === 0 && !this.#link.hasNews;
    if (isNext && this.#tryRun({ mark: 0, run, topicKey, done }, run)) return;
    this.#waiting.push({ mark: this.#link.mark(), run, topicKey, done });
    this.#bytes += bytesOf(run);
  }

  /**
   * Calls back when every run made before is on the ring, or put aside: now, but for what waits.
   */
  whenPublished(done: () => void): void {
    if (this.#waiting.length === 0 && !this.#isRingFull) done();
    else this.#waiting.push({ mark: 0, run: null, topicKey: '', done });
  }

  /** The same, and what is put aside is waited for, too. */
  whenAllPublished(done: () => void): void {
    const look = () => {
      if (this.#aside.length === 0) done();
      else this.#aside.push({ mark: 0, run: null, topicKey: '', done: look });
    };
    this.whenPublished(look);
  }

  /** What was put aside may be published now, as far as it is not too early still. */
  takeUp(): void {
    if (this.#aside.length === 0) return;
    this.#waiting.unshift(...this.#aside);
    this.#aside = [];
  }

  /**
   * A turn begins, or there is room in the ring again: goes on with what waits. @returns whether
   * there is more that waits neither for the ring nor for the disk.
   */
  goOn(): boolean {
    if (this.#isGoingOn) return false;
    this.#stepsLeft = MADE_RUNS_STEPS_PER_TURN;
    const waiting = this.#waiting;
    let done = 0;
    this.#isGoingOn = true;
    this.#isHeld = false;
    try {
      while (done < waiting.length && this.#try(waiting[done]!)) done++;
    } finally {
      this.#isGoingOn = false;
      if (done > 0) waiting.splice(0, done);
    }
    return waiting.length > 0 && !this.#isRingFull && !this.#isHeld;
  }

  get #isRingFull(): boolean {
    return this.#link.isBlocked;
  }

  #try(made: Made): boolean {
    const { mark, run, done } = made;
    if (run === null) {
      if (this.#isRingFull) return false;
      done?.();
      return true;
    }
    if (!this.#link.isPast(mark) || !this.#tryRun(made, run)) return false;
    this.#bytes -= bytesOf(run);
    return true;
  }

  /**
   * @returns false when the ring or the disk has no room, or its route was not found within what is
   * left of the turn's steps.
   */
  #tryRun(made: Made, run: Run): boolean {
    if (this.#stepsLeft <= 0 || this.#isRingFull) return false;
    const before = this.#routes.matchSteps;
    const route = this.#routes.findKeyWithin(made.topicKey, this.#stepsLeft);
    this.#stepsLeft -= this.#routes.matchSteps - before;
    if (route === null) return false;
    if (this.isTooEarly(route, run.header)) {
      this.#aside.push(made);
      this.#bytes += bytesOf(run);
      return true;
    }
    this.#isHeld = this.#mustWait(run, route);
    return !this.#isHeld && this.#publish(run, route, made.done);
  }
}

/** What a run that waits takes. */
function bytesOf({ bytes }: Run): number {
  return bytes.length + QUEUED_RUN_COST_BYTES;
}
