/**
 * What is sent again on a new connection, and who is to blame when a server answers by closing: a
 * packet that it cannot take must not be sent first for ever, with all others stuck behind it.
 */
import { CLIENT_STRIKES_MAX } from '../base/limits.js';
import { PacketType } from '../protocol/packet.js';
import { Fifo } from './fifo.js';
import type { OutgoingPacket } from './outgoing-packet.js';

/** How a connection ended. */
export const Ending = {
  /** By us, or because nothing was heard: that says nothing about what was sent. */
  other: 0,
  /** It was reset. So do servers that close with bytes unread, but networks as well. */
  reset: 1,
  /** The server closed it in order, or answered what cannot be read. */
  closed: 2,
} as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

/**
 * Sends again what was sent and not answered: all at once as a rule, carefully when the server
 * seems not to take something. Then one packet goes alone, and when it is answered twice as many,
 * and so on; one that a connection has ended on always goes alone. So a packet is blamed only for a
 * connection that it had for itself.
 */
export class Resend {
  /** What is new has to wait. */
  isUnderWay = false;
  readonly #waiting = new Fifo<OutgoingPacket>();
  /** How the connection before ended, while that matters. */
  #ending: Ending = Ending.other;
  #isCareful = false;
  /** Packets that may be unanswered at once. */
  #allowed = 1;
  #unanswered = 0;
  /** The packet sent last has to be answered before another one goes. */
  #isAlone = false;

  /** Takes the packets of a new connection, in order; `next` gives them out. */
  begin(packets: readonly OutgoingPacket[]): void {
    for (const packet of packets) {
      packet.isHeldBack = true;
      this.#waiting.push(packet);
    }
    this.#allowed = this.#isCareful ? 1 : Number.POSITIVE_INFINITY;
    this.#unanswered = 0;
    this.#isAlone = false;
    this.isUnderWay = true;
    this.#finishIfDone();
  }

  /**
   * The packet to be sent now, if there is one.
   * @param hasQuota the server takes another message.
   */
  next(hasQuota: boolean): OutgoingPacket | undefined {
    const first = this.#waiting.peek();
    if (first === undefined || !this.#mayGo(first)) return undefined;
    if (!hasQuota && first.isPublish && first.awaits !== PacketType.pubcomp) return undefined;
    this.#waiting.shift();
    first.isHeldBack = false;
    first.isProbe = true;
    this.#unanswered++;
    this.#isAlone = this.#isCareful && first.strikes > 0;
    this.#finishIfDone();
    return first;
  }

  /** A packet has been answered, or needs no answer any more. */
  answered(packet: OutgoingPacket): void {
    if (!packet.isProbe) return;
    packet.isProbe = false;
    if (!this.isUnderWay || --this.#unanswered > 0) return;
    this.#allowed *= 2;
    this.#isAlone = false;
    this.#finishIfDone();
  }

  /**
   * The connection is gone.
   * @param sent what has not been answered, in the order it was sent first.
   * @returns the packet that is not to be sent again: two connections have ended on it, the last
   *   one with nothing else under way.
   */
  ended(ending: Ending, sent: readonly OutgoingPacket[]): OutgoingPacket | null {
    this.#waiting.clear();
    this.isUnderWay = false;
    const onWire = sent.filter((packet) => !packet.isHeldBack);
    for (const packet of sent) {
      packet.isHeldBack = false;
      packet.isProbe = false;
    }
    if (ending === Ending.other || onWire.length === 0) return null;
    const isOpen = ({ awaits }: OutgoingPacket): boolean => awaits !== PacketType.pubcomp;
    const suspect = onWire.find(isOpen) ?? onWire[0];
    suspect.strikes++;
    suspect.onStruck?.(onWire.length === 1);
    this.#ending = ending;
    this.#isCareful = ending === Ending.closed || suspect.strikes >= CLIENT_STRIKES_MAX;
    const isGuilty = onWire.length === 1 && suspect.strikes >= CLIENT_STRIKES_MAX;
    return isGuilty && !suspect.isOwn ? suspect : null;
  }

  #mayGo({ strikes }: OutgoingPacket): boolean {
    if (this.#unanswered === 0) return true;
    if (this.#isAlone || (this.#isCareful && strikes > 0)) return false;
    return this.#unanswered < this.#allowed;
  }

  /** Where the connection before ended on something, what is new waits for all the answers. */
  #finishIfDone(): void {
    if (this.#waiting.length > 0) return;
    if (this.#ending !== Ending.other && this.#unanswered > 0) return;
    this.isUnderWay = false;
    this.#isCareful = false;
    this.#ending = Ending.other;
  }
}
