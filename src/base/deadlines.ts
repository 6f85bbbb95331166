/**
 * Every deadline of a thread in one timing wheel. Setting, moving and cancelling one takes a few
 * stores, however many there are, and a deadline that is far off costs nothing at a tick.
 *
 * Time goes in ticks of SWEEP_MS. Four wheels of 256 slots each: a slot of the first holds what is
 * due in one tick, a slot of the next what is due in 256 of them, and so on, up to years. When time
 * comes to a slot of a coarser wheel, what is in it is filed anew, one wheel finer.
 *
 * Whoever expects signs of life does not move a deadline at each of them: it notes when the last
 * one came, looks when the deadline comes, and sets it again for what is left.
 */
import { DEADLINES_MS_PER_TICK, STAMP_SLACK_MS, SWEEP_MS } from './limits.js';

const SLOT_BITS = 8;
const SLOTS = 1 << SLOT_BITS;
const WHEELS = 4;
/** Further off than this nothing is filed: it would come round at once. */
const TICKS_MAX = 2 ** 31;
/** Deadlines handled between two looks at the time that it takes. */
const BETWEEN_LOOKS = 32;

/** Something with one deadline: a link of the list it is in. Made to be inherited from. */
export class Deadline {
  /** The tick it is due at, while it is set. */
  dueTick = 0;
  nextDeadline: Deadline | null = null;
  previousDeadline: Deadline | null = null;

  get isDeadlineSet(): boolean {
    return this.nextDeadline !== null;
  }

  /** It will not come. Does nothing when it is not set. */
  cancelDeadline(): void {
    if (this.nextDeadline !== null) unlink(this);
  }
}

/** One a thread. */
export class Deadlines<D extends Deadline> {
  readonly #onDue: (deadline: D) => void;
  readonly #clock: () => number;
  /** Heads of rings of deadlines: wheel by wheel, slot by slot. */
  readonly #slots = Array.from({ length: WHEELS * SLOTS }, newList);
  /** To be filed anew, and to be told. Emptied tick by tick if they are many. */
  readonly #toFile = newList();
  readonly #due = newList();
  #tick: number;
  #now: number;

  /**
   * @param now milliseconds of the clock that `advance` is called with: a ListeningTime.
   * @param onDue called for each deadline that has come; it is not set any more, and may be again.
   * @param clock milliseconds, to bound what one `advance` takes.
   */
  constructor(
    now: number,
    onDue: (deadline: D) => void,
    clock: () => number = () => performance.now(),
  ) {
    this.#now = now;
    this.#tick = Math.floor(now / SWEEP_MS);
    this.#onDue = onDue;
    this.#clock = clock;
  }

  /** Coarse time, to stamp with what deadlines count from: that of the last `advance`. */
  get now(): number {
    return this.#now;
  }

  /** Deadlines set: counts them, for tests. */
  get size(): number {
    let size = 0;
    for (const head of [...this.#slots, this.#toFile, this.#due]) {
      for (let at = head.nextDeadline!; at !== head; at = at.nextDeadline!) size++;
    }
    return size;
  }

  /**
   * Sets a deadline, or moves it: it comes when at least `delayMs` have passed since what was
   * stamped `since` with `now`, never earlier, and two to four ticks later as a rule.
   */
  set(deadline: D, since: number, delayMs: number): void {
    deadline.cancelDeadline();
    const due = Math.ceil((since + delayMs + STAMP_SLACK_MS) / SWEEP_MS);
    deadline.dueTick = Math.max(due, this.#tick + 1);
    this.#file(deadline);
  }

  /**
   * It is `now`. What there is no time for (DEADLINES_MS_PER_TICK) is done at the next
   * call.
   */
  advance(now: number): void {
    this.#now = now;
    const tick = Math.floor(now / SWEEP_MS);
    while (this.#tick < tick) this.#enterNext();
    const until = this.#clock() + DEADLINES_MS_PER_TICK;
    for (let left = BETWEEN_LOOKS; ; left--) {
      if (left === 0) {
        if (this.#clock() >= until) return;
        left = BETWEEN_LOOKS;
      }
      const due = this.#due.nextDeadline!;
      if (due !== this.#due) {
        unlink(due);
        this.#onDue(due as D);
        continue;
      }
      const unfiled = this.#toFile.nextDeadline!;
      if (unfiled === this.#toFile) return;
      unlink(unfiled);
      this.#file(unfiled);
    }
  }

  /** Takes the lists of the slots that the next tick comes to. */
  #enterNext(): void {
    this.#tick++;
    const tick = this.#tick;
    moveAll(this.#slots[tick % SLOTS], this.#due);
    for (let wheel = 1, span = SLOTS; wheel < WHEELS && tick % span === 0; wheel++) {
      moveAll(this.#slots[wheel * SLOTS + (Math.floor(tick / span) % SLOTS)], this.#toFile);
      span *= SLOTS;
    }
  }

  #file(deadline: Deadline): void {
    const tick = this.#tick;
    const due = Math.min(deadline.dueTick, tick + TICKS_MAX);
    if (due <= tick) {
      link(deadline, this.#due);
      return;
    }
    let wheel = 0;
    let span = 1;
    while (due - tick >= span * SLOTS) {
      wheel++;
      span *= SLOTS;
    }
    link(deadline, this.#slots[wheel * SLOTS + (Math.floor(due / span) % SLOTS)]);
  }
}

/** An empty list: a ring of its head alone. */
function newList(): Deadline {
  const head = new Deadline();
  head.nextDeadline = head;
  head.previousDeadline = head;
  return head;
}

/** Puts a deadline at the end of a list. */
function link(deadline: Deadline, head: Deadline): void {
  const last = head.previousDeadline!;
  deadline.previousDeadline = last;
  deadline.nextDeadline = head;
  last.nextDeadline = deadline;
  head.previousDeadline = deadline;
}

function unlink(deadline: Deadline): void {
  const next = deadline.nextDeadline!;
  const previous = deadline.previousDeadline!;
  previous.nextDeadline = next;
  next.previousDeadline = previous;
  deadline.nextDeadline = null;
  deadline.previousDeadline = null;
}

/** Puts all of one list at the end of another. */
function moveAll(from: Deadline, to: Deadline): void {
  const first = from.nextDeadline!;
  if (first === from) return;
  const last = from.previousDeadline!;
  from.nextDeadline = from;
  from.previousDeadline = from;
  const end = to.previousDeadline!;
  end.nextDeadline = first;
  first.previousDeadline = end;
  last.nextDeadline = to;
  to.previousDeadline = last;
}
