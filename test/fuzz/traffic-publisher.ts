/** A publisher of sequences that a broker keeps state for, random but for what it may do. */
import { pubrel, type QoS, remainingLength, subscribe, unsubscribe } from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import type { Random } from './random.js';
import { TrafficClient } from './traffic-client.js';
import type { Sent } from './traffic-model.js';

/** Ids that are held and released again and again. */
const IDS = 12;
/** Around the places where a remaining length takes a byte more, and far from them. */
const LENGTHS = [0, 1, 4, 10, 20, 60, 100, 110, 114, 115, 116, 117, 118, 119, 120, 200, 400, 1_000];
const LONG_LENGTHS = [16_368, 16_372, 16_374, 16_376, 16_378, 20_000, 70_000];
const HUGE_LENGTHS = [2_097_138, 2_097_142, 2_097_146, 2_100_000];
/** Bytes of a payload behind its number: what a topic goes on with, should it be read too far. */
const FILLER = Buffer.alloc(2_200_000, 'A');
const MARK = { puback: 4, pubrec: 5, pubcomp: 7, suback: 9, unsuback: 11 } as const;

/** Tells the model of a message that is to be delivered. */
export type OnSent = (sent: Sent, retain: boolean) => void;

export class TrafficPublisher {
  packets = 0;
  reconnects = 0;
  readonly clientId: string;
  readonly topics: readonly string[];
  readonly #endpoint: Endpoint;
  readonly #random: Random;
  readonly #onSent: OnSent;
  #client: TrafficClient | null = null;
  #number = 0;
  /** QoS 2 messages not released: the broker knows their ids. */
  readonly #held = new Map<number, Sent & { readonly retain: boolean }>();
  /** Acks that are owed, by packet type, in the order they must come. */
  readonly #owed = new Map<number, number[]>();
  #owedCount = 0;
  #fault = '';

  constructor(endpoint: Endpoint, index: number, random: Random, onSent: OnSent) {
    this.clientId = `publisher-${index}`;
    // One byte further on, the first of them reads as the second with the payload's filler.
    this.topics = [`f${index}/x`, `f${index}/y/zz`, `f${index}`, `f${index}/${'deep/'.repeat(20)}`];
    this.#endpoint = endpoint;
    this.#random = random;
    this.#onSent = onSent;
  }

  async start(): Promise<void> {
    const { clientId } = this;
    this.#client = await TrafficClient.connect(
      this.#endpoint,
      { clientId, cleanSession: false },
      (header, bytes, start) => this.#onAck(header, bytes.readUInt16BE(start)),
    );
  }

  /**
   * Cuts its connection and comes back, perhaps to another shard; then it sends again what it
   * holds, as a client does that has lost the PUBRECs [MQTT-4.4.0-1].
   */
  async reconnect(): Promise<void> {
    await this.settle();
    if (this.#random.onceIn(2)) await this.#client!.cut();
    await this.start();
    this.reconnects++;
    const again = [...this.#held].map(([packetId, sent]) => this.#frame(sent, packetId, true));
    for (const packetId of this.#held.keys()) this.#owe(MARK.pubrec, packetId);
    if (again.length > 0) this.#write(again);
  }

  /** Sends `count` packets in a few writes. */
  async send(count: number): Promise<void> {
    const packets: Buffer[] = [];
    for (let left = count; left > 0; left--) this.#next(packets);
    this.#write(packets);
    await this.#client!.until(() => this.#client!.waitingBytes < 1_000_000, 'room');
  }

  /** All that was sent is acknowledged. @throws Error when an ack is missing or out of order. */
  async settle(): Promise<void> {
    const client = this.#client!;
    await client.ping();
    await client.until(() => this.#owedCount === 0 || this.#fault !== '', 'acknowledgements');
    if (this.#fault !== '') throw new Error(`${this.clientId}: ${this.#fault}`);
  }

  /** Makes the next packet, or a few that belong together. */
  #next(packets: Buffer[]): void {
    const random = this.#random;
    switch (random.below(20)) {
      case 0:
      case 1:
      case 2:
        packets.push(this.#release());
        return;
      case 3:
      case 4:
      case 5:
        packets.push(this.#repeat());
        return;
      case 6:
        // What ends a run, and changes interest on all shards.
        if (random.onceIn(10)) packets.push(this.#subscribeOrNot());
        return;
      default:
        packets.push(this.#publish(random.below(3) as QoS));
    }
  }

  #publish(qos: QoS): Buffer {
    const random = this.#random;
    const topic = random.onceIn(4) ? random.pick(this.topics) : this.topics[0];
    const sent = { topic, payload: this.#payload(), qos, retain: random.onceIn(40) };
    if (qos === 0) {
      this.#onSent(sent, sent.retain);
      return this.#frame(sent, 0, false);
    }
    const packetId = 1 + random.below(qos === 1 ? 65_535 : IDS);
    this.#owe(qos === 1 ? MARK.puback : MARK.pubrec, packetId);
    if (qos === 2) {
      // An id in use: whatever comes with it is taken for the message that is known.
      if (this.#held.has(packetId)) return this.#frame(sent, packetId, random.onceIn(2));
      this.#held.set(packetId, sent);
    }
    this.#onSent(sent, sent.retain);
    return this.#frame(sent, packetId, random.onceIn(4));
  }

  /** A message that is held, once more. */
  #repeat(): Buffer {
    const random = this.#random;
    const ids = [...this.#held.keys()];
    if (ids.length === 0) return this.#publish(2);
    const packetId = random.pick(ids);
    this.#owe(MARK.pubrec, packetId);
    return this.#frame(this.#held.get(packetId)!, packetId, random.onceIn(2));
  }

  #release(): Buffer {
    const packetId = 1 + this.#random.below(IDS);
    this.#held.delete(packetId);
    this.#owe(MARK.pubcomp, packetId);
    return pubrel(packetId);
  }

  #subscribeOrNot(): Buffer {
    const filter = `nobody/${this.#random.below(3)}`;
    const packetId = 1 + this.#random.below(65_535);
    if (this.#random.onceIn(2)) {
      this.#owe(MARK.suback, packetId);
      return subscribe(packetId, [filter, 1]);
    }
    this.#owe(MARK.unsuback, packetId);
    return unsubscribe(packetId, filter);
  }

  #payload(): Buffer {
    const random = this.#random;
    let length = random.pick(LENGTHS);
    if (random.onceIn(150)) length = random.pick(LONG_LENGTHS);
    if (random.onceIn(60_000)) length = random.pick(HUGE_LENGTHS);
    if (length === 0) return Buffer.alloc(0);
    const number = `AA${this.#number++}:`;
    const payload = Buffer.from(FILLER.subarray(0, Math.max(length, number.length)));
    payload.write(number, 'latin1');
    return payload;
  }

  #frame({ topic, payload, qos, retain }: Sent & { retain: boolean }, id: number, dup: boolean) {
    const idBytes = qos > 0 ? 2 : 0;
    const length = 2 + topic.length + idBytes + payload.length;
    const lengthBytes = this.#lengthOf(length);
    const frame = Buffer.allocUnsafe(1 + lengthBytes.length + length);
    frame[0] = 0x30 | (dup && qos > 0 ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
    let at = 1 + lengthBytes.copy(frame, 1);
    at = frame.writeUInt16BE(topic.length, at);
    at += frame.write(topic, at, 'latin1');
    if (qos > 0) at = frame.writeUInt16BE(id, at);
    payload.copy(frame, at);
    return frame;
  }

  /** A remaining length, now and then in more bytes than it needs. */
  #lengthOf(length: number): Buffer {
    const shortest = remainingLength(length);
    if (shortest.length === 4 || !this.#random.onceIn(30)) return shortest;
    const padded = Buffer.alloc(
      shortest.length + 1 + this.#random.below(4 - shortest.length),
      0x80,
    );
    shortest.copy(padded);
    padded[shortest.length - 1] |= 0x80;
    padded[padded.length - 1] = 0;
    return padded;
  }

  /** Joins packets to writes, and cuts them anywhere. */
  #write(packets: Buffer[]): void {
    this.packets += packets.length;
    const bytes = Buffer.concat(packets);
    const client = this.#client!;
    let at = 0;
    while (at < bytes.length) {
      const length = this.#random.onceIn(3)
        ? 1 + this.#random.below(300)
        : 1 + this.#random.below(bytes.length);
      client.write(bytes.subarray(at, at + length));
      at += length;
    }
  }

  #owe(type: number, packetId: number): void {
    const owed = this.#owed.get(type);
    if (owed === undefined) this.#owed.set(type, [packetId]);
    else owed.push(packetId);
    this.#owedCount++;
  }

  #onAck(header: number, packetId: number): void {
    const type = header >> 4;
    const owed = this.#owed.get(type) ?? [];
    // A SUBACK may wait for the other shards while a later one need not.
    const at = type === MARK.suback ? owed.indexOf(packetId) : 0;
    if (owed[at] !== packetId) {
      this.#fault ||= `ack ${type} of ${packetId}, but ${owed[0]} is the next`;
      return;
    }
    owed.splice(at, 1);
    this.#owedCount--;
  }
}
