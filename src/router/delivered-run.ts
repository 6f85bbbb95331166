/** The run that is being delivered, and the copies that queues have of it. */
import { RETAIN } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import { checkFrames } from '../protocol/run-check.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import type { AliasedRun } from './run-traits.js';

/** One is filled again and again. */
export class DeliveredRun {
  topicKey = '';
  buffer: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  header = 0;
  count = 0;
  propertyBytes = 0;
  expiresAt = 0;
  /** Its bytes are not canonical yet: `settle` makes them so. */
  aliased: AliasedRun | null = null;
  /** Lies in shared memory. */
  isFromRing = false;
  /**
   * Where in the arena a session was given the whole run at QoS 1 or 2; -1: nowhere. A flush in
   * between delivers no run, so it is always this one's.
   */
  copyAt = -1;
  /** The arena's rewinds then: after another, other bytes are there. */
  copyRewinds = 0;
  /** The copy that queues share, once one needs it. */
  #kept: Run | null = null;

  get topicLength(): number {
    return this.topicKey.length;
  }

  get bytes(): number {
    return this.end - this.start;
  }

  /** Bytes of it when it is canonical, or more. */
  get bytesMax(): number {
    const growth = this.aliased === null ? 0 : this.count * this.topicKey.length;
    return this.end - this.start + growth;
  }

  /** Its bytes are canonical from here on. */
  settle(): void {
    const { aliased } = this;
    if (aliased === null) return;
    aliased.settle();
    this.aliased = null;
    this.buffer = aliased.buffer;
    this.start = aliased.start;
    this.end = aliased.end;
  }

  /**
   * A copy of the last `left` messages, from `from` on, of a run that is canonical: sessions that
   * take as many share one.
   */
  keep(total: QueuedTotal, from: number, left: number): Run {
    const { buffer, end, header, topicLength, propertyBytes, expiresAt } = this;
    const kept = this.#kept;
    if (kept !== null && kept.count === left) return kept;
    // It is kept, and would be met again when nobody knows where it came from.
    if (this.isFromRing) checkFrames(buffer, from, end, left);
    this.letGoOfKept(total);
    const made = total.copyRun(
      buffer,
      from,
      end,
      header & ~RETAIN,
      topicLength,
      left,
      propertyBytes,
      expiresAt,
    );
    this.#kept = made;
    return made;
  }

  /** It is delivered: what was kept is in the queues that it will be in. */
  letGoOfKept(total: QueuedTotal): void {
    const kept = this.#kept;
    if (kept === null) return;
    this.#kept = null;
    total.delivered(kept);
  }
}
