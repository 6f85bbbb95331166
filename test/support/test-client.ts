/**
 * An MQTT client for the tests, on top of RawClient: it keeps apart messages and acknowledgements,
 * and acknowledges by the book unless told not to. What a subscriber must remember over connections
 * (QoS 2 packet ids not yet released) is in `received`, which the next connection is given.
 */
import assert from 'node:assert/strict';
import {
  type ConnectFields,
  connect,
  DISCONNECT,
  type Message,
  PINGREQ,
  parsePublish,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  type QoS,
  subscribe,
  type Text,
  unsubscribe,
} from './packets.js';
import { type Endpoint, RawClient } from './raw-client.js';
import { Changes } from './waiting.js';

/** Packet types as they stand in the first byte, flags aside. */
export const Type = {
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  unsuback: 11,
  pingresp: 13,
} as const;

/** An acknowledgement received. */
export interface Ack {
  readonly type: number;
  readonly packetId: number;
}

export interface TestClientOptions extends ConnectFields {
  /** Whether messages are acknowledged as they come; default true. */
  readonly acknowledge?: boolean;
  /** QoS 2 packet ids received and not yet released, from an earlier connection of this session. */
  readonly received?: Set<number>;
  /** Packets sent in one write with CONNECT. */
  readonly pipelined?: readonly Buffer[];
}

export interface PublishOptions {
  readonly qos?: QoS;
  readonly retain?: boolean;
}

export class TestClient {
  readonly raw: RawClient;
  readonly #changes = new Changes();
  #sessionPresent = false;
  #connack = -1;
  #lastPacketId = 0;
  #pings = 0;
  #taken = 0;
  /** Whether messages are acknowledged as they come. */
  acknowledge: boolean;
  /**
   * Every message received, in order; a QoS 2 message sent again before its release counts once.
   */
  readonly messages: Message[] = [];
  /** Acknowledgements (also SUBACK and UNSUBACK) that no call has waited for yet, in order. */
  readonly acks: Ack[] = [];
  readonly received: Set<number>;
  /** Called for each message, as it comes. */
  onMessage: ((message: Message) => void) | null = null;
  #subackCodes: Buffer = Buffer.alloc(0);

  private constructor(raw: RawClient, options: TestClientOptions) {
    this.raw = raw;
    this.acknowledge = options.acknowledge ?? true;
    this.received = options.received ?? new Set();
    raw.onPacket = (packet) => {
      this.#onPacket(packet);
      this.#changes.notify();
    };
    raw.onClose = () => this.#changes.notify();
  }

  /** Connects and waits for CONNACK. @throws AssertionError when the broker refuses. */
  static async connect(endpoint: Endpoint, options: TestClientOptions = {}): Promise<TestClient> {
    return TestClient.over(await RawClient.open(endpoint), options);
  }

  /** The same over a connection on which nothing was sent. */
  static async over(raw: RawClient, options: TestClientOptions = {}): Promise<TestClient> {
    const client = new TestClient(raw, options);
    client.raw.send(connect(options), ...(options.pipelined ?? []));
    await client.until(() => client.#connack >= 0, 'CONNACK');
    assert.equal(client.#connack, 0, 'CONNACK return code');
    return client;
  }

  get sessionPresent(): boolean {
    return this.#sessionPresent;
  }

  /** Payloads of all messages received. */
  get payloads(): string[] {
    return this.messages.map((message) => message.payload);
  }

  #onPacket(packet: Buffer): void {
    const type = packet[0] >> 4;
    if (this.#connack < 0) assert.equal(type, Type.connack, 'first packet from the broker');
    if (type === Type.publish) this.#onPublish(parsePublish(packet));
    else if (type === Type.connack) {
      this.#sessionPresent = packet[2] === 1;
      this.#connack = packet[3];
    } else if (type === Type.pingresp) this.#pings++;
    else {
      const at = bodyStart(packet);
      const packetId = packet.readUInt16BE(at);
      if (type === Type.suback) this.#subackCodes = packet.subarray(at + 2);
      if (type === Type.pubrel) this.#onPubrel(packetId);
      this.acks.push({ type, packetId });
    }
  }

  #onPublish(message: Message): void {
    if (message.qos === 2) {
      const isAgain = this.received.has(message.packetId);
      if (this.acknowledge) {
        this.received.add(message.packetId);
        this.raw.send(pubrec(message.packetId));
      }
      if (isAgain) return;
    }
    this.messages.push(message);
    if (message.qos === 1 && this.acknowledge) this.raw.send(puback(message.packetId));
    this.onMessage?.(message);
  }

  #onPubrel(packetId: number): void {
    this.received.delete(packetId);
    if (this.acknowledge) this.raw.send(pubcomp(packetId));
  }

  /**
   * Waits until `holds`, looking whenever a packet has come. @throws Error when the connection ends
   * first.
   */
  async until(holds: () => boolean, what: string): Promise<void> {
    await this.#changes.until(
      () => {
        if (holds()) return true;
        if (this.raw.isClosed) throw new Error(`connection closed while waiting for ${what}`);
        return undefined;
      },
      () => `${what} (${this.messages.length} messages received)`,
    );
  }

  /** The next message that no call has taken yet. */
  async nextMessage(): Promise<Message> {
    await this.until(() => this.messages.length > this.#taken, 'a message');
    return this.messages[this.#taken++];
  }

  /** The next `count` messages that no call has taken yet. */
  async nextMessages(count: number): Promise<Message[]> {
    await this.until(() => this.messages.length >= this.#taken + count, `${count} messages`);
    this.#taken += count;
    return this.messages.slice(this.#taken - count, this.#taken);
  }

  /**
   * Waits until a message with this payload has come, and returns all that came up to it, untaken
   * ones only.
   */
  async messagesUntil(payload: string): Promise<Message[]> {
    const from = this.#taken;
    let end = -1;
    await this.until(() => {
      end = this.messages.findIndex((message, at) => at >= from && message.payload === payload);
      return end >= 0;
    }, `the message ${payload}`);
    this.#taken = end + 1;
    return this.messages.slice(from, end);
  }

  /** A packet id that this client has not used for a while. */
  nextPacketId(): number {
    this.#lastPacketId = (this.#lastPacketId % 65_535) + 1;
    return this.#lastPacketId;
  }

  /** Waits for an acknowledgement and takes it out of `acks`. */
  async takeAck(type: number, packetId: number): Promise<void> {
    let at = -1;
    await this.until(() => {
      at = this.acks.findIndex((ack) => ack.type === type && ack.packetId === packetId);
      return at >= 0;
    }, `packet type ${type} with packet id ${packetId}`);
    this.acks.splice(at, 1);
  }

  /** Publishes, and completes the acknowledgements of the QoS. */
  async publish(topic: Text, payload: Text, options: PublishOptions = {}): Promise<void> {
    const { qos = 0, retain = false } = options;
    if (qos === 0) {
      this.raw.send(publish({ topic, payload, retain }));
      return;
    }
    const packetId = this.nextPacketId();
    this.raw.send(publish({ topic, payload, qos, retain, packetId }));
    await this.complete(packetId, qos);
  }

  /** The rest of a publication that has been sent: waits for PUBACK, or PUBREC, PUBREL, PUBCOMP. */
  async complete(packetId: number, qos: QoS): Promise<void> {
    if (qos === 1) await this.takeAck(Type.puback, packetId);
    if (qos !== 2) return;
    await this.takeAck(Type.pubrec, packetId);
    this.raw.send(pubrel(packetId));
    await this.takeAck(Type.pubcomp, packetId);
  }

  /** Publishes many, all in flight together, and waits for the last acknowledgement. */
  async publishAll(
    topic: Text,
    payloads: readonly Text[],
    options: PublishOptions = {},
  ): Promise<void> {
    const { qos = 0, retain = false } = options;
    const ids = payloads.map(() => (qos === 0 ? 0 : this.nextPacketId()));
    const packets = payloads.map((payload, at) =>
      publish({ topic, payload, qos, retain, ...(qos > 0 && { packetId: ids[at] }) }),
    );
    this.raw.send(...packets);
    if (qos === 0) return;
    await this.#takeAll(qos === 1 ? Type.puback : Type.pubrec, ids);
    if (qos === 1) return;
    this.raw.send(...ids.map(pubrel));
    await this.#takeAll(Type.pubcomp, ids);
  }

  /** Waits until all of `packetIds` are acknowledged by `type`, in this order, and takes those. */
  async #takeAll(type: number, packetIds: readonly number[]): Promise<void> {
    const isWanted = (ack: Ack) => ack.type === type;
    await this.until(
      () => this.acks.filter(isWanted).length >= packetIds.length,
      `${packetIds.length} acks`,
    );
    const taken = this.acks.filter(isWanted).map((ack) => ack.packetId);
    assert.deepEqual(taken, packetIds, 'order of acknowledgements');
    const others = this.acks.filter((ack) => !isWanted(ack));
    this.acks.splice(0, this.acks.length, ...others);
  }

  /** Subscribes and returns the return codes of the SUBACK. */
  async subscribe(...subscriptions: readonly [Text, number][]): Promise<number[]> {
    const packetId = this.nextPacketId();
    this.raw.send(subscribe(packetId, ...subscriptions));
    await this.takeAck(Type.suback, packetId);
    return [...this.#subackCodes];
  }

  /** Unsubscribes and waits for UNSUBACK. */
  async unsubscribe(...filters: readonly Text[]): Promise<void> {
    const packetId = this.nextPacketId();
    this.raw.send(unsubscribe(packetId, ...filters));
    await this.takeAck(Type.unsuback, packetId);
  }

  /** PINGREQ, answered by PINGRESP. */
  async ping(): Promise<void> {
    const seen = this.#pings;
    this.raw.send(PINGREQ);
    await this.until(() => this.#pings > seen, 'PINGRESP');
  }

  /** DISCONNECT, and the close that follows. */
  async disconnect(): Promise<void> {
    this.raw.send(DISCONNECT);
    await this.raw.untilClosed();
  }

  /** Cuts the connection without DISCONNECT. */
  async cut(): Promise<void> {
    await this.raw.cut();
  }

  /** Waits until the broker has closed the connection. */
  async untilClosed(): Promise<void> {
    await this.raw.untilClosed();
  }
}

/** Where the variable header begins: behind a remaining length of one or more bytes. */
function bodyStart(packet: Buffer): number {
  let at = 1;
  while (packet[at++] >= 0x80);
  return at;
}
