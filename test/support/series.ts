/** Messages that are numbered from one on. */
import { numbers } from './suite.js';
import type { TestClient } from './test-client.js';

export class Series {
  last = 0;
  readonly #publisher: TestClient;
  readonly #topic: string;
  readonly #qos: 1 | 2;
  readonly #payloadBytes: number;

  /** @param payloadBytes each number is followed by spaces up to that. */
  constructor(publisher: TestClient, topic: string, qos: 1 | 2, payloadBytes = 0) {
    this.#publisher = publisher;
    this.#topic = topic;
    this.#qos = qos;
    this.#payloadBytes = payloadBytes;
  }

  /** Resolves when all are acknowledged. */
  async publish(count: number): Promise<void> {
    const texts = numbers(this.last + 1, this.last + count).map((n) =>
      n.padEnd(this.#payloadBytes),
    );
    await this.#publisher.publishAll(this.#topic, texts, { qos: this.#qos });
    this.last += count;
  }
}
