/** Where a window looks for the next message to be sent again. */
import { frameEnd } from '../protocol/publish-frame.js';
import { AGAIN, type Inflight, STATE_MASK } from './inflight.js';
import type { RunQueue } from './run-queue.js';

/** One a window. */
export class AgainCursor {
  /** Place in the span; below 0 at messages of the first entry that have left it. */
  offset = 0;
  /** Its entry, its index in that, and the byte that its frame begins at. */
  entry = 0;
  index = 0;
  position = 0;

  /** @param gone messages of the first entry that have left the span. */
  rewind(gone: number): void {
    this.offset = -gone;
    this.entry = 0;
    this.index = 0;
    this.position = 0;
  }

  /** Moves on to the next marked message, which must be. @returns its state. */
  seek(inflight: Inflight, runs: RunQueue): number {
    for (;;) {
      if (this.offset >= 0) {
        const word = inflight.wordAt(this.offset);
        if ((word & AGAIN) !== 0) return word & STATE_MASK;
      }
      this.position = frameEnd(runs.runAt(this.entry).bytes, this.position);
      this.offset++;
      this.index++;
      if (this.index === runs.countAt(this.entry)) {
        this.entry++;
        this.index = 0;
        this.position = 0;
      }
    }
  }
}
