/** What was sent and has not been answered, and how much more may be. */
import { PacketType } from '../protocol/packet.js';
import type { ClientSettings } from './options.js';
import type { OutgoingPacket } from './outgoing-packet.js';
import { PENDING_ACKS_MAX, PendingAcks } from './pending-acks.js';

/** Packets by packet id, counted by kind. */
export class Window {
  readonly #settings: ClientSettings;
  readonly #packets = new PendingAcks<OutgoingPacket>();
  #qos2 = 0;
  /** QoS 1 messages that nobody waits for: they hold up no other. */
  #abandonedQos1 = 0;
  /** Messages that may be unanswered on this connection [MQTT-3.3.4-9]. */
  #receiveMaximum = Number.POSITIVE_INFINITY;
  /** Messages that were sent on this connection and are not done. */
  #onWire = 0;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /** Packets that have not been answered. */
  get count(): number {
    return this.#packets.count;
  }

  /** Goes on giving out packet ids from this one, 1 to 65,535. */
  startAt(packetId: number): void {
    this.#packets.startAt(packetId);
  }

  /** The packet under an id; null for none. */
  get(packetId: number): OutgoingPacket | null {
    return this.#packets.get(packetId);
  }

  /** All of them, in the order they were sent first. */
  inOrder(): OutgoingPacket[] {
    return this.#packets.inOrder();
  }

  /** Another connection: nothing has been sent on it. @param receiveMaximum of the server. */
  beginConnection(receiveMaximum: number): void {
    this.#receiveMaximum = receiveMaximum;
    this.#onWire = 0;
    for (const packet of this.#packets.inOrder()) packet.isOnWire = false;
  }

  /** The server takes another message, new or sent again. */
  get hasQuota(): boolean {
    return this.#onWire < this.#receiveMaximum;
  }

  /** A message is sent on this connection. */
  sends(packet: OutgoingPacket): void {
    if (packet.isOnWire || !packet.isPublish) return;
    packet.isOnWire = true;
    this.#onWire++;
  }

  /** Whether another message may be sent. */
  hasRoom(isQos2: boolean): boolean {
    const { maxInflight, maxInflightQos2 } = this.#settings;
    return (
      this.#onWire < this.#receiveMaximum &&
      this.#packets.count - this.#abandonedQos1 < maxInflight &&
      this.#packets.count < PENDING_ACKS_MAX &&
      !(isQos2 && this.#qos2 >= maxInflightQos2)
    );
  }

  /** Whether a packet that `awaits` this answer, 0 for none, may be sent. */
  hasRoomFor(awaits: number): boolean {
    const isQos2 = awaits === PacketType.pubrec;
    if (isQos2 || awaits === PacketType.puback) return this.hasRoom(isQos2);
    return this.#packets.count < PENDING_ACKS_MAX;
  }

  /** Gives a packet that is sent now its id. */
  add(packet: OutgoingPacket): void {
    this.#packets.add(packet);
    if (packet.isQos2) this.#qos2++;
    this.sends(packet);
  }

  /** A packet has been answered, or never will be: its id is free. */
  remove(packet: OutgoingPacket): void {
    this.#packets.remove(packet);
    if (packet.isOnWire) this.#onWire--;
    packet.isOnWire = false;
    if (packet.isQos2) this.#qos2--;
    else if (packet.isAbandoned && packet.isPublish) this.#abandonedQos1--;
  }

  /** Nobody waits for a packet any more. QoS 2 keeps its place: it holds the server's memory. */
  abandon(packet: OutgoingPacket): void {
    if (packet.isAbandoned) return;
    packet.isAbandoned = true;
    if (packet.isPublish && !packet.isQos2) this.#abandonedQos1++;
  }
}
