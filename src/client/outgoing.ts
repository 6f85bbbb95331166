/**
 * What goes from the client to the server: messages and subscriptions, in the order they were asked
 * for, through a bounded queue and a window of unacknowledged packets that both outlive the
 * connection.
 */
import {
  ArgumentError,
  CapacityError,
  ConnectionLostError,
  ProtocolError,
} from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';
import { DUP, PUBLISH, RETAIN } from '../protocol/fixed-header.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import type { CallOptions } from './call.js';
import { Fifo } from './fifo.js';
import type { Payload } from './message.js';
import type { ClientSettings } from './options.js';
import { OutgoingPacket } from './outgoing-packet.js';
import { PENDING_ACKS_MAX, PendingAcks } from './pending-acks.js';
import { payloadBytes, publishFrameBytes, TopicFields, writePublish } from './publish-encoder.js';
import type { Writer } from './writer.js';

/** How a message is published. */
export interface PublishOptions extends CallOptions {
  /** Default 0. */
  readonly qos?: QoS | undefined;
  /** Default false: the server does not keep the message for later subscribers. */
  readonly retain?: boolean | undefined;
}

/** One promise for all QoS 0 messages that the socket took at once. */
const DONE: Promise<void> = Promise.resolve();

/** The packet type that ends the first wait of a message, by its QoS. */
const FIRST_ANSWER = [0, PacketType.puback, PacketType.pubrec] as const;

/** Sends, queues, redelivers. */
export class Outgoing {
  /** Why nothing is accepted any more; null while it is. */
  refusal: Error | null = null;
  /** Called when an answer is waited for that was not before: reading must not be paused then. */
  onAwaiting: () => void = () => {};
  /** Called when nothing waits any more. */
  onIdle: () => void = () => {};
  readonly #settings: ClientSettings;
  readonly #topics = new TopicFields();
  readonly #queue = new Fifo<OutgoingPacket>();
  /** Packets of the queue that were given up: they are passed over. */
  #givenUp = 0;
  readonly #sent = new PendingAcks<OutgoingPacket>();
  /** QoS 2 messages in `#sent`. */
  #sentQos2 = 0;
  /** Bytes of the frames in the queue and of those that may have to be sent again. */
  #heldBytes = 0;
  #writer: Writer | null = null;
  #isFirstConnection = true;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /** Nothing waits to be sent or answered. */
  get isIdle(): boolean {
    return this.queuedMessages === 0 && this.#sent.count === 0;
  }

  /** Packets that wait to be sent. */
  get queuedMessages(): number {
    return this.#queue.length - this.#givenUp;
  }

  /** Packets that were sent and not answered yet. */
  get inflight(): number {
    return this.#sent.count;
  }

  /** Something that we wait for may stand behind what the server sends. */
  get isAwaiting(): boolean {
    return this.#sent.count > 0 || this.#writer?.isSocketFull === true;
  }

  /**
   * Publishes. QoS 0: done when the socket has it, and not too much before it. QoS 1 and 2: done at
   * PUBACK or PUBCOMP.
   * @throws ArgumentError, CapacityError when the queue is full, `refusal`, or the reason of a
   *   signal that has fired already.
   */
  publish(topic: string, payload: Payload, options: PublishOptions): Promise<void> {
    const { qos = 0, signal } = options;
    if (this.refusal !== null) throw this.refusal;
    const field = this.#topics.fieldOf(topic);
    const length = payloadBytes(payload);
    const frameBytes = publishFrameBytes(field, length, qos);
    if (qos !== 0 && qos !== 1 && qos !== 2) throw invalidQos(qos);
    const header = PUBLISH | (qos << 1) | (options.retain === true ? RETAIN : 0);
    signal?.throwIfAborted();
    const writer = this.#writer;
    if (writer === null || this.#queue.length > 0 || !this.#mayWrite(writer, qos, frameBytes)) {
      this.#checkQueue(qos, frameBytes);
      const frame = Buffer.allocUnsafe(frameBytes);
      writePublish(frame, 0, header, field, 0, payload, length);
      const packet = new OutgoingPacket(FIRST_ANSWER[qos], frame, 0, frameBytes);
      return this.#enqueue(packet, options, 0, topic);
    }
    writer.reserve(frameBytes);
    const at = writer.position;
    if (qos === 0) {
      writer.commit(writePublish(writer.chunk, at, header, field, 0, payload, length), false);
      return writer.isBusy ? this.#whenReady(writer, options) : DONE;
    }
    const packet = new OutgoingPacket(FIRST_ANSWER[qos], writer.chunk, at, at + frameBytes);
    this.#keepSent(packet);
    const { packetId } = packet;
    // The frame stays where it lies in the batch: it is sent again from there if need be.
    writer.commit(writePublish(writer.chunk, at, header, field, packetId, payload, length), true);
    const promise = packet.promise();
    this.#limit(packet, options, 0, topic);
    return promise;
  }

  /**
   * Sends a SUBSCRIBE or UNSUBSCRIBE, behind what is queued.
   * @throws CapacityError when the queue is full, `refusal`, or the reason of a signal that has
   *   fired already.
   */
  request(packet: OutgoingPacket, options: CallOptions, what: string): Promise<void> {
    if (this.refusal !== null) throw this.refusal;
    options.signal?.throwIfAborted();
    this.#checkQueue(1, packet.frameBytes);
    return this.#enqueue(packet, options, this.#settings.ackTimeoutMs, what);
  }

  /**
   * A connection is there, and CONNACK said whether the server still has the session. What was sent
   * and not answered is sent again, in the original order with the original packet ids
   * [MQTT-4.4.0-1] [MQTT-4.6.0-1], and then the queue. To a server that has lost the session the
   * messages are new: they go without DUP, and a QoS 2 message that it had received is done.
   * @param first SUBSCRIBE packets that go before everything else; nobody waits for them.
   */
  attach(writer: Writer, sessionPresent: boolean, first: readonly OutgoingPacket[]): void {
    this.#writer = writer;
    if (this.#isFirstConnection && sessionPresent) {
      // The session is of an earlier process; ids that it may have left in use are passed by.
      this.#sent.startAt(1 + Math.floor(Math.random() * PACKET_ID_MAX));
    }
    this.#isFirstConnection = false;
    const inOrder = this.#sent.inOrder();
    for (const packet of first) {
      this.#keepSent(packet);
      packet.write(writer, 0);
    }
    for (const packet of inOrder) {
      if (packet.awaits !== PacketType.pubcomp) {
        packet.write(writer, sessionPresent && packet.isPublish ? DUP : 0);
      } else if (sessionPresent) {
        writer.writeAck(PacketType.pubrel, packet.packetId);
      } else {
        this.#answered(packet, null);
      }
    }
    this.pump();
  }

  /**
   * The connection is gone; another may follow.
   * @returns whether SUBSCRIBE packets of our own have not been answered: they have to be made
   *   again.
   */
  detach(): boolean {
    this.#writer = null;
    const own = this.#sent.inOrder().filter((packet) => packet.isOwn);
    for (const packet of own) this.#forget(packet);
    return own.length > 0;
  }

  /**
   * Rejects every call and forgets what was not sent. Messages in flight are kept for a session
   * that goes on, though nobody waits for them.
   */
  failAll(error: Error, keepSession: boolean): void {
    for (let packet = this.#queue.shift(); packet !== undefined; packet = this.#queue.shift()) {
      packet.fail(error);
      this.#drop(packet);
    }
    this.#givenUp = 0;
    for (const packet of this.#sent.inOrder()) {
      packet.fail(error);
      if (keepSession && packet.isPublish) continue;
      this.#forget(packet);
      this.#drop(packet);
    }
  }

  /**
   * PUBACK, PUBREC or PUBCOMP. One that nothing waits for is passed over: a server may answer twice
   * what was sent twice.
   * @throws ProtocolError for an answer of the wrong kind.
   */
  onAck(type: number, packetId: number): void {
    const packet = this.#sent.get(packetId);
    if (type === PacketType.pubrec) {
      this.#onPubrec(packet, packetId);
      return;
    }
    if (packet === null) return;
    if (packet.awaits !== type) throw wrongAnswer(type, packetId);
    this.#answered(packet, null);
    if (this.#queue.length > 0) this.pump();
  }

  /** SUBACK or UNSUBACK. @throws ProtocolError for one that nothing waits for. */
  onAnswer(type: number, packetId: number, returnCodes: readonly number[]): void {
    const packet = this.#sent.get(packetId);
    if (packet === null || packet.awaits !== type) throw wrongAnswer(type, packetId);
    this.#answered(packet, packet.onAnswer?.(returnCodes) ?? null);
    this.pump();
  }

  /** Sends what the window and the socket have room for. */
  pump(): void {
    const writer = this.#writer;
    if (writer === null) return;
    for (let packet = this.#queue.peek(); packet !== undefined; packet = this.#queue.peek()) {
      if (!packet.isSettled && !this.#hasRoom(writer, packet.awaits)) return;
      this.#queue.shift();
      if (packet.isSettled) {
        this.#givenUp--;
        continue;
      }
      if (packet.awaits !== 0) this.#add(packet);
      packet.write(writer, 0);
      if (packet.awaits === 0) {
        this.#release(packet);
        packet.succeed();
      } else {
        this.onAwaiting();
      }
    }
    if (this.isIdle) this.onIdle();
  }

  /** Whether a message may go straight into the batch; if not, it joins the queue. */
  #mayWrite(writer: Writer, qos: number, frameBytes: number): boolean {
    if (qos !== 0) {
      return (
        this.#windowHasRoom(qos === 2) &&
        this.#heldBytes + frameBytes <= this.#settings.maxQueuedBytes
      );
    }
    return !writer.isBusy || writer.unsentBytes + frameBytes <= this.#settings.maxQueuedBytes;
  }

  /** Whether the first packet of the queue may be sent now. */
  #hasRoom(writer: Writer, awaits: number): boolean {
    if (writer.isBusy || this.#sent.count >= PENDING_ACKS_MAX) return false;
    const isMessage = awaits === PacketType.puback || awaits === PacketType.pubrec;
    return !isMessage || this.#windowHasRoom(awaits === PacketType.pubrec);
  }

  #windowHasRoom(isQos2: boolean): boolean {
    const { maxInflight, maxInflightQos2 } = this.#settings;
    return this.#sent.count < maxInflight && !(isQos2 && this.#sentQos2 >= maxInflightQos2);
  }

  /** @throws when the queue does not take another message of this size. */
  #checkQueue(qos: number, frameBytes: number): void {
    const { maxQueuedMessages, maxQueuedBytes, queueQos0, uri } = this.#settings;
    if (qos === 0 && this.#writer === null && !queueQos0) {
      throw new ConnectionLostError(`not connected to ${uri}, and queueQos0 is false`);
    }
    if (this.queuedMessages >= maxQueuedMessages) {
      throw new CapacityError(
        `${maxQueuedMessages} messages wait for ${uri}: await publish(), or raise ` +
          'maxQueuedMessages',
      );
    }
    const unsentBytes = this.#writer?.isBusy === true ? this.#writer.unsentBytes : 0;
    if (this.#heldBytes + unsentBytes + frameBytes > maxQueuedBytes) {
      throw new CapacityError(
        `${this.#heldBytes + unsentBytes} bytes wait for ${uri}, ${frameBytes} more do not fit: ` +
          `await publish(), or raise maxQueuedBytes (${maxQueuedBytes})`,
      );
    }
  }

  /** @param what the topic of a PUBLISH, a few words for another packet. */
  #enqueue(
    packet: OutgoingPacket,
    options: CallOptions,
    defaultTimeoutMs: number,
    what: string,
  ): Promise<void> {
    this.#queue.push(packet);
    this.#heldBytes += packet.frameBytes;
    const promise = packet.promise();
    this.#limit(packet, options, defaultTimeoutMs, what);
    this.pump();
    return promise;
  }

  #limit(packet: OutgoingPacket, options: CallOptions, defaultMs: number, what: string): void {
    const { signal, timeoutMs = defaultMs } = options;
    if (signal === undefined && timeoutMs === 0) return;
    const title = packet.isPublish ? `PUBLISH to '${what}'` : what;
    packet.limit(options, timeoutMs, title, () => {
      // What was sent keeps its id and its frame: the server may answer, or want it again.
      if (packet.packetId !== 0 || packet.frameBytes === 0) return;
      this.#givenUp++;
      this.#drop(packet);
    });
  }

  /** Backpressure for QoS 0: many calls share one promise, unless one has a limit of its own. */
  #whenReady(writer: Writer, options: CallOptions): Promise<void> {
    if (writer.isSocketFull) this.onAwaiting();
    const { signal, timeoutMs = 0 } = options;
    if (signal === undefined && timeoutMs === 0) return writer.whenReady();
    const packet = new OutgoingPacket(0, Buffer.alloc(0), 0, 0);
    const promise = packet.promise();
    packet.limit(options, timeoutMs, 'a PUBLISH of QoS 0', () => {});
    void writer.whenReady().then(() => packet.succeed());
    return promise;
  }

  /** Gives a packet its id. */
  #add(packet: OutgoingPacket): void {
    this.#sent.add(packet);
    if (packet.isQos2) this.#sentQos2++;
  }

  #keepSent(packet: OutgoingPacket): void {
    this.#add(packet);
    this.#heldBytes += packet.frameBytes;
    this.onAwaiting();
  }

  #onPubrec(packet: OutgoingPacket | null, packetId: number): void {
    if (packet !== null && packet.awaits === PacketType.pubrec) {
      packet.awaits = PacketType.pubcomp;
      this.#release(packet);
    } else if (packet !== null && packet.awaits !== PacketType.pubcomp) {
      throw wrongAnswer(PacketType.pubrec, packetId);
    }
    // An id that nothing waits under is released too, or the server would keep it for ever.
    this.#writer?.writeAck(PacketType.pubrel, packetId);
  }

  #answered(packet: OutgoingPacket, error: Error | null): void {
    this.#forget(packet);
    if (error === null) packet.succeed();
    else packet.fail(error);
    if (this.isIdle) this.onIdle();
  }

  /** Takes a packet that was sent out of the table: its id is free. */
  #forget(packet: OutgoingPacket): void {
    this.#sent.remove(packet);
    if (packet.isQos2) this.#sentQos2--;
    this.#release(packet);
  }

  /** A packet will neither be sent any more nor answered. */
  #drop(packet: OutgoingPacket): void {
    this.#release(packet);
    packet.onDropped?.();
    packet.onDropped = null;
  }

  /** The frame is not needed any more. */
  #release(packet: OutgoingPacket): void {
    this.#heldBytes -= packet.frameBytes;
    packet.dropFrame();
  }
}

function invalidQos(qos: unknown): ArgumentError {
  return new ArgumentError(`QoS ${String(qos)} does not exist: use 0, 1 or 2`);
}

function wrongAnswer(type: number, packetId: number): ProtocolError {
  const name = Object.entries(PacketType).find(([, value]) => value === type)?.[0] ?? String(type);
  return new ProtocolError(
    `3.${type}`,
    `${name.toUpperCase()} with packet id ${packetId}, under which nothing waits for one`,
  );
}
