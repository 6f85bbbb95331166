/**
 * The retained messages of the topics this shard owns: every topic has one owner (retainedOwnerOf),
 * so the server holds each message once however many shards it has [MQTT-3.3.1-5].
 */
import type { Counters } from '../base/counters.js';
import { Counter } from '../base/counters.js';
import { RETAINED_STEPS_MAX } from '../base/limits.js';
import { frameEnd } from '../protocol/publish-frame.js';
import type { Session } from '../sessions/session.js';
import type { TopicsProvider } from '../topics/provider.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import { type RetainedMessage, toRetainedMessage } from './retained-message.js';

const QOS_MASK = 0b0110;

/** One a shard. */
export class RetainedStore {
  readonly #topics: TopicsProvider<Session, RetainedMessage>;
  readonly #counters: Counters;

  constructor(topics: TopicsProvider<Session, RetainedMessage>, counters: Counters) {
    this.#topics = topics;
    this.#counters = counters;
  }

  /**
   * Keeps the last message of a run, which replaces the topic's older one; an empty payload clears
   * it and is not kept itself [MQTT-3.3.1-10, 3.3.1-11].
   */
  store(topicKey: string, buffer: Buffer, start: number, end: number, header: number): void {
    let last = start;
    for (let next = frameEnd(buffer, last); next < end; next = frameEnd(buffer, last)) last = next;
    let body = last + 1;
    while (buffer[body] >= 0x80) body++;
    const idBytes = (header & QOS_MASK) === 0 ? 0 : 2;
    const payloadStart = body + 1 + 2 + topicKey.length + idBytes;
    const message = payloadStart === end ? null : toRetainedMessage(buffer, last, end);
    const older =
      message === null
        ? this.#topics.deleteRetained(topicKey)
        : this.#topics.setRetained(topicKey, message);
    if (older !== undefined) this.#account(-1, -older.length);
    if (message !== null) this.#account(1, message.length);
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
    return this.#topics.matchRetained(filterKey, levelsMax);
  }

  #account(messages: number, bytes: number): void {
    this.#counters.add(Counter.retainedMessages, messages);
    this.#counters.add(Counter.retainedBytes, bytes);
  }
}
