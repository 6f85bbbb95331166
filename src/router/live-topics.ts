/**
 * Topics of which a newer message has come live than a replay may bring, each with the last
 * SUBSCRIBE of the replay before it.
 */
import { SUPERSEDED_BYTES_MAX } from '../base/limits.js';

/** What a topic in a Set or Map takes beside its characters. */
const TOPIC_OVERHEAD_BYTES = 64;

/** Of a topic that is remembered. */
export function bytesOfTopic(topicKey: string): number {
  return topicKey.length + TOPIC_OVERHEAD_BYTES;
}

export class LiveTopics {
  readonly #since = new Map<string, number>();
  #bytes = 0;

  /** Bytes of the topics remembered, SUPERSEDED_BYTES_MAX at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /** 0: none has come. */
  since(topicKey: string): number {
    return this.#since.get(topicKey) ?? 0;
  }

  all(): [topicKey: string, since: number][] {
    return [...this.#since];
  }

  /** @returns false when all the others were forgotten, as there are too many. */
  set(topicKey: string, since: number): boolean {
    let isRoom = true;
    if (!this.#since.has(topicKey)) {
      const bytes = bytesOfTopic(topicKey);
      isRoom = this.#bytes + bytes <= SUPERSEDED_BYTES_MAX;
      if (!isRoom) this.clear();
      this.#bytes += bytes;
    }
    this.#since.set(topicKey, since);
    return isRoom;
  }

  delete(topicKey: string): void {
    if (this.#since.delete(topicKey)) this.#bytes -= bytesOfTopic(topicKey);
  }

  clear(): void {
    this.#since.clear();
    this.#bytes = 0;
  }
}
