/** Judges what a subscriber, or a group of Shared Subscriptions, has got, by message numbers. */
import type { Faults } from './faults.js';
import { Bits, matches, type TopicRecord, type Topics } from './topics.js';

/** A message as it was received, once for each time that it was delivered to the application. */
export interface Received {
  readonly topic: TopicRecord;
  readonly number: number;
  /** At QoS 2. */
  readonly isOnce: boolean;
}

/** What a subscriber tells of its subscription. Filters of one subscriber do not overlap. */
export interface Check {
  /** SUBACK came: what is published from here on is due. */
  onSubscribed(): void;
  /** UNSUBSCRIBE goes out: nothing is due any more. */
  onUnsubscribe(): void;
  /** UNSUBACK came: what is published from here on must not come. */
  onUnsubscribed(): void;
  /** SUBSCRIBE goes out: what is published from here on may come. */
  onSubscribe(): void;
  take(received: Received): void;
  /** Messages that are due and have not come. */
  missing(): number;
  /** Everything has to be here: what is not is lost, and will not be missed again. */
  settle(): void;
}

/** Numbers that must not come, in their order. */
interface Span {
  readonly from: number;
  readonly to: number;
}

interface Expectation {
  readonly topic: TopicRecord;
  readonly seen: Bits;
  /** The highest number seen. */
  last: number;
  /** From here on messages are due; null: none are. */
  from: number | null;
  readonly forbidden: Span[];
  /** Since when nothing may come; null: something may. */
  endedAt: number | null;
}

/** A stretch of numbers as words: `5` or `5..9`. */
function words(numbers: readonly number[]): string {
  const [first, last] = [numbers[0], numbers[numbers.length - 1]];
  return first === last ? String(first) : `${first}..${last}`;
}

/** Reports what is due and not seen. @returns how many. */
function reportLost(
  name: string,
  topic: TopicRecord,
  from: number,
  seen: Bits,
  faults: Faults,
): void {
  const lost: number[] = [];
  for (let number = from; number < topic.next; number++) {
    if (topic.isDue(number) && !seen.has(number)) lost.push(number);
  }
  if (lost.length === 0) return;
  const kills = new Set(lost.map((number) => topic.acknowledgedAfter(number)));
  const after = [...kills].join(', ');
  const what = `${name}: ${topic.name} ${words(lost)}, acknowledged after kill ${after}`;
  faults.add('lost', `${what}; ${lost.length} of ${topic.next - from}`, lost.length);
}

function countMissing(topic: TopicRecord, from: number, seen: Bits): number {
  let missing = 0;
  for (let number = from; number < topic.next; number++) {
    if (topic.isDue(number) && !seen.has(number)) missing++;
  }
  return missing;
}

/** Of one subscriber: everything, in order, and at QoS 2 once. */
export class SubscriberCheck implements Check {
  readonly #name: string;
  readonly #faults: Faults;
  readonly #expectations = new Map<string, Expectation>();
  /** QoS 1 messages that came again, as they may. */
  repeated = 0;

  /** @param topics all that there will be. */
  constructor(name: string, filters: readonly string[], topics: Topics, faults: Faults) {
    this.#name = name;
    this.#faults = faults;
    for (const topic of topics.values()) {
      if (!filters.some((filter) => matches(filter, topic.name))) continue;
      this.#expectations.set(topic.name, {
        topic,
        seen: new Bits(),
        last: -1,
        from: null,
        forbidden: [],
        endedAt: null,
      });
    }
  }

  onSubscribed(): void {
    for (const each of this.#expectations.values()) each.from ??= each.topic.next;
  }

  onUnsubscribe(): void {
    for (const each of this.#expectations.values()) each.from = null;
  }

  onUnsubscribed(): void {
    for (const each of this.#expectations.values()) each.endedAt ??= each.topic.next;
  }

  onSubscribe(): void {
    for (const each of this.#expectations.values()) {
      // What is not complete may be handled, or published again, behind the SUBSCRIBE.
      const to = each.topic.lastCompleted + 1;
      if (each.endedAt !== null && to > each.endedAt) {
        each.forbidden.push({ from: each.endedAt, to });
      }
      each.endedAt = null;
    }
  }

  take({ topic, number, isOnce }: Received): void {
    const expectation = this.#expectations.get(topic.name);
    const what = `${this.#name}: ${topic.name} ${number}`;
    if (expectation === undefined) {
      this.#faults.add('protocol', `${what} is of no filter of its`);
      return;
    }
    const { seen, last, from, forbidden } = expectation;
    if (forbidden.some((span) => number >= span.from && number < span.to)) {
      this.#faults.add('undead', `${what} was published between UNSUBACK and SUBSCRIBE`);
    }
    if (seen.has(number)) {
      if (isOnce) {
        const answered = topic.isAcknowledged(number)
          ? `acknowledged after kill ${topic.acknowledgedAfter(number)}`
          : 'not acknowledged';
        this.#faults.add('doubled', `${what} (${answered}) came again, the last was ${last}`);
      } else this.repeated++;
      return;
    }
    seen.add(number);
    expectation.last = Math.max(last, number);
    if (number > last) return;
    // One that was handled before the SUBSCRIBE, and answered to nobody, is published once more.
    const isAgain = topic.qos === 1 && number < (from ?? Number.POSITIVE_INFINITY);
    if (!isAgain) this.#faults.add('disordered', `${what} came behind ${last}`);
  }

  missing(): number {
    let missing = 0;
    for (const { topic, from, seen } of this.#expectations.values()) {
      if (from !== null) missing += countMissing(topic, from, seen);
    }
    return missing;
  }

  settle(): void {
    for (const each of this.#expectations.values()) {
      if (each.from === null) continue;
      reportLost(this.#name, each.topic, each.from, each.seen, this.#faults);
      each.from = each.topic.next;
    }
  }
}

/** Of a group: its members together get everything. They never unsubscribe. */
export class GroupCheck implements Check {
  readonly #name: string;
  readonly #faults: Faults;
  readonly #expectations = new Map<string, { topic: TopicRecord; seen: Bits; from: number }>();

  constructor(name: string, filter: string, topics: Topics, faults: Faults) {
    this.#name = name;
    this.#faults = faults;
    for (const topic of topics.values()) {
      if (!matches(filter, topic.name)) continue;
      this.#expectations.set(topic.name, {
        topic,
        seen: new Bits(),
        from: Number.POSITIVE_INFINITY,
      });
    }
  }

  onSubscribed(): void {
    for (const each of this.#expectations.values())
      each.from = Math.min(each.from, each.topic.next);
  }

  onUnsubscribe(): void {}
  onUnsubscribed(): void {}
  onSubscribe(): void {}

  take({ topic, number }: Received): void {
    const expectation = this.#expectations.get(topic.name);
    if (expectation !== undefined) expectation.seen.add(number);
    else this.#faults.add('protocol', `${this.#name}: ${topic.name} is not of its filter`);
  }

  missing(): number {
    let missing = 0;
    for (const { topic, from, seen } of this.#expectations.values()) {
      missing += countMissing(topic, from, seen);
    }
    return missing;
  }

  settle(): void {
    for (const each of this.#expectations.values()) {
      reportLost(this.#name, each.topic, each.from, each.seen, this.#faults);
      if (each.from < each.topic.next) each.from = each.topic.next;
    }
  }
}
