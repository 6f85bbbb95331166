/** What the messages that wait in the sessions of a shard take of its memory, all together. */
import { copyBytes } from '../base/copy-bytes.js';
import { QUEUED_ENTRY_COST_BYTES, QUEUED_RUN_COST_BYTES } from '../base/limits.js';
import type { Run } from '../protocol/run.js';
import { EntryBlocks } from './entry-blocks.js';
import { HeldRuns, NO_PLACE } from './held-runs.js';

/** From this part of the limit on, clients that do not acknowledge are sent little more. */
const NEARLY = 7 / 8;

/**
 * What one of `shardCount` shards may let wait. A session may be on any of them, so each has an
 * equal share, and no shard needs to know of the others.
 */
export function queuedShare(totalBytes: number, shardCount: number): number {
  return Math.ceil(totalBytes / shardCount);
}

/**
 * The total of one shard. A run is counted once, however many queues it is in; each entry of a
 * queue is counted as well. What was sent and is kept to be sent again counts like what waits.
 */
export class QueuedTotal {
  /** What is taken. */
  bytes = 0;
  /** In bytes, see `queuedShare`; what waits already stays when it is lowered. */
  limit: number;
  /** What long queues have their entries in. */
  readonly blocks = new EntryBlocks();
  readonly #runs = new HeldRuns();
  #refused = 0;

  /** @param limit default: none. */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit;
  }

  /** There is little room left. */
  get isNearlyFull(): boolean {
    return this.bytes >= NEARLY * this.limit;
  }

  /** Whether one more queue may take this run. */
  hasRoomFor(run: Run): boolean {
    return this.bytes + costOf(run, this.#runs.holdersOf(run)) <= this.limit;
  }

  /** A queue has taken this run. @returns the place by which it names it from here on. */
  hold(run: Run): number {
    const place = this.#runs.hold(run);
    this.bytes += costOf(run, this.#runs.holdersAt(place) - 1);
    return place;
  }

  /** The run at a place that queues hold. */
  runAt(place: number): Run {
    return this.#runs.at(place);
  }

  /** A queue that had taken the run at this place holds it no more. */
  letGo(place: number): void {
    const run = this.#runs.at(place);
    this.bytes -= costOf(run, this.#runs.letGo(place));
  }

  /**
   * A copy of the frames [start, end) that queues may keep, for a delivery: `delivered` must
   * follow.
   */
  copyRun(
    source: Buffer,
    start: number,
    end: number,
    header: number,
    topicLength: number,
    count: number,
    propertyBytes = 0,
    expiresAt = 0,
  ): Run {
    const length = end - start;
    const buffer = this.#runs.buffers.take(length);
    const bytes = buffer === null ? Buffer.allocUnsafe(length) : buffer.subarray(0, length);
    copyBytes(source, start, end, bytes, 0);
    return {
      bytes,
      header,
      topicLength,
      count,
      propertyBytes,
      expiresAt,
      place: NO_PLACE,
      buffer,
      isInDelivery: true,
    };
  }

  /** The delivery of a run that `copyRun` made is over: it is in the queues that it will be in. */
  delivered(run: Run): void {
    run.isInDelivery = false;
    if (this.#runs.holdersOf(run) === 0) this.#runs.giveBack(run);
  }

  /** Somebody beside the queues keeps the bytes of the run at this place. */
  keepBytes(place: number): void {
    this.#runs.keepBytes(this.#runs.at(place));
  }

  /** So many messages found no room. */
  refuse(messages: number): void {
    this.#refused += messages;
  }

  /** How many found none since this was asked the last time: for their counter. */
  takeRefused(): number {
    const refused = this.#refused;
    this.#refused = 0;
    return refused;
  }
}

/** What one more queue costs, where so many hold the run. */
function costOf(run: Run, holders: number): number {
  if (holders > 0) return QUEUED_ENTRY_COST_BYTES;
  return QUEUED_ENTRY_COST_BYTES + QUEUED_RUN_COST_BYTES + run.bytes.length;
}
