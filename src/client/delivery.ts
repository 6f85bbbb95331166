/** Hands what was received to handlers and streams, and says when no more should be read. */
import {
  CLIENT_HANDLERS_PENDING_MAX,
  CLIENT_MESSAGE_SLICE_BYTES,
  CLIENT_OVERFLOW_FACTOR,
} from '../base/limits.js';
import { DUP, RETAIN } from '../protocol/fixed-header.js';
import { PacketType, type QoS } from '../protocol/packet.js';
import { decodeProperties, NO_PROPERTIES, type PublishView } from '../protocol/v5/index.js';
import { HeldAck, type Incoming } from './incoming.js';
import { Message, type MessageProperties } from './message.js';
import type { Route, Subscriptions } from './subscriptions.js';
import { Unclaimed, type UnclaimedMessage, Verdict } from './unclaimed.js';

/** What a delivery needs of the client. */
export interface DeliveryHost {
  /** Somebody listens to 'message'. */
  readonly hasMessageListener: boolean;
  onMessage(message: Message): void;
  /** A handler threw, or its promise rejected. */
  onHandlerError(error: unknown): void;
  /** Asked when a queue is full: whether reading may stop, or has to go on for an answer. */
  readonly mayStopReading: boolean;
  /** The client has ended, or ends and receives no more. */
  readonly isClosed: boolean;
  /** No queue is full any more. */
  onRoom(): void;
  /** What waited has been handed out, and behind it messages were left with the server. */
  onLeft(): void;
}

/** Acks by QoS of the message. */
const ACK_TYPE = [0, PacketType.puback, PacketType.pubrec] as const;

export class Delivery {
  /**
   * QoS 0 messages that handlers with too many promises did not get; and messages of any QoS that
   * came before there was a handler, found no room, and will not be sent again.
   */
  droppedMessages = 0;
  readonly #subscriptions: Subscriptions;
  readonly #incoming: Incoming;
  readonly #host: DeliveryHost;
  readonly #unclaimed = new Unclaimed();
  #fullStreams = 0;
  /** The server has had the session from before: with subscriptions that are not known here. */
  #isResumed = false;
  /** SUBSCRIBE calls under way, and those that have just ended. */
  #subscribing = 0;
  #isReleaseDue = false;
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

  /** A stream's queue is full, too many handlers have not finished, or nobody takes anything. */
  get isBlocked(): boolean {
    return (
      this.#fullStreams > 0 ||
      this.#pendingHandlers >= CLIENT_HANDLERS_PENDING_MAX ||
      this.#unclaimed.isFull
    );
  }

  /**
   * A connection is there. A server that still has the session sends again what was not
   * acknowledged: a message that nobody has taken yet does not wait here too.
   */
  attach(sessionPresent: boolean): void {
    const { left } = this.#unclaimed;
    this.#unclaimed.left = 0;
    this.#isResumed = sessionPresent;
    this.claim();
    if (!sessionPresent) {
      this.droppedMessages += left;
      return;
    }
    this.#unclaimed.keepOnly(({ message, ack }) => {
      if (ack !== null && message.qos === 2) this.#incoming.forget(ack.packetId);
      return ack === null;
    });
  }

  /** There may be somebody now who takes what waits; it is handed out in a turn of its own. */
  claim(): void {
    if (this.#isReleaseDue || (this.#unclaimed.count === 0 && this.#unclaimed.left === 0)) return;
    this.#isReleaseDue = true;
    setImmediate(() => this.#release());
  }

  /**
   * Waits for a SUBSCRIBE. Until it has ended, and whoever waits for it has had a turn to go on,
   * messages that match nothing wait: a program that subscribes to one filter after the other loses
   * none of a kept session.
   */
  subscribing(call: Promise<unknown>): void {
    this.#subscribing++;
    this.claim();
    const ended = (): void => {
      setImmediate(() => {
        this.#subscribing--;
        this.claim();
      });
    };
    call.then(ended, ended);
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
   * @param publish its parts in MQTT 5.0; null in 3.x.
   * @param topics where its topic lies: elsewhere, when an alias stood for it.
   * @returns the position behind the last frame delivered: before `end` when reading has to stop.
   */
  onRun(
    connection: { readonly isOpen: boolean },
    buffer: Buffer,
    start: number,
    end: number,
    publish: PublishView | null,
    topics: Buffer,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
    packetIds: Uint16Array,
  ): number {
    if (this.#isReleaseDue) this.#release();
    const route = this.#subscriptions.routeOf(topics, topicStart, topicLength);
    const qos = ((header >> 1) & 3) as QoS;
    const retain = (header & RETAIN) !== 0;
    const skipped = publish?.payloadOffset ?? 2 + topicLength + (qos === 0 ? 0 : 2);
    const properties = propertiesOf(buffer, publish);
    const mayWait = this.#mayWait;
    const isWanted = mayWait || route.subscriptions.length > 0 || this.#host.hasMessageListener;
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
        const isDup = dup && qos === 1;
        const message = new Message(route.topic, payload, qos, retain, isDup, packetId, properties);
        if (mayWait && !this.#isTaken(route)) this.#keep(message, packetId);
        else this.#deliver(route, message, packetId);
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
    const ack = this.#offer(route, message, type, packetId, null);
    if (type === 0) return;
    if (ack === null || ack.pending === 0) this.#incoming.ack(type, packetId);
    else this.#incoming.hold(ack);
  }

  /**
   * What matches nothing waits: there is no handler yet, or more may come with a SUBSCRIBE. Where
   * nothing can have been subscribed to, the server sends what nobody will ever want.
   */
  get #mayWait(): boolean {
    if (this.#subscribing > 0) return true;
    const { hasTakers, isEmpty } = this.#subscriptions;
    return !hasTakers && (this.#isResumed || !isEmpty);
  }

  /** Somebody takes the messages of a route now. */
  #isTaken({ subscriptions }: Route): boolean {
    if (this.#host.hasMessageListener) return true;
    for (let i = 0; i < subscriptions.length; i++) if (subscriptions[i].isTaken) return true;
    return false;
  }

  /** Keeps a message that nobody takes yet, and its ack. */
  #keep(message: Message, packetId: number): void {
    const { qos } = message;
    if (!this.#unclaimed.isOverfull) {
      const ack = qos === 0 ? null : new HeldAck(ACK_TYPE[qos], packetId);
      if (ack !== null) {
        ack.pending = 1;
        this.#incoming.hold(ack);
      }
      this.#unclaimed.push(message, ack);
    } else if (qos === 0) {
      this.droppedMessages++;
    } else {
      if (qos === 2) this.#incoming.forget(packetId);
      this.#unclaimed.left++;
    }
  }

  /** Hands out what is taken by now, and lets go of what nobody will take. */
  #release(): void {
    this.#isReleaseDue = false;
    const wasBlocked = this.isBlocked;
    this.#unclaimed.review((waiting) => this.#judge(waiting));
    this.#incoming.flush();
    if (this.#unclaimed.left > 0 && this.#unclaimed.count === 0) this.#host.onLeft();
    if (wasBlocked && !this.isBlocked) this.#host.onRoom();
  }

  #judge({ message, ack }: UnclaimedMessage): Verdict {
    // Its handlers are not called when the client has ended; the next `connect` goes on.
    if (this.#host.isClosed) return Verdict.wait;
    const route = this.#subscriptions.routeOfTopic(message.topic);
    if (this.#isTaken(route)) this.#offer(route, message, ACK_TYPE[message.qos], 0, ack);
    else if (this.#mayWait) return Verdict.wait;
    if (ack !== null) ack.pending--;
    return Verdict.done;
  }

  /**
   * @param held the ack if there is one already.
   * @returns the ack that handlers or streams hold; null when none does, and for QoS 0.
   */
  #offer(
    route: Route,
    message: Message,
    type: number,
    packetId: number,
    held: HeldAck | null,
  ): HeldAck | null {
    let ack = held;
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
    if (this.#host.hasMessageListener) this.#host.onMessage(message);
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

/** Properties of a run, without the alias, which is the connection's. */
function propertiesOf(buffer: Buffer, publish: PublishView | null): MessageProperties {
  if (publish === null || publish.propertiesLength === 0) return NO_PROPERTIES;
  const { propertiesStart, payloadStart } = publish;
  const { topicAlias: _, ...rest } = decodeProperties(buffer, propertiesStart, payloadStart);
  return rest;
}
