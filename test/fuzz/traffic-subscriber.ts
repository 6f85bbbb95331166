/** A subscriber that holds what it gets against what it must get. */
import type { QoS } from '../support/packets.js';
import { puback, pubcomp, pubrec, subscribe } from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import { TrafficClient } from './traffic-client.js';
import { Expectation, grantedQos, type Sent, type Subscription } from './traffic-model.js';

export interface SubscriberOptions {
  readonly clientId: string;
  readonly cleanSession: boolean;
  readonly subscriptions: readonly Subscription[];
}

export class TrafficSubscriber {
  readonly expected = new Expectation();
  received = 0;
  readonly #endpoint: Endpoint;
  readonly #options: SubscriberOptions;
  /** Granted QoS by topic. */
  readonly #granted = new Map<string, number>();
  #client: TrafficClient | null = null;
  #subacks = 0;
  /** QoS 2 ids received and not released. */
  readonly #held = new Set<number>();
  #acks: Buffer[] = [];

  private constructor(endpoint: Endpoint, options: SubscriberOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  static async start(endpoint: Endpoint, options: SubscriberOptions): Promise<TrafficSubscriber> {
    const subscriber = new TrafficSubscriber(endpoint, options);
    await subscriber.come();
    const client = subscriber.#client!;
    client.write(
      subscribe(1, ...options.subscriptions.map(([filter, qos]): [string, QoS] => [filter, qos])),
    );
    await client.until(() => subscriber.#subacks > 0, 'SUBACK');
    return subscriber;
  }

  get isThere(): boolean {
    return this.#client !== null;
  }

  get isPersistent(): boolean {
    return !this.#options.cleanSession;
  }

  /** Connects, with the session there is. */
  async come(): Promise<void> {
    const { clientId, cleanSession } = this.#options;
    const client = await TrafficClient.connect(
      this.#endpoint,
      { clientId, cleanSession },
      (header, bytes, start, end) => this.#onPacket(header, bytes, start, end),
    );
    this.#client = client;
    this.#sendAcks();
  }

  /** Goes away; what is published meanwhile at QoS 1 and 2 waits in its session. */
  async leave(): Promise<void> {
    const client = this.#client!;
    // Its acks have been handled then.
    await client.ping();
    this.#client = null;
    await client.disconnect();
  }

  /** A message is published that goes to whoever has subscribed. */
  expect({ topic, payload, qos }: Sent): void {
    const granted = this.#grantedFor(topic);
    if (granted < 0) return;
    const delivered = Math.min(granted, qos);
    if (delivered === 0 && !this.isThere) return;
    this.expected.add(topic, delivered, payload);
  }

  /** Waits until all that is expected has come. @throws Error with what has not, or is odd. */
  async settle(): Promise<void> {
    const { expected } = this;
    const isDone = () => expected.left === 0 || expected.faults.length > 0;
    try {
      if (this.#client !== null) await this.#client.until(isDone, 'messages');
    } catch (error) {
      throw new Error(`${this.#options.clientId}: ${expected}: ${String(error)}`);
    }
    if (expected.faults.length > 0) {
      throw new Error(`${this.#options.clientId}: ${expected.faults.join('\n')}`);
    }
  }

  #grantedFor(topic: string): number {
    let granted = this.#granted.get(topic);
    if (granted === undefined) {
      granted = grantedQos(this.#options.subscriptions, topic);
      this.#granted.set(topic, granted);
    }
    return granted;
  }

  #onPacket(header: number, bytes: Buffer, start: number, end: number): void {
    if (header >> 4 === 3) this.#onPublish(header, bytes, start, end);
    else if (header === 0x90) this.#subacks++;
    else if (header === 0x62) {
      const packetId = bytes.readUInt16BE(start);
      this.#held.delete(packetId);
      this.#acknowledge(pubcomp(packetId));
    } else this.expected.faults.push(`packet with header ${header}`);
  }

  #onPublish(header: number, bytes: Buffer, start: number, end: number): void {
    const topicEnd = start + 2 + bytes.readUInt16BE(start);
    const topic = bytes.toString('latin1', start + 2, topicEnd);
    const qos = (header >> 1) & 3;
    if ((header & 1) !== 0) this.expected.faults.push(`${topic}: RETAIN is set`);
    let payloadStart = topicEnd;
    if (qos > 0) {
      payloadStart += 2;
      const packetId = bytes.readUInt16BE(topicEnd);
      this.#acknowledge(qos === 1 ? puback(packetId) : pubrec(packetId));
      if (qos === 2) {
        if (this.#held.has(packetId)) return;
        this.#held.add(packetId);
      }
    }
    this.received++;
    this.expected.take(topic, qos, bytes.subarray(payloadStart, end));
  }

  #acknowledge(ack: Buffer): void {
    this.#acks.push(ack);
    if (this.#acks.length === 1) queueMicrotask(() => this.#sendAcks());
  }

  #sendAcks(): void {
    if (this.#acks.length === 0 || this.#client === null) return;
    this.#client.write(Buffer.concat(this.#acks));
    this.#acks = [];
  }
}
