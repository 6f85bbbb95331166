/**
 * Answers of one shard to its peers' questions for retained messages: what it owns of a filter,
 * part by part, the next when the peer asks for more. See retained-replay.ts.
 */
import { preciseMs } from '../base/clock.js';
import { RecordError } from '../base/errors.js';
import {
  OPENING_LEVELS_MAX,
  RETAINED_ANSWERS_MS_PER_TURN,
  RETAINED_PART_BYTES,
} from '../base/limits.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { isValidTopicFilter } from '../topics/topic.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import type { Matches } from './replay.js';
import { type RetainedMessage, toFrame } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';
import { highExpiry, lowExpiry } from './run-words.js';

const NO_BYTES = Buffer.alloc(0);

/** A peer's question, answered part by part. */
interface Answer {
  readonly from: number;
  readonly replayId: number;
  readonly matches: Matches;
  /** The peer wants the next part. */
  isWanted: boolean;
}

/** A peer's question of an opening: all in one part of so many bytes, or else nothing. */
interface WholeAnswer {
  readonly from: number;
  readonly replayId: number;
  readonly filterKey: string;
  readonly bytesMax: number;
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
  #whole: WholeAnswer[] = [];
  /** An answer is wanted, and the ring had no room for it. */
  #isHeldUp = false;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /**
   * A peer wants what this shard owns of a filter, part by part. It is answered by `pump`, once the
   * rings have been read to their ends: a message acknowledged before the subscription was made is
   * then in the store.
   * @throws RecordError when `filterKey` is no filter.
   */
  onQuery(from: number, replayId: number, filterKey: string): void {
    if (!isValidTopicFilter(filterKey)) throw new RecordError('retained messages of no filter');
    const matches = this.#parts.retained.match(filterKey);
    this.#answers.set(`${from}/${replayId}`, { from, replayId, matches, isWanted: true });
    this.#parts.schedule();
  }

  /**
   * A peer wants it before a SUBACK goes out (opening.ts), if it is no more than so many bytes. It
   * is answered by `pumpWhole`: all that happened before has come before the question.
   * @throws RecordError when `filterKey` is no filter.
   */
  onWholeQuery(from: number, replayId: number, filterKey: string, bytesMax: number): void {
    if (!isValidTopicFilter(filterKey)) throw new RecordError('retained messages of no filter');
    this.#whole.push({ from, replayId, filterKey, bytesMax });
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
    this.#whole = this.#whole.filter(({ from }) => from !== index);
  }

  /** One turn's work; called when the rings have been read to their ends. */
  pump(): void {
    for (const [key, answer] of this.#answers) {
      if (!answer.isWanted) continue;
      if (this.#parts.link.backlogBytes === 0) this.#sendPart(key, answer);
      else this.#isHeldUp = true;
    }
  }

  /** One turn's work beside it, whether the rings have been read to their ends or not. */
  pumpWhole(): void {
    const whole = this.#whole;
    if (whole.length === 0) return;
    const end = preciseMs() + RETAINED_ANSWERS_MS_PER_TURN;
    let answered = 0;
    while (answered < whole.length && this.#parts.link.backlogBytes === 0) {
      this.#sendWhole(whole[answered++]!);
      if (preciseMs() >= end) break;
    }
    whole.splice(0, answered);
    if (whole.length === 0) return;
    if (this.#parts.link.backlogBytes > 0) this.#isHeldUp = true;
    else this.#parts.schedule();
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
      bytes += this.#sendMessage(answer, next.value);
    }
    this.#tellPart(from, replayId, 0);
  }

  /** What is more than wanted, or takes long to find, is given up: nobody waits for it. */
  #sendWhole(answer: WholeAnswer): void {
    const { from, replayId, filterKey, bytesMax } = answer;
    const matches = this.#parts.retained.match(filterKey, OPENING_LEVELS_MAX);
    let next = matches.next();
    for (let bytes = 0; !next.done && next.value !== null; next = matches.next()) {
      bytes += next.value[1].length;
      if (bytes > bytesMax) break;
      this.#sendMessage(answer, next.value);
    }
    this.#tellPart(from, replayId, next.done ? 1 : 0);
  }

  /** @returns its bytes, 0 when it has expired. */
  #sendMessage(
    { from, replayId }: Answer | WholeAnswer,
    [topicKey, message]: RetainedMatch<RetainedMessage>,
  ): number {
    const { link, retained } = this.#parts;
    if (retained.clearExpired(topicKey, message)) return 0;
    const { frame, isOf5, expiresAt } = toFrame(message);
    const { length } = frame;
    const kind = RecordKind.retainedMessage;
    const word1 = (isOf5 ? 1 : 0) | highExpiry(expiresAt);
    const word3 = lowExpiry(expiresAt);
    link.send(kind, 1 << from, replayId, word1, topicKey.length, word3, frame, 0, length);
    return length;
  }

  #tellPart(to: number, replayId: number, isLast: number): void {
    this.#parts.link.send(RecordKind.retainedPart, 1 << to, replayId, isLast, 0, 0, NO_BYTES, 0, 0);
  }
}
