/**
 * Publishes numbers at QoS 1 and 2 and holds to the sender's state machine over all connections: a
 * PUBLISH that was not answered is sent again with DUP and its packet id; behind PUBREC comes
 * PUBREL and never PUBLISH [MQTT-4.3.3-1, MQTT-4.4.0-1].
 */
import type { Packet } from 'mqtt-packet';
import { PersistentClient, type Surroundings } from './persistent-client.js';
import type { TopicRecord, Version } from './topics.js';

/** Most that it has under way, in messages. */
const WINDOW = 64;
/** From here on a reason code refuses. */
const REFUSAL = 0x80;

interface Pending {
  readonly topic: TopicRecord;
  readonly number: number;
  /** PUBREC came: it is released, and never published again. */
  isReleased: boolean;
}

export class KillPublisher extends PersistentClient {
  readonly #topics: readonly TopicRecord[];
  /** By packet id, in the order in which they were published. */
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #window = WINDOW;
  published = 0;
  acknowledged = 0;
  refused = 0;

  constructor(
    clientId: string,
    version: Version,
    topics: readonly TopicRecord[],
    around: Surroundings,
  ) {
    super(clientId, version, around);
    this.#topics = topics;
  }

  /** Nothing is under way. */
  get isFinished(): boolean {
    return this.#pending.size === 0;
  }

  /** What is under way, for people. */
  get unfinished(): string {
    const [first] = this.#pending.values();
    const what = first === undefined ? '' : `, ${first.topic.name} ${first.number} first`;
    return `${this.clientId}: ${this.#pending.size} not acknowledged${what}`;
  }

  /** Publishes up to so many messages, as long as the window has room: to one topic, or to any. */
  burst(count: number): void {
    if (!this.isOnline) return;
    const { random } = this.around;
    const one = random.onceIn(2) ? random.pick(this.#topics) : null;
    const packets: Packet[] = [];
    for (let left = count; left > 0 && this.#pending.size < this.#window; left--) {
      packets.push(this.#next(one ?? random.pick(this.#topics)));
    }
    this.send(...packets);
  }

  #next(topic: TopicRecord): Packet {
    const { random } = this.around;
    const number = topic.publish(topic.retain && random.onceIn(5));
    do this.#lastId = (this.#lastId % 65_535) + 1;
    while (this.#pending.has(this.#lastId));
    this.#pending.set(this.#lastId, { topic, number, isReleased: false });
    this.published++;
    return this.#packetOf(this.#lastId, false);
  }

  #packetOf(messageId: number, dup: boolean): Packet {
    const { topic, number, isReleased } = this.#pending.get(messageId)!;
    if (isReleased) return { cmd: 'pubrel', messageId };
    const { name, qos, retain } = topic;
    const payload = topic.payload(number);
    const packet = { cmd: 'publish', topic: name, payload, qos, retain, dup, messageId } as const;
    if (this.version !== 5) return packet;
    const userProperties = { number: String(number) };
    return { ...packet, properties: { userProperties, messageExpiryInterval: 86_400 } };
  }

  protected override onSession(isPresent: boolean, receiveMaximum: number): void {
    this.#window = Math.min(WINDOW, receiveMaximum);
    const again: Packet[] = [];
    for (const [messageId, { isReleased }] of this.#pending) {
      // A session that is gone knows of no packet ids: what was received is done with.
      if (!isPresent && isReleased) this.#pending.delete(messageId);
      else again.push(this.#packetOf(messageId, isPresent));
    }
    this.send(...again);
  }

  protected override onOwnPacket(packet: Packet): void {
    const messageId = packet.messageId ?? 0;
    const pending = this.#pending.get(messageId);
    const { cmd } = packet;
    if (cmd !== 'puback' && cmd !== 'pubrec' && cmd !== 'pubcomp') {
      this.protocolFault(`${cmd} to a publisher`);
      return;
    }
    const isOfQos1 = cmd === 'puback';
    if (pending === undefined || isOfQos1 !== (pending.topic.qos === 1)) {
      this.protocolFault(`${cmd} of packet id ${messageId}, which is not under way`);
      return;
    }
    if (pending.isReleased !== (cmd === 'pubcomp')) {
      this.protocolFault(`${cmd} of packet id ${messageId} at the wrong time`);
      return;
    }
    if (cmd === 'pubcomp') {
      this.#pending.delete(messageId);
      pending.topic.complete(pending.number);
    } else this.#onAcknowledged(messageId, pending, packet.reasonCode ?? 0);
    this.around.onProgress();
  }

  /** PUBACK or PUBREC: in the order of the messages [MQTT-4.6.0-2, MQTT-4.6.0-3]. */
  #onAcknowledged(messageId: number, pending: Pending, reasonCode: number): void {
    const { topic, number } = pending;
    for (const [id, other] of this.#pending) {
      if (id === messageId) break;
      if (other.topic.qos !== topic.qos || other.isReleased) continue;
      this.protocolFault(`${topic.name} ${number} is acknowledged before another message`);
      break;
    }
    if (reasonCode >= REFUSAL) {
      topic.refuse(number);
      this.refused++;
      this.#pending.delete(messageId);
      return;
    }
    topic.acknowledge(number, this.around.faults.kills);
    this.acknowledged++;
    if (topic.qos === 1) {
      this.#pending.delete(messageId);
      topic.complete(number);
      return;
    }
    // Kept as a packet id that is in use: so must be its session.
    this.mustBePresent = true;
    pending.isReleased = true;
    this.send({ cmd: 'pubrel', messageId });
  }
}
