/**
 * Replies of a connection in the order of its requests, while a SUBACK waits for the other shards:
 * what is answered behind it waits here. There is none while nothing is owed. Acks that are
 * withheld for slow readers (ack-hold.ts) take their place when they are released.
 */
import { ACK_BYTES, PINGRESP, writeAck } from '../protocol/ack-frame.js';
import { HeldReplies } from './ack-hold.js';

/** What one SUBACK that is owed counts beside its bytes. */
const OWED_BYTES = 64;

/** A SUBACK, and the replies behind it. */
export interface OwedSuback {
  suback: Buffer | null;
  /** To be done when it is out. */
  onSent: () => void;
  behind: HeldReplies | null;
}

/** One for each connection that is owed a SUBACK. */
export class ReplyQueue {
  readonly #owed: OwedSuback[] = [];
  #bytes = 0;

  /** What waits, in bytes, SUBACKs that are owed among it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A SUBACK is owed. */
  owe(): OwedSuback {
    const owed: OwedSuback = { suback: null, onSent: () => {}, behind: null };
    this.#owed.push(owed);
    this.#bytes += OWED_BYTES;
    return owed;
  }

  /** Adds a packet. */
  add(packet: Buffer): void {
    const held = this.#hold(packet.length);
    packet.copy(held.reserve(packet.length), held.length);
    held.length += packet.length;
  }

  /** Adds an ack of `type` for each of the first `count` packet ids. */
  addAcks(type: number, packetIds: ArrayLike<number>, count: number): void {
    const held = this.#hold(count * ACK_BYTES);
    const buffer = held.reserve(count * ACK_BYTES);
    for (let index = 0; index < count; index++) {
      held.length = writeAck(buffer, held.length, type, packetIds[index]!);
    }
  }

  /** Adds `count` PINGRESPs. */
  addPingresps(count: number): void {
    const length = count * PINGRESP.length;
    const held = this.#hold(length);
    held.reserve(length).fill(PINGRESP, held.length, held.length + length);
    held.length += length;
  }

  /**
   * Hands out what waits for no SUBACK any more, in order. What `send` adds meanwhile goes behind.
   * @returns whether nothing is left.
   */
  release(send: (packets: Buffer) => void): boolean {
    for (let first = this.#owed[0]; first !== undefined; first = this.#owed[0]) {
      const { suback, onSent, behind } = first;
      if (suback === null) return false;
      if (suback.length > 0) {
        first.suback = SENT;
        send(suback);
        onSent();
      } else if (behind !== null) {
        first.behind = null;
        this.#bytes -= behind.length;
        send(behind.release());
      } else {
        this.#owed.shift();
        this.#bytes -= OWED_BYTES;
      }
    }
    return true;
  }

  #hold(length: number): HeldReplies {
    const last = this.#owed[this.#owed.length - 1]!;
    last.behind ??= new HeldReplies();
    this.#bytes += length;
    return last.behind;
  }
}

const SENT = Buffer.alloc(0);
