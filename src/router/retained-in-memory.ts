/** Retained messages that the topics provider holds, where nothing is kept on disk. */
import type { Session } from '../sessions/session.js';
import type { TopicsProvider } from '../topics/provider.js';
import type { RetainedMatch } from '../topics/retained-tree.js';
import type { RetainedMessage } from './retained-message.js';
import type { RetainedTopics } from './retained-store.js';

/** One a shard. */
export class RetainedInMemory implements RetainedTopics {
  readonly #topics: TopicsProvider<Session, RetainedMessage>;

  readonly isFull = false;

  constructor(topics: TopicsProvider<Session, RetainedMessage>) {
    this.#topics = topics;
  }

  lengthOf(topicKey: string): number {
    return this.#topics.getRetained(topicKey)?.length ?? 0;
  }

  get(topicKey: string): RetainedMessage | undefined {
    return this.#topics.getRetained(topicKey);
  }

  set(topicKey: string, message: RetainedMessage): number {
    return this.#topics.setRetained(topicKey, message)?.length ?? 0;
  }

  delete(topicKey: string): number {
    return this.#topics.deleteRetained(topicKey)?.length ?? 0;
  }

  match(filterKey: string, stepsMax: number): Iterator<RetainedMatch<RetainedMessage> | null> {
    return this.#topics.matchRetained(filterKey, stepsMax);
  }

  noteTotals(): void {}
}
