/**
 * Answers of one shard to its peers' questions for retained messages: what it owns of a filter,
 * part by part, the next when the peer asks for more. See retained-replay.ts.
 */
import { RecordError } from '../base/errors.js';
import { RETAINED_PART_BYTES } from '../base/limits.js';
import { isValidTopicFilter } from '../topics/topic.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import type { Matches } from './replay.js';
import { toFrame } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';

const NO_BYTES = Buffer.alloc(0);

/** A peer's question, answered part by part. */
interface Answer {
  readonly from: number;
  readonly replayId: number;
  readonly matches: Matches;
  /** The peer wants the next part. */
  isWanted: boolean;
}

/** What they work with, all of one shard. */
export interface AnswerParts {
  readonly link: PeerLink;
  readonly retained: RetainedStore;
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** One a shard. */
export class RetainedAnswers {
  readonly #parts: AnswerParts;
  readonly #answers = new Map<string, Answer>();
  /** An answer is wanted, and the ring had no room for it. */
  #isHeldUp = false;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /**
   * A peer wants what this shard owns of a filter. It is answered by `pump`, once the rings have
   * been read to their ends: a message acknowledged before the subscription was made is then in the
   * store.
   * @throws RecordError when `filterKey` is no filter.
   */
  onQuery(from: number, replayId: number, filterKey: string): void {
    if (!isValidTopicFilter(filterKey)) throw new RecordError('retained messages of no filter');
    const matches = this.#parts.retained.match(filterKey);
    this.#answers.set(`${from}/${replayId}`, { from, replayId, matches, isWanted: true });
    this.#parts.schedule();
  }

  /** A peer wants the next part, or gives up. */
  onMore(from: number, replayId: number, goOn: boolean): void {
    const answer = this.#answers.get(`${from}/${replayId}`);
    if (answer === undefined) return;
    if (!goOn) this.#answers.delete(`${from}/${replayId}`);
    answer.isWanted = true;
    this.#parts.schedule();
  }

  /** A peer died: it asks nothing any more. */
  dropPeer(index: number): void {
    for (const [key, answer] of this.#answers) if (answer.from === index) this.#answers.delete(key);
  }

  /** One turn's work; called when the rings have been read to their ends. */
  pump(): void {
    for (const [key, answer] of this.#answers) {
      if (!answer.isWanted) continue;
      if (this.#parts.link.backlogBytes === 0) this.#sendPart(key, answer);
      else this.#isHeldUp = true;
    }
  }

  /** The ring has room again: the flush that has found it comes behind the turn's `pump`. */
  onRingRoom(): void {
    if (!this.#isHeldUp) return;
    this.#isHeldUp = false;
    this.#parts.schedule();
  }

  #sendPart(key: string, answer: Answer): void {
    const { from, replayId, matches } = answer;
    answer.isWanted = false;
    for (let bytes = 0; bytes < RETAINED_PART_BYTES; ) {
      const next = matches.next();
      if (next.done) {
        this.#answers.delete(key);
        this.#tellPart(from, replayId, 1);
        return;
      }
      if (next.value === null) {
        answer.isWanted = true;
        this.#parts.schedule();
        return;
      }
      const [topicKey, message] = next.value;
      const frame = toFrame(message);
      const { length } = frame;
      const kind = RecordKind.retainedMessage;
      const { link } = this.#parts;
      link.send(kind, 1 << from, replayId, 0, topicKey.length, 0, frame, 0, length);
      bytes += length;
    }
    this.#tellPart(from, replayId, 0);
  }

  #tellPart(to: number, replayId: number, isLast: number): void {
    this.#parts.link.send(RecordKind.retainedPart, 1 << to, replayId, isLast, 0, 0, NO_BYTES, 0, 0);
  }
}
