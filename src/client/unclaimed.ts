/**
 * Messages that came before anybody in the program took them: what a kept session has waiting comes
 * right behind CONNACK, and the program makes its handlers when `connect()` has returned.
 */
import {
  CLIENT_OVERFLOW_FACTOR,
  CLIENT_UNCLAIMED_BYTES,
  CLIENT_UNCLAIMED_MESSAGES,
} from '../base/limits.js';
import type { HeldAck } from './incoming.js';
import type { Message } from './message.js';

/** A message that waits, with its ack, which waits as long; null for QoS 0. */
export interface UnclaimedMessage {
  readonly message: Message;
  readonly ack: HeldAck | null;
}

/** What to do with a message that waits. */
export const Verdict = {
  /** It has been given to somebody, or nobody will ever want it. */
  done: 0,
  /** It goes on waiting. */
  wait: 1,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Keeps messages in order, up to a bound. */
export class Unclaimed {
  /**
   * QoS 1 and 2 messages of this connection that found no room: neither kept nor acknowledged, so
   * the server still has them, and sends them again on the next connection.
   */
  left = 0;
  #messages: (UnclaimedMessage | null)[] = [];
  #count = 0;
  #bytes = 0;

  /** Messages that wait. */
  get count(): number {
    return this.#count;
  }

  /** No more should be read, where nothing is waited for that may stand behind them. */
  get isFull(): boolean {
    return this.#isAbove(1);
  }

  /** No more is kept. What comes behind a message that was left is left too: the order holds. */
  get isOverfull(): boolean {
    return this.left > 0 || this.#isAbove(CLIENT_OVERFLOW_FACTOR);
  }

  /** Adds a message behind the others. */
  push(message: Message, ack: HeldAck | null): void {
    this.#messages.push({ message, ack });
    this.#count++;
    this.#bytes += message.payload.length;
  }

  /**
   * Asks `judge` about each message in the order they came. It may call `keepOnly`: the rest is
   * then not asked about any more.
   */
  review(judge: (waiting: UnclaimedMessage) => Verdict): void {
    const messages = this.#messages;
    for (let at = 0; at < messages.length && messages === this.#messages; at++) {
      const waiting = messages[at];
      if (waiting === null) continue;
      // Gone before it is handed out: a handler may cause another review.
      messages[at] = null;
      if (judge(waiting) === Verdict.wait) {
        messages[at] = waiting;
        continue;
      }
      this.#count--;
      this.#bytes -= waiting.message.payload.length;
    }
    if (messages === this.#messages) this.#messages = messages.filter((one) => one !== null);
  }

  /** Drops every message that `isKept` says no to. */
  keepOnly(isKept: (waiting: UnclaimedMessage) => boolean): void {
    const kept = this.#messages.filter((one) => one !== null && isKept(one));
    this.#messages = kept;
    this.#count = kept.length;
    this.#bytes = kept.reduce((sum, one) => sum + (one?.message.payload.length ?? 0), 0);
  }

  #isAbove(factor: number): boolean {
    return (
      this.#count >= CLIENT_UNCLAIMED_MESSAGES * factor ||
      this.#bytes >= CLIENT_UNCLAIMED_BYTES * factor
    );
  }
}
