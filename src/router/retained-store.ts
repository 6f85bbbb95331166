/**
 * The retained messages of the topics this shard owns: every topic has one owner (retainedOwnerOf),
 * so the server holds each message once however many shards it has [MQTT-3.3.1-5].
 */
import type { Counters } from '../base/counters.js';
import { Counter } from '../base/counters.js';
import { RETAINED_STEPS_MAX } from '../base/limits.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import { hasExpired } from '../sessions/delivery-form.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import {
  expiryOfRetained,
  findRetained,
  type RetainedMessage,
  takeRetained,
} from './retained-message.js';
import { PLAIN_RUN, type RunTraits } from './run-traits.js';

const ENOUGH_MEMORY = { isShort: false };

/** What may be retained: by all shards together, or by one. */
export interface RetainedLimits {
  readonly maxRetainedMessages: number;
  /** Their bytes, as frames. */
  readonly maxRetainedBytes: number;
}

/**
 * What one of `shardCount` shards may retain. Topics are spread over the shards by their hash, so
 * equal shares fill up together, and no shard needs to know of the others. Rounded up, so that a
 * limit below the number of shards does not forbid everything.
 */
export function retainedShare(limits: RetainedLimits, shardCount: number): RetainedLimits {
  return {
    maxRetainedMessages: Math.ceil(limits.maxRetainedMessages / shardCount),
    maxRetainedBytes: Math.ceil(limits.maxRetainedBytes / shardCount),
  };
}

/** Where the messages are: retained-in-memory.ts, or on disk (store/kept-retained.ts). */
export interface RetainedTopics {
  /** Nothing that takes more room is to be kept, but what somebody is answered for already. */
  readonly isFull: boolean;
  /** How long a topic's message is; 0: there is none. */
  lengthOf(topicKey: string): number;
  get(topicKey: string): RetainedMessage | undefined;
  /**
   * @param isAwaited somebody is answered when it is durable.
   * @returns how long the message is that it replaces; 0: there was none.
   */
  set(topicKey: string, message: RetainedMessage, isAwaited: boolean): number;
  /** @param isAwaited as in `set`. @returns how long the message was; 0: there was none. */
  delete(topicKey: string, isAwaited: boolean): number;
  /** Lazy, tolerant of changes while it is left, in steps: see RetainedTree.match. */
  match(filterKey: string, stepsMax: number): Iterator<RetainedMatch<RetainedMessage> | null>;
  /** How many there are in all, and their bytes, whenever that has changed. */
  noteTotals(messages: number, bytes: number): void;
}

/** One a shard. */
export class RetainedStore {
  /** What this shard may retain: see `retainedShare`. What is retained already stays. */
  share: RetainedLimits;
  readonly #topics: RetainedTopics;
  readonly #counters: Counters;
  readonly #memory: { readonly isShort: boolean };
  #messages = 0;
  #bytes = 0;

  /**
   * @param memory of this shard: while it is short nothing is retained that takes more of it.
   */
  constructor(
    topics: RetainedTopics,
    counters: Counters,
    share: RetainedLimits,
    memory: { readonly isShort: boolean } = ENOUGH_MEMORY,
  ) {
    this.#topics = topics;
    this.#counters = counters;
    this.share = share;
    this.#memory = memory;
  }

  /**
   * Keeps the last message of a run, which replaces the topic's older one; an empty payload clears
   * it and is not kept itself [MQTT-3.3.1-10, 3.3.1-11]. One that there is no room for is counted
   * and not kept; nor is the older one then, as it is no longer the topic's last [MQTT-3.3.1-7].
   * @throws RecordError when [start, end) is no run.
   */
  store(
    topicKey: string,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    traits: Readonly<RunTraits> = PLAIN_RUN,
  ): void {
    const last = findRetained(topicKey, buffer, start, end, header, traits);
    const isAwaited = (header & QOS_MASK) !== 0;
    if (last < 0) {
      this.#clear(topicKey, isAwaited);
    } else if (this.#hasRoom(topicKey, end - last, isAwaited)) {
      const message = takeRetained(buffer, last, end, traits);
      const older = this.#topics.set(topicKey, message, isAwaited);
      this.#account(older === 0 ? 1 : 0, message.length - older);
    } else {
      this.#clear(topicKey, isAwaited);
      this.#counters.add(Counter.droppedRetained, 1);
    }
  }

  /** So many were retained before. */
  restore(messages: number, bytes: number): void {
    this.#account(messages, bytes);
  }

  /** What is retained of a topic. */
  get(topicKey: string): RetainedMessage | undefined {
    const message = this.#topics.get(topicKey);
    return message === undefined || this.clearExpired(topicKey, message) ? undefined : message;
  }

  /**
   * Clears what was retained of a topic when it has expired [MQTT-3.3.2-5].
   * @returns whether it has.
   */
  clearExpired(topicKey: string, message: RetainedMessage): boolean {
    if (!hasExpired(expiryOfRetained(message))) return false;
    this.#clear(topicKey, false);
    this.#counters.add(Counter.droppedMessageExpired, 1);
    return true;
  }

  /**
   * Messages whose topic matches the filter, found as they are asked for; null now and then, where
   * many topics were looked at: time to let others have a turn.
   * @param levelsMax how many levels that is.
   */
  match(
    filterKey: string,
    levelsMax: number = RETAINED_STEPS_MAX,
  ): Iterator<RetainedMatch<RetainedMessage> | null> {
    return this.#topics.match(filterKey, levelsMax);
  }

  #hasRoom(topicKey: string, length: number, isAwaited: boolean): boolean {
    const { maxRetainedMessages, maxRetainedBytes } = this.share;
    if (this.#memory.isShort || (!isAwaited && this.#topics.isFull)) {
      return this.#topics.lengthOf(topicKey) >= length;
    }
    const isInBytes = this.#bytes + length <= maxRetainedBytes;
    if (isInBytes && this.#messages < maxRetainedMessages) return true;
    const older = this.#topics.lengthOf(topicKey);
    return older > 0 && this.#bytes - older + length <= maxRetainedBytes;
  }

  #clear(topicKey: string, isAwaited: boolean): void {
    const older = this.#topics.delete(topicKey, isAwaited);
    if (older > 0) this.#account(-1, -older);
  }

  #account(messages: number, bytes: number): void {
    this.#messages += messages;
    this.#bytes += bytes;
    this.#counters.add(Counter.retainedMessages, messages);
    this.#counters.add(Counter.retainedBytes, bytes);
    this.#topics.noteTotals(this.#messages, this.#bytes);
  }
}
