/**
 * Lets many small reads come together. A worker that some hundred clients keep waking, one message
 * at a time, spends more on going to sleep, on waking up and on the turns of its event loop than on
 * the messages. Where that is so the thread waits a moment between turns, as network cards do
 * before they interrupt.
 *
 * A wait pays when several clients were read behind it, none of which had been read just before.
 * So it is not tried on few clients that wait for answers: their messages come no faster for
 * waiting. Nor where many reads come in the time of a wait: they come together by themselves. One
 * that did not pay is tried again after twice as many turns each time.
 */
import {
  COALESCED_READS_MAX,
  COALESCED_READS_MIN,
  COALESCING_RECENT_READS,
  COALESCING_TURNS_BETWEEN_MAX,
  COALESCING_WAIT_MS,
} from '../base/limits.js';

/** Whatever is read: it remembers which read of its shard was its last; 0 before the first. */
export interface Readable {
  readSerial: number;
}

/** One a shard. */
export class Coalescing {
  readonly #wait: () => void;
  #serial = 0;
  /** Since the last turn: reads, and those among them of clients read just before. */
  #reads = 0;
  #repeats = 0;
  #hasWaited = false;
  #turnsToSkip = 0;
  #turnsBetween = 1;

  /** @param wait blocks the thread for COALESCING_WAIT_MS; tests count. */
  constructor(wait: () => void = waitOnce) {
    this.#wait = wait;
  }

  /** A client was read. */
  onRead(client: Readable): void {
    const serial = ++this.#serial;
    this.#reads++;
    const isFirst = client.readSerial === 0;
    if (isFirst || serial - client.readSerial <= COALESCING_RECENT_READS) this.#repeats++;
    client.readSerial = serial;
  }

  /**
   * A turn has ended with everything sent and nothing left to do.
   * @param hasDrained records of other shards came in it: they count as one read.
   * @returns whether the thread has waited: the event loop is to look for reads, not to sleep.
   */
  onTurnEnd(hasDrained: boolean): boolean {
    const reads = this.#reads + (hasDrained ? 1 : 0);
    const isFew = reads <= COALESCED_READS_MAX;
    if (this.#hasWaited) {
      this.#judge(isFew && reads >= COALESCED_READS_MIN && this.#repeats === 0);
    }
    this.#reads = 0;
    this.#repeats = 0;
    this.#hasWaited = false;
    if (reads === 0 || !isFew) return false;
    if (this.#turnsToSkip > 0) {
      this.#turnsToSkip--;
      return false;
    }
    this.#hasWaited = true;
    this.#wait();
    return true;
  }

  #judge(hasPaid: boolean): void {
    this.#turnsBetween = hasPaid
      ? 1
      : Math.min(2 * this.#turnsBetween, COALESCING_TURNS_BETWEEN_MAX);
    this.#turnsToSkip = hasPaid ? 0 : this.#turnsBetween;
  }
}

/** A word that never changes: to wait for it is to wait for the time to pass. */
const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

function waitOnce(): void {
  Atomics.wait(never, 0, 0, COALESCING_WAIT_MS);
}
