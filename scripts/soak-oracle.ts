/** What a subscriber must have got: by publisher and topic, from numbers in the payloads. */
import type { Message, QoS } from '../test/support/packets.js';

/** What one subscriber knows of one topic. Every topic has one publisher, which counts from 0. */
interface Expectation {
  /** The highest number seen, -1 for none since `from`. */
  last: number;
  /** Messages from this number on must come; earlier ones may. */
  from: number;
}

/** Numbers published so far, by topic: the next one to be given. */
export type Published = ReadonlyMap<string, number>;

/** Judges the messages of one subscriber. */
export class Oracle {
  readonly name: string;
  readonly faults: string[] = [];
  readonly #published: Published;
  readonly #expectations = new Map<string, Expectation>();

  constructor(name: string, published: Published) {
    this.name = name;
    this.#published = published;
  }

  /** A subscription has been acknowledged: what is published from here on must come. */
  subscribed(): void {
    for (const [topic, from] of this.#published) {
      if (!this.#expectations.has(topic)) this.#expectations.set(topic, { last: -1, from });
    }
  }

  /** Nothing is expected until the next `subscribed`. */
  forget(): void {
    this.#expectations.clear();
  }

  receive(message: Message, granted: QoS): void {
    const { topic, payload, dup } = message;
    const number = Number(payload);
    const qos = Math.min(qosOf(topic), granted);
    if (!topic.startsWith('soak/') || !Number.isSafeInteger(number)) {
      this.faults.push(`${this.name}: no message of ours: ${topic} ${payload.slice(0, 40)}`);
      return;
    }
    if (message.qos !== qos) this.faults.push(`${this.name}: ${topic} at QoS ${message.qos}`);
    const expectation = this.#expectations.get(topic);
    if (expectation === undefined) return;
    const { last, from } = expectation;
    if (number <= last) {
      // At QoS 1 the publisher may say it again, or the server.
      if (qosOf(topic) !== 1 && qos !== 1) {
        this.faults.push(`${this.name}: ${topic} ${number} behind ${last}, DUP ${dup}`);
      }
      return;
    }
    // Before SUBACK, shards learn of the filter one by one, and publishers move between them.
    if (qos > 0 && number > Math.max(last + 1, from)) {
      this.faults.push(`${this.name}: ${topic} ${number} behind ${last}, from ${from}`);
    }
    expectation.last = number;
  }

  /** Topics of QoS 1 and 2 whose last message has not come, given what was granted. */
  missing(granted: QoS): string[] {
    const missing: string[] = [];
    for (const [topic, { last, from }] of this.#expectations) {
      const next = this.#published.get(topic) ?? 0;
      const isDue = Math.min(qosOf(topic), granted) > 0 && next > from;
      if (isDue && last !== next - 1)
        missing.push(`${this.name}: ${topic} ends at ${last}/${next}`);
    }
    return missing;
  }
}

/** A topic says its QoS: `soak/<publisher>/<qos>`. */
export function qosOf(topic: string): QoS {
  return Number(topic.at(-1)) as QoS;
}
