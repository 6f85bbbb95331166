/** The clients of a soak run: they lose connections in every way there is, and go on. */

import type { Random } from '../test/fuzz/random.js';
import { DISCONNECT, type Message, publish, pubrel, type QoS } from '../test/support/packets.js';
import type { Endpoint } from '../test/support/raw-client.js';
import { TestClient, Type } from '../test/support/test-client.js';
import { Oracle, type Published } from './soak-oracle.js';

/** Ends a connection in one of the ways there are. */
async function end(client: TestClient, random: Random): Promise<void> {
  switch (random.below(3)) {
    case 0:
      client.raw.resumeReading();
      client.raw.send(DISCONNECT);
      return client.raw.end();
    case 1:
      client.raw.resumeReading();
      return client.raw.end();
    default:
      return client.cut();
  }
}

interface Unacknowledged {
  readonly packetId: number;
  readonly topic: string;
  readonly payload: string;
  readonly qos: QoS;
  isReleased: boolean;
}

/** Publishes numbers at every QoS in a session that outlives its connections. */
export class SoakPublisher {
  readonly clientId: string;
  readonly #at: Endpoint;
  readonly #random: Random;
  readonly #published: Map<string, number>;
  readonly #unacknowledged = new Map<number, Unacknowledged>();
  #client: TestClient | null = null;
  #lastId = 0;

  constructor(index: number, at: Endpoint, random: Random, published: Map<string, number>) {
    this.clientId = `soak-publisher-${index}`;
    this.#at = at;
    this.#random = random;
    this.#published = published;
    for (const qos of [0, 1, 2]) published.set(`soak/${index}/${qos}`, 0);
    this.#topics = [0, 1, 2].map((qos) => `soak/${index}/${qos}`);
  }

  readonly #topics: readonly string[];

  /** Connects if need be, and says again what was not acknowledged. */
  async connect(): Promise<void> {
    if (this.#client !== null && !this.#client.raw.isClosed) return;
    const { clientId } = this;
    const client = await TestClient.connect(this.#at, { clientId, cleanSession: false });
    this.#client = client;
    for (const each of this.#unacknowledged.values()) {
      if (each.isReleased) client.raw.send(pubrel(each.packetId));
      else client.raw.send(publish({ ...each, dup: true }));
    }
  }

  /** Sends some messages, and takes the acks that have come; at random it loses its connection. */
  async step(): Promise<void> {
    await this.connect();
    const client = this.#client!;
    const random = this.#random;
    if (this.#unacknowledged.size < 500) {
      const packets: Buffer[] = [];
      for (let left = random.below(60); left > 0; left--) packets.push(this.#next());
      if (packets.length > 0) client.raw.send(...packets);
    }
    this.#takeAcks(client);
    if (random.onceIn(60)) await end(client, random);
    // A takeover: the old connection is the broker's to close.
    else if (random.onceIn(80)) this.#client = null;
  }

  /** Completes everything. @throws Error at the deadline. */
  async finish(): Promise<void> {
    await this.connect();
    const client = this.#client!;
    await client.until(() => {
      this.#takeAcks(client);
      return this.#unacknowledged.size === 0;
    }, `acknowledgements of ${this.clientId}`);
  }

  /** Its session died with a shard: what was under way is given up. */
  forget(): void {
    this.#unacknowledged.clear();
  }

  async close(): Promise<void> {
    await this.#client?.cut();
  }

  #next(): Buffer {
    const topic = this.#random.pick(this.#topics);
    const qos = Number(topic.at(-1)) as QoS;
    const number = this.#published.get(topic) ?? 0;
    this.#published.set(topic, number + 1);
    const payload = String(number);
    if (qos === 0) return publish({ topic, payload });
    this.#lastId = (this.#lastId % 65_535) + 1;
    const packetId = this.#lastId;
    this.#unacknowledged.set(packetId, { packetId, topic, payload, qos, isReleased: false });
    return publish({ topic, payload, qos, packetId });
  }

  #takeAcks(client: TestClient): void {
    const releases: Buffer[] = [];
    for (const { type, packetId } of client.acks.splice(0)) {
      const each = this.#unacknowledged.get(packetId);
      if (each === undefined) continue;
      if (type === Type.pubrec) {
        each.isReleased = true;
        releases.push(pubrel(packetId));
      } else {
        this.#unacknowledged.delete(packetId);
      }
    }
    if (releases.length > 0) client.raw.send(...releases);
  }
}

export interface SubscriberPlan {
  readonly clientId: string;
  readonly filters: readonly string[];
  readonly qos: QoS;
  readonly cleanSession: boolean;
  /** Stops reading at times. */
  readonly isSlow: boolean;
}

/** Subscribes, loses its connection, is taken over, unsubscribes and comes back. */
export class SoakSubscriber {
  readonly plan: SubscriberPlan;
  readonly oracle: Oracle;
  readonly #at: Endpoint;
  readonly #random: Random;
  #received = new Set<number>();
  #client: TestClient | null = null;
  #isSubscribed = false;
  messages = 0;

  constructor(plan: SubscriberPlan, at: Endpoint, random: Random, published: Published) {
    this.plan = plan;
    this.oracle = new Oracle(plan.clientId, published);
    this.#at = at;
    this.#random = random;
  }

  async connect(): Promise<void> {
    if (this.#client !== null && !this.#client.raw.isClosed) return;
    const { clientId, cleanSession, qos } = this.plan;
    if (cleanSession) this.forget();
    const received = this.#received;
    const client = await TestClient.connect(this.#at, { clientId, cleanSession, received });
    this.#client = client;
    if (!client.sessionPresent && this.#isSubscribed) {
      this.oracle.faults.push(`${clientId}: the session is gone`);
      this.forget();
    }
    // What came together with CONNACK.
    for (const message of client.messages.splice(0)) this.#take(message);
    client.onMessage = (message) => {
      client.messages.length = 0;
      // One that was taken over may have something to read still. What it is to be sent again for
      // is not lost; the rest has no order with what its successor reads.
      const isFormer = client !== this.#client;
      if (isFormer && (cleanSession || Math.min(message.qos, qos) === 0)) return;
      this.#take(message);
    };
    if (!this.#isSubscribed) await this.#subscribe(client);
  }

  async step(): Promise<void> {
    await this.connect();
    const client = this.#client!;
    const random = this.#random;
    switch (random.below(60)) {
      case 0:
      case 1:
        client.raw.resumeReading();
        return end(client, random);
      case 2:
      case 3:
        // Its next connection takes over; what this one has not read is read first.
        client.raw.resumeReading();
        this.#client = null;
        return;
      case 4:
        client.raw.resumeReading();
        await client.unsubscribe(...this.plan.filters);
        this.oracle.forget();
        this.#isSubscribed = false;
        return this.#subscribe(client);
      default:
        if (!this.plan.isSlow) return;
        if (random.onceIn(2)) client.raw.pauseReading();
        else client.raw.resumeReading();
    }
  }

  async #subscribe(client: TestClient): Promise<void> {
    const { filters, qos } = this.plan;
    await client.subscribe(...filters.map((filter) => [filter, qos] as [string, number]));
    this.oracle.subscribed();
    this.#isSubscribed = true;
  }

  /** Connects for good and reads. */
  async finish(): Promise<void> {
    await this.connect();
    this.#client!.raw.resumeReading();
  }

  /** What is missing now. */
  missing(): string[] {
    return this.oracle.missing(this.plan.qos);
  }

  /** Its session is gone, rightly. */
  forget(): void {
    this.oracle.forget();
    // Not emptied: a connection that is being taken over still has the former one.
    this.#received = new Set();
    this.#isSubscribed = false;
  }

  async close(): Promise<void> {
    await this.#client?.cut();
  }

  #take(message: Message): void {
    this.messages++;
    this.oracle.receive(message, this.plan.qos);
  }
}
