/**
 * QoS 1 and 2 messages on their way in: which QoS 2 packet ids have been seen, and which acks have
 * to wait for a handler. Acks leave in the order of the messages [MQTT-4.6.0-2] [MQTT-4.6.0-3].
 */
import { ProtocolError } from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';
import { PacketType } from '../protocol/packet.js';
import { Fifo } from './fifo.js';
import type { Writer } from './writer.js';

/** The ack of one message that is still being handled, or stands behind one that is. */
export class HeldAck {
  readonly type: number;
  readonly packetId: number;
  /** Handlers that have not finished with the message. */
  pending = 0;

  constructor(type: number, packetId: number) {
    this.type = type;
    this.packetId = packetId;
  }
}

/** The receiving half of a session. */
export class Incoming {
  /**
   * A bit for each QoS 2 packet id received and not yet released; made when the first one comes.
   */
  #received: Uint8Array | null = null;
  /** Acks that cannot be sent yet, and those behind them. Of this connection only. */
  readonly #held = new Fifo<HeldAck>();
  #writer: Writer | null = null;

  /** A connection is there. A server that has lost the session has lost its packet ids too. */
  attach(writer: Writer, sessionPresent: boolean): void {
    this.#writer = writer;
    if (!sessionPresent) this.#received = null;
  }

  /**
   * The connection is gone. Acks that were held are never sent: the server sends those messages
   * again, and an ack on the next connection would answer a message of that one.
   */
  detach(): void {
    this.#writer = null;
    this.#held.clear();
  }

  /**
   * Notes a QoS 2 packet id. @returns false when it is known: the message has been handed out
   * before.
   */
  receive(packetId: number): boolean {
    this.#received ??= new Uint8Array((PACKET_ID_MAX + 1) / 8);
    const bit = 1 << (packetId & 7);
    const index = packetId >> 3;
    if ((this.#received[index] & bit) !== 0) return false;
    this.#received[index] |= bit;
    return true;
  }

  /** Takes a packet id back that was received: the message was not handed out. */
  forget(packetId: number): void {
    if (this.#received !== null) this.#received[packetId >> 3] &= ~(1 << (packetId & 7));
  }

  /** PUBREL: forgets the packet id, known or not, and answers PUBCOMP [MQTT-4.3.3-2]. */
  release(packetId: number): void {
    this.forget(packetId);
    this.#writer?.writeAck(PacketType.pubcomp, packetId);
  }

  /** Acknowledges a message that is done, behind those that are not. `type` is PUBACK or PUBREC. */
  ack(type: number, packetId: number): void {
    if (this.#held.length > 0) this.hold(new HeldAck(type, packetId));
    else this.#writer?.writeAck(type, packetId);
  }

  /**
   * Queues the ack of a message that is not done; `flush` sends it when its `pending` is 0.
   * @throws ProtocolError when more wait than there are packet ids: the server does not.
   */
  hold(ack: HeldAck): void {
    if (this.#held.length >= PACKET_ID_MAX) {
      throw new ProtocolError('MQTT-2.3.1-4', 'more unacknowledged messages than packet ids');
    }
    this.#held.push(ack);
  }

  /** Sends the acks that nothing holds any more. */
  flush(): void {
    for (let ack = this.#held.peek(); ack?.pending === 0; ack = this.#held.peek()) {
      this.#held.shift();
      this.#writer?.writeAck(ack.type, ack.packetId);
    }
  }
}
