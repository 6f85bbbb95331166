/**
 * What a broker must do with sequences of packets: publishers that hold QoS 2 ids, release them and
 * send again, subscribers on every shard, and a model that knows what each of them has to get. A
 * round ends when all of it has come, so that nothing is left to chance.
 */
import type { QoS } from '../support/packets.js';

/** A message on its way: where it is published, and what its payload is. */
export interface Sent {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
}

/** What one subscriber still has to get. */
export class Expectation {
  /** By topic, apart for what is delivered at QoS 0 and above: order holds within each. */
  readonly #queues = new Map<string, Buffer[]>();
  #taken = new Map<string, number>();
  /** Messages that have not come. */
  left = 0;
  readonly faults: string[] = [];

  add(topic: string, qos: number, payload: Buffer): void {
    const key = keyOf(topic, qos);
    const queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, [payload]);
    else queue.push(payload);
    this.left++;
  }

  /** A message has come, which must be the next of its topic. */
  take(topic: string, qos: number, payload: Buffer): void {
    const key = keyOf(topic, qos);
    const queue = this.#queues.get(key);
    const at = this.#taken.get(key) ?? 0;
    const next = queue?.[at];
    if (queue === undefined || next === undefined) {
      this.#fault(`${key}: ${start(payload)} was not expected`);
      return;
    }
    if (!next.equals(payload)) this.#fault(`${key}: ${start(payload)} instead of ${start(next)}`);
    this.left--;
    if (at + 1 === queue.length) {
      this.#queues.delete(key);
      this.#taken.delete(key);
    } else {
      this.#taken.set(key, at + 1);
    }
  }

  #fault(what: string): void {
    if (this.faults.length < 10) this.faults.push(what);
  }

  /** What is missing, in words. */
  toString(): string {
    const missing = [...this.#queues].map(([key, queue]) => {
      const at = this.#taken.get(key) ?? 0;
      return `${queue.length - at} of ${key}, first ${start(queue[at])}`;
    });
    return `${this.left} missing: ${missing.slice(0, 5).join('; ')}`;
  }
}

function keyOf(topic: string, qos: number): string {
  return `${topic} at QoS ${qos === 0 ? '0' : '1 or 2'}`;
}

function start(payload: Buffer): string {
  return `'${payload.toString('latin1', 0, 24)}' (${payload.length} bytes)`;
}

/** Whether a filter matches a topic, as section 4.7 has it; no `$` topics here. */
export function isMatch(filter: string, topic: string): boolean {
  const levels = topic.split('/');
  const wanted = filter.split('/');
  for (let at = 0; at < wanted.length; at++) {
    if (wanted[at] === '#') return true;
    if (at >= levels.length || (wanted[at] !== '+' && wanted[at] !== levels[at])) return false;
  }
  return levels.length === wanted.length;
}

/** A subscription of a client. */
export type Subscription = readonly [filter: string, qos: QoS];

/** The highest QoS that any matching filter grants, -1 when none matches. */
export function grantedQos(subscriptions: readonly Subscription[], topic: string): number {
  let granted = -1;
  for (const [filter, qos] of subscriptions) {
    if (qos > granted && isMatch(filter, topic)) granted = qos;
  }
  return granted;
}
