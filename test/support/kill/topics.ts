/**
 * What has been published: topics, each with one publisher, which counts its messages from 0, and
 * what became of each number.
 */
import type { QoS } from '../packets.js';

export type Version = 4 | 5;

const ACKNOWLEDGED = 1;
const REFUSED = 2;
const CLEARS = 4;
/** Numbers that there is room for at first. */
const ROOM = 1_024;
/** Every how many messages one is larger than a page of a store, and than many pages. */
const LARGE_EVERY = 61;
const HUGE_EVERY = 997;

/** Bits by number, with room as it is needed. */
export class Bits {
  #bytes = new Uint8Array(ROOM);

  has(number: number): boolean {
    return ((this.#bytes[number >> 3] ?? 0) & (1 << (number & 7))) !== 0;
  }

  add(number: number): void {
    if (number >> 3 >= this.#bytes.length) {
      const larger = new Uint8Array(2 * (number >> 3));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[number >> 3] |= 1 << (number & 7);
  }
}

/** One topic. */
export class TopicRecord {
  readonly name: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  /** Protocol level of its publisher. */
  readonly version: Version;
  /** The next number to be given. */
  next = 0;
  /**
   * The highest number that PUBACK or PUBCOMP has come for, -1 for none. A server may deliver and
   * retain a message of QoS 2 at its PUBLISH or at its PUBREL [MQTT 3.1.1, 4.3.3].
   */
  lastCompleted = -1;
  #states = new Uint8Array(ROOM);
  /** Kills before the acknowledgement. */
  #kills = new Uint16Array(ROOM);

  constructor(name: string, qos: 1 | 2, retain: boolean, version: Version) {
    this.name = name;
    this.qos = qos;
    this.retain = retain;
    this.version = version;
  }

  /** Gives the next number. @param clears it has no payload, and takes the retained one away. */
  publish(clears: boolean): number {
    const number = this.next++;
    if (number >= this.#states.length) {
      const states = new Uint8Array(2 * number);
      const kills = new Uint16Array(2 * number);
      states.set(this.#states);
      kills.set(this.#kills);
      [this.#states, this.#kills] = [states, kills];
    }
    this.#states[number] = clears ? CLEARS : 0;
    return number;
  }

  /** PUBACK or PUBREC came, after so many kills. */
  acknowledge(number: number, kills: number): void {
    this.#states[number] |= ACKNOWLEDGED;
    this.#kills[number] = kills;
  }

  /** PUBACK or PUBCOMP came. */
  complete(number: number): void {
    this.lastCompleted = Math.max(this.lastCompleted, number);
  }

  /** PUBACK or PUBREC came with a reason code of refusal: it may come or not. */
  refuse(number: number): void {
    this.#states[number] |= REFUSED;
  }

  isAcknowledged(number: number): boolean {
    return (this.#states[number] & ACKNOWLEDGED) !== 0;
  }

  clears(number: number): boolean {
    return (this.#states[number] & CLEARS) !== 0;
  }

  /** Whether subscribers have to get it, in a message that says its number. */
  isDue(number: number): boolean {
    return (this.#states[number] & (ACKNOWLEDGED | REFUSED | CLEARS)) === ACKNOWLEDGED;
  }

  /** The kill behind which it was acknowledged. */
  acknowledgedAfter(number: number): number {
    return this.#kills[number];
  }

  payload(number: number): string {
    return this.clears(number) ? '' : payloadOf(number);
  }
}

/** Topics by name. */
export type Topics = ReadonlyMap<string, TopicRecord>;

/** The number, and a filling by which the number is to be told from a damaged one. */
export function payloadOf(number: number): string {
  let length = (number * 37) % 90;
  if (number % LARGE_EVERY === LARGE_EVERY - 1) length = 5_000 + (number % 3_000);
  if (number % HUGE_EVERY === HUGE_EVERY - 1) length = 70_000;
  return `${number}:${String.fromCharCode(97 + (number % 26)).repeat(length)}`;
}

/** The number that a payload says; null where it is not as it was published. */
export function numberIn(payload: string): number | null {
  const number = Number(payload.slice(0, payload.indexOf(':')));
  return Number.isSafeInteger(number) && payload === payloadOf(number) ? number : null;
}

/** Whether a topic is one of a filter's. */
export function matches(filter: string, topic: string): boolean {
  const levels = topic.split('/');
  const wanted = filter.split('/');
  for (const [at, level] of wanted.entries()) {
    if (level === '#') return true;
    if (at >= levels.length || (level !== '+' && level !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}

/** QoS at which a message comes. */
export function grantedQos(published: QoS, subscribed: QoS): QoS {
  return Math.min(published, subscribed) as QoS;
}
