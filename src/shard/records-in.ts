/** From a record on a peer's ring to the part of the shard that it is for. */
import { RecordError } from '../base/errors.js';
import { WORK_PER_LOOK } from '../base/turn-limits.js';
import { workOfRun } from '../connection/turn-share.js';
import { unpackInterestChange } from '../router/interest.js';
import type { RecordHandler } from '../router/peer-link.js';
import { isOfGroups, RecordKind } from '../router/records.js';
import { AWAITS_DURABLE, COUNT_SHIFT } from '../router/run-words.js';
import { askFor } from './backpressure.js';
import type { Shard } from './shard.js';

const NO_BYTES = Buffer.alloc(0);

/** Handles the records of all peers, in the order of each peer's ring. */
export class ShardRecords implements RecordHandler {
  readonly #shard: Shard;

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** The record given last is to come again: see RecordHandler. */
  isLeft = false;

  get isSpent(): boolean {
    return this.#shard.share.isSpent;
  }

  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const shard = this.#shard;
    this.isLeft = false;
    switch (kind) {
      case RecordKind.run:
        this.#onRun(from, word0, word1, word2, word3, buffer, start, end);
        return;
      case RecordKind.run5:
        this.#onRun5(from, word0, word1, word2, word3, buffer, start, end);
        return;
      case RecordKind.interest:
        this.#onInterest(from, word0, word1, buffer, start, end);
        return;
      case RecordKind.interestConfirmed:
        shard.interest.onConfirmed(from, word0, word1);
        return;
      case RecordKind.slowDown:
      case RecordKind.goOn:
        askFor(shard.patience, from, word0, word1, kind === RecordKind.slowDown);
        return;
      case RecordKind.readersQuery:
        shard.patience.onReadersQuery(from, word0, buffer.toString('latin1', start, end));
        return;
      case RecordKind.readersKeepUp:
        shard.patience.onReadersKeepUp(word0);
        return;
      case RecordKind.retainedQuery:
        this.#onRetainedQuery(from, word0, word1, buffer.toString('latin1', start, end));
        return;
      case RecordKind.retainedMessage:
        shard.replays.onMessage(word0, word1, word2, word3, buffer, start, end);
        return;
      case RecordKind.retainedPart:
        shard.replays.onPart(word0, word1 === 1);
        return;
      case RecordKind.retainedMore:
        shard.replays.answers.onMore(from, word0, word1 === 1);
        return;
      case RecordKind.handoverOffer:
      case RecordKind.handoverTake:
      case RecordKind.handoverFilters:
      case RecordKind.handoverCut:
      case RecordKind.handoverCutDone:
      case RecordKind.handoverHead:
      case RecordKind.handoverRun:
      case RecordKind.handoverTraits:
      case RecordKind.handoverPart:
      case RecordKind.handoverMore:
        // One that brings filters takes as long as a share of a turn.
        shard.share.spend(WORK_PER_LOOK);
        shard.takeover.onRecord(from, kind, word0, word1, word2, word3, buffer, start, end);
        return;
      default:
        if (!isOfGroups(kind)) throw new RecordError(`a record is of no kind: ${kind}`);
        shard.members.onRecord(from, kind, word0, word1, word2, word3, buffer, start, end);
        shard.turn.flushWhenFull();
    }
  }

  #onRun(
    from: number,
    publisherId: number,
    word1: number,
    topicLength: number,
    count: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    let subscribers = 0;
    try {
      subscribers = this.#shard.router.onRunRecord(
        from,
        publisherId,
        word1,
        topicLength,
        count,
        buffer,
        start,
        end,
      );
    } finally {
      if (subscribers >= 0) this.#onHandled(from, word1);
    }
    this.#onRouted(count, subscribers);
  }

  #onRun5(
    from: number,
    publisherId: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    let subscribers = 0;
    try {
      subscribers = this.#shard.router.onRun5Record(
        from,
        publisherId,
        word1,
        word2,
        word3,
        buffer,
        start,
        end,
      );
    } finally {
      if (subscribers >= 0) this.#onHandled(from, word1);
    }
    this.#onRouted((word2 >>> COUNT_SHIFT) + 1, subscribers);
  }

  /** What cannot be read is handled too: its publisher waits for no more of it. */
  #onHandled(from: number, word1: number): void {
    if ((word1 & AWAITS_DURABLE) !== 0) this.#shard.durable?.onHandled(from);
  }

  /** A run of `count` messages was for so many subscribers; -1: it is to come again. */
  #onRouted(count: number, subscribers: number): void {
    const { routes, share, turn } = this.#shard;
    share.spend(routes.takeWork());
    if (subscribers < 0) {
      this.isLeft = true;
      share.end();
      return;
    }
    share.spend(workOfRun(count, subscribers));
    turn.flushWhenFull();
  }

  #onRetainedQuery(from: number, replayId: number, bytesMax: number, filterKey: string): void {
    const { answers } = this.#shard.replays;
    if (bytesMax > 0) answers.onWholeQuery(from, replayId, filterKey, bytesMax);
    else answers.onQuery(from, replayId, filterKey);
  }

  #onInterest(
    from: number,
    low: number,
    high: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const { topics, routes, link, share, durable } = this.#shard;
    share.spend(WORK_PER_LOOK);
    const { added, removed, kept = [], orphaned } = unpackInterestChange(buffer, start, end);
    if (orphaned !== undefined) durable?.orphaned.onTold(orphaned);
    for (const filterKey of added) {
      topics.addShard(filterKey, from);
      routes.invalidate(filterKey);
    }
    for (const filterKey of removed) {
      topics.removeShard(filterKey, from);
      routes.invalidate(filterKey);
    }
    for (const filterKey of kept) {
      topics.keepShard(filterKey, from);
      routes.invalidate(filterKey);
    }
    link.send(RecordKind.interestConfirmed, 1 << from, low, high, 0, 0, NO_BYTES, 0, 0);
  }
}
