/**
 * `for await (const message of client.messages(filter))`: a bounded queue between a client and a
 * loop.
 */
import { CLIENT_OVERFLOW_FACTOR } from '../base/limits.js';
import type { QoS } from '../protocol/packet.js';
import { Fifo } from './fifo.js';
import type { HeldAck } from './incoming.js';
import type { Message } from './message.js';

/** What a stream tells its client. */
export interface StreamHost {
  /** The queue has reached its high-water mark. */
  onFull(): void;
  /** The queue was full and has fallen to half its mark, or is gone. */
  onRoom(): void;
  /** An ack may be free to go. */
  onAckReleased(): void;
  /** The loop is done with the stream. */
  onClosed(stream: MessageStream): void;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Message, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The messages of one filter, in order, for one loop. A QoS 1 or 2 message is acknowledged when the
 * loop asks for the next one or ends. While `highWaterMark` messages wait, the client stops reading
 * from its socket, unless a call waits for an answer that may stand behind them; then more are
 * taken, and of QoS 0 messages beyond CLIENT_OVERFLOW_FACTOR times the mark the new ones are
 * dropped and counted.
 */
export class MessageStream implements AsyncIterableIterator<Message, undefined> {
  readonly filter: string;
  readonly qos: QoS;
  /** Messages queued above which the client stops reading. */
  readonly highWaterMark: number;
  /**
   * Settles with the SUBACK: messages published after it are in the stream. The loop rejects too.
   */
  ready: Promise<void> = Promise.resolve();
  /** QoS 0 messages that were dropped because the loop was too slow while reading had to go on. */
  droppedMessages = 0;
  readonly #host: StreamHost;
  readonly #messages = new Fifo<Message>();
  /** One for each message; null for QoS 0. */
  readonly #acks = new Fifo<HeldAck | null>();
  readonly #waiters = new Fifo<Waiter>();
  /** The ack of the message that the loop is working on. */
  #currentAck: HeldAck | null = null;
  #isFull = false;
  #isEnded = false;
  /** What the loop is to be told; null when there is nothing, or no more. */
  #error: unknown = null;

  constructor(filter: string, qos: QoS, highWaterMark: number, host: StreamHost) {
    this.filter = filter;
    this.qos = qos;
    this.highWaterMark = highWaterMark;
    this.#host = host;
  }

  /** Messages that wait for the loop. */
  get queuedMessages(): number {
    return this.#messages.length;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * The next message, when there is one; the one before counts as done.
   * @throws what ended the stream: SubscribeRefusedError, ConnectionLostError.
   */
  next(): Promise<IteratorResult<Message, undefined>> {
    this.#releaseCurrent();
    const message = this.#messages.shift();
    if (message !== undefined) {
      this.#currentAck = this.#acks.shift() ?? null;
      this.#madeRoom(this.highWaterMark >> 1);
      return Promise.resolve({ done: false, value: message });
    }
    if (!this.#isEnded) {
      return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    }
    const error = this.#error;
    this.#error = null;
    return error === null ? Promise.resolve(END) : Promise.reject(error);
  }

  /**
   * Ends the stream and unsubscribes; what is queued is dropped. A loop left by `break` calls it.
   */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.#releaseCurrent();
    this.#messages.clear();
    for (let ack = this.#acks.shift(); ack !== undefined; ack = this.#acks.shift()) {
      if (ack !== null) ack.pending--;
    }
    this.#host.onAckReleased();
    this.#madeRoom(0);
    this.end(null);
    this.#error = null;
    return Promise.resolve(END);
  }

  /** Ends the stream as `return` does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Takes a message from the client; `ack` is held until the loop is done with it. */
  push(message: Message, ack: HeldAck | null): void {
    if (this.#isEnded) return;
    const queued = this.#messages.length;
    if (message.qos === 0 && queued >= this.highWaterMark * CLIENT_OVERFLOW_FACTOR) {
      this.droppedMessages++;
      return;
    }
    if (ack !== null) ack.pending++;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      this.#releaseCurrent();
      this.#currentAck = ack;
      waiter.resolve({ done: false, value: message });
      return;
    }
    this.#messages.push(message);
    this.#acks.push(ack);
    if (!this.#isFull && queued + 1 >= this.highWaterMark) {
      this.#isFull = true;
      this.#host.onFull();
    }
  }

  /** Ends the stream behind what is queued: with an error, or (null) in order. */
  end(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      if (this.#error === null) {
        waiter.resolve(END);
      } else {
        waiter.reject(this.#error);
        this.#error = null;
      }
    }
    this.#host.onClosed(this);
  }

  #releaseCurrent(): void {
    const ack = this.#currentAck;
    if (ack === null) return;
    this.#currentAck = null;
    ack.pending--;
    this.#host.onAckReleased();
  }

  #madeRoom(below: number): void {
    if (!this.#isFull || this.#messages.length > below) return;
    this.#isFull = false;
    this.#host.onRoom();
  }
}
