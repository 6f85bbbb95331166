/** QoS 0 messages between the batch and the socket: nobody but the socket confirms them. */
import { CLIENT_STRIKES_MAX } from '../base/limits.js';
import { Fifo } from './fifo.js';
import type { OutgoingPacket } from './outgoing-packet.js';
import { Ending } from './resend.js';
import type { Writer } from './writer.js';

/** What waits for the socket, in order. */
export class Untaken {
  readonly #onTaken: (packet: OutgoingPacket) => void;
  readonly #onLost: (packet: OutgoingPacket, error: unknown) => void;
  /** Packets of one connection that are to be sent again if they are not taken. */
  readonly #kept = new Fifo<OutgoingPacket>();
  #writer: Writer | null = null;

  /**
   * @param onTaken told that the socket has taken a packet.
   * @param onLost told that it never will, and why.
   */
  constructor(
    onTaken: (packet: OutgoingPacket) => void,
    onLost: (packet: OutgoingPacket, error: unknown) => void,
  ) {
    this.#onTaken = onTaken;
    this.#onLost = onLost;
  }

  /** Waits with the packet written last. @param isKept it is to be sent again if need be. */
  add(writer: Writer, packet: OutgoingPacket, isKept: boolean): void {
    packet.isWritten = true;
    if (!isKept) {
      writer.whenTaken(0).then(
        () => this.#onTaken(packet),
        (error: unknown) => this.#onLost(packet, error),
      );
      return;
    }
    this.#writer = writer;
    packet.endPosition = writer.endPosition;
    this.#kept.push(packet);
    writer.whenTaken(0).then(
      () => this.#settle(writer),
      () => {
        // It has been taken back, to be sent on the next connection.
      },
    );
  }

  /**
   * The connection is gone. @returns the packets to be sent again, in order, and the one that is
   * not: two connections have ended on it.
   */
  takeBack(ending: Ending): { again: OutgoingPacket[]; rejected: OutgoingPacket | null } {
    if (this.#writer !== null) this.#settle(this.#writer);
    this.#writer = null;
    const again: OutgoingPacket[] = [];
    for (let packet = this.#kept.shift(); packet !== undefined; packet = this.#kept.shift()) {
      packet.isWritten = false;
      again.push(packet);
    }
    const first = again[0];
    if (first === undefined || ending === Ending.other) return { again, rejected: null };
    // The server had the beginning of it, maybe, and nothing of the others.
    first.strikes++;
    return first.strikes < CLIENT_STRIKES_MAX
      ? { again, rejected: null }
      : { again: again.slice(1), rejected: first };
  }

  /** Lets go of what the socket has taken. */
  #settle(writer: Writer): void {
    if (writer !== this.#writer) return;
    for (let packet = this.#kept.peek(); packet !== undefined; packet = this.#kept.peek()) {
      if (packet.endPosition > writer.takenPosition) return;
      this.#kept.shift();
      this.#onTaken(packet);
    }
  }
}
