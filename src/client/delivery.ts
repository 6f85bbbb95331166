/** Hands what was received to handlers and streams, and says when no more should be read. */
import {
  CLIENT_HANDLERS_PENDING_MAX,
  CLIENT_MESSAGE_SLICE_BYTES,
  CLIENT_OVERFLOW_FACTOR,
} from '../base/limits.js';
import { DUP, RETAIN } from '../protocol/fixed-header.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import { HeldAck, type Incoming } from './incoming.js';
import { Message } from './message.js';
import type { Route, Subscriptions } from './subscriptions.js';

/** What a delivery needs of the client. */
export interface DeliveryHost {
  /** Somebody listens to 'message'. */
  readonly hasMessageListener: boolean;
  onMessage(message: Message): void;
  /** A handler threw, or its promise rejected. */
  onHandlerError(error: unknown): void;
  /** Asked when a queue is full: whether reading may stop, or has to go on for an answer. */
  readonly mayStopReading: boolean;
  /** No queue is full any more. */
  onRoom(): void;
}

/** Acks by QoS of the message. */
const ACK_TYPE = [0, PacketType.puback, PacketType.pubrec] as const;

export class Delivery {
  /** QoS 0 messages not given to handlers that had too many promises unsettled. */
  droppedMessages = 0;
  readonly #subscriptions: Subscriptions;
  readonly #incoming: Incoming;
  readonly #host: DeliveryHost;
  #fullStreams = 0;
  #pendingHandlers = 0;
  /** Copy of the part of the run that holds the payloads handed out now. */
  #slice: Buffer = Buffer.alloc(0);
  /** Positions in the read buffer that `#slice` is a copy of. */
  #sliceStart = 0;
  #sliceEnd = 0;

  constructor(subscriptions: Subscriptions, incoming: Incoming, host: DeliveryHost) {
    this.#subscriptions = subscriptions;
    this.#incoming = incoming;
    this.#host = host;
  }

  /** A stream's queue is full, or too many handlers have not finished. */
  get isBlocked(): boolean {
    return this.#fullStreams > 0 || this.#pendingHandlers >= CLIENT_HANDLERS_PENDING_MAX;
  }

  /** A stream's queue is full. */
  streamFull(): void {
    this.#fullStreams++;
  }

  /** A stream's queue is not full any more. */
  streamRoom(): void {
    this.#fullStreams--;
    if (!this.isBlocked) this.#host.onRoom();
  }

  /**
   * Delivers the run [start, end) of `count` PUBLISH frames (see FrameSink.onRun), and
   * acknowledges.
   * @param connection looked at after each message: a handler may have closed it.
   * @returns the position behind the last frame delivered: before `end` when reading has to stop.
   */
  onRun(
    connection: { readonly isOpen: boolean },
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
    packetIds: Uint16Array,
  ): number {
    const route = this.#subscriptions.routeOf(buffer, topicStart, topicLength);
    const qos = ((header >> 1) & 3) as QoS;
    const retain = (header & RETAIN) !== 0;
    const skipped = 2 + topicLength + (qos === 0 ? 0 : 2);
    const isWanted = route.subscriptions.length > 0 || this.#host.hasMessageListener;
    this.#sliceEnd = 0;
    let position = start;
    for (let i = 0; i < count; i++) {
      const dup = (buffer[position] & DUP) !== 0;
      let at = position + 1;
      let length = buffer[at] & 0x7f;
      for (let shift = 7; buffer[at++] >= 0x80; shift += 7) length |= (buffer[at] & 0x7f) << shift;
      position = at + length;
      const packetId = qos === 0 ? 0 : packetIds[i];
      if (qos === 2 && !this.#incoming.receive(packetId)) {
        this.#incoming.ack(PacketType.pubrec, packetId);
        continue;
      }
      if (isWanted) {
        const payload = this.#payload(buffer, at + skipped, position, end);
        this.#deliver(
          route,
          new Message(route.topic, payload, qos, retain, dup && qos === 1),
          packetId,
        );
        if (!connection.isOpen || (this.isBlocked && this.#host.mayStopReading)) return position;
      } else if (qos !== 0) {
        this.#incoming.ack(ACK_TYPE[qos], packetId);
      }
    }
    return end;
  }

  /**
   * A payload as a view of a copy. Neighbours share one, so that a run costs few allocations; a
   * payload that its receiver keeps pins one slice, not the whole read.
   */
  #payload(buffer: Buffer, start: number, end: number, runEnd: number): Buffer {
    if (end > this.#sliceEnd) {
      const bytes = Math.max(end - start, Math.min(runEnd - start, CLIENT_MESSAGE_SLICE_BYTES));
      this.#slice = Buffer.allocUnsafe(bytes);
      buffer.copy(this.#slice, 0, start, start + bytes);
      this.#sliceStart = start;
      this.#sliceEnd = start + bytes;
    }
    return this.#slice.subarray(start - this.#sliceStart, end - this.#sliceStart);
  }

  /** Gives a message to everybody who wants it, each once, and sends or holds its ack. */
  #deliver(route: Route, message: Message, packetId: number): void {
    const type = ACK_TYPE[message.qos];
    const ack = this.#offer(route, message, type, packetId);
    if (this.#host.hasMessageListener) this.#host.onMessage(message);
    if (type === 0) return;
    if (ack === null || ack.pending === 0) this.#incoming.ack(type, packetId);
    else this.#incoming.hold(ack);
  }

  /** @returns the ack that handlers or streams hold; null when none does, and for QoS 0. */
  #offer(route: Route, message: Message, type: number, packetId: number): HeldAck | null {
    let ack: HeldAck | null = null;
    const { subscriptions } = route;
    for (let i = 0; i < subscriptions.length; i++) {
      const { handler, streams } = subscriptions[i];
      if (handler !== null && !this.#mustDrop(message)) {
        const promise = this.#call(handler, message);
        if (promise !== null) {
          if (type !== 0) ack ??= new HeldAck(type, packetId);
          this.#await(promise, ack);
        }
      }
      for (let s = 0; s < streams.length; s++) {
        if (type !== 0) ack ??= new HeldAck(type, packetId);
        streams[s].push(message, ack);
      }
    }
    return ack;
  }

  #mustDrop(message: Message): boolean {
    if (message.qos !== 0) return false;
    if (this.#pendingHandlers < CLIENT_HANDLERS_PENDING_MAX * CLIENT_OVERFLOW_FACTOR) return false;
    this.droppedMessages++;
    return true;
  }

  /** Calls a handler. @returns its promise if it made one. */
  #call(handler: (message: Message) => unknown, message: Message): PromiseLike<unknown> | null {
    try {
      const result = handler(message);
      const isPromise =
        typeof result === 'object' &&
        result !== null &&
        typeof Reflect.get(result, 'then') === 'function';
      return isPromise ? (result as PromiseLike<unknown>) : null;
    } catch (error) {
      this.#host.onHandlerError(error);
      return null;
    }
  }

  #await(promise: PromiseLike<unknown>, ack: HeldAck | null): void {
    this.#pendingHandlers++;
    if (ack !== null) ack.pending++;
    const done = (): void => {
      const wasBlocked = this.isBlocked;
      this.#pendingHandlers--;
      if (ack !== null) {
        ack.pending--;
        this.#incoming.flush();
      }
      if (wasBlocked && !this.isBlocked) this.#host.onRoom();
    };
    promise.then(done, (error: unknown) => {
      done();
      this.#host.onHandlerError(error);
    });
  }
}
