/**
 * Replies of a connection in the order of its requests, while one of them waits: a SUBACK for the
 * other shards, or acks until what they acknowledge is on the ring (shard/ring-waits.ts). What is
 * answered behind it waits here. There is none while nothing is owed. Acks that are
 * withheld for slow readers (ack-hold.ts) take their place when they are released.
 */
import { ACK_BYTES, PINGRESP, writeAck } from '../protocol/ack-frame.js';
import { ACK_BYTES_MAX_5, writeAck5 } from '../protocol/v5/index.js';
import { HeldReplies } from './ack-hold.js';

/**
 * What one reply that is owed counts beside its bytes: what a SUBACK is made of and waits in takes
 * about as much. Tens of thousands of them, of 20 clients that subscribe without end, made
 * collections of 10 to 30 ms.
 */
export const OWED_BYTES = 1_024;

/** A reply that is owed, and those behind it. */
export interface OwedReply {
  /** Null: it cannot be given yet. Empty: what is behind it is all, or it is sent. */
  packet: Buffer | null;
  /** To be done before it goes out, and when it is. */
  beforeSent: () => void;
  onSent: () => void;
  behind: HeldReplies | null;
}

/** One for each connection that is owed a reply. */
export class ReplyQueue {
  readonly #owed: OwedReply[] = [];
  #bytes = 0;
  /** To send may take a flush, and that may bring another of the replies that are owed. */
  #isReleasing = false;

  /** What waits, in bytes, replies that are owed among it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A reply is owed. */
  owe(): OwedReply {
    const owed: OwedReply = { packet: null, beforeSent: () => {}, onSent: () => {}, behind: null };
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

  /** The same for a 5.0 client. @param reasonCodes one for each. */
  addAcks5(
    type: number,
    packetIds: ArrayLike<number>,
    reasonCodes: ArrayLike<number>,
    count: number,
  ): void {
    const held = this.#hold(0);
    const before = held.length;
    const buffer = held.reserve(count * ACK_BYTES_MAX_5);
    for (let index = 0; index < count; index++) {
      held.length = writeAck5(buffer, held.length, type, packetIds[index]!, reasonCodes[index]!);
    }
    this.#bytes += held.length - before;
  }

  /** Adds `count` PINGRESPs. */
  addPingresps(count: number): void {
    const length = count * PINGRESP.length;
    const held = this.#hold(length);
    held.reserve(length).fill(PINGRESP, held.length, held.length + length);
    held.length += length;
  }

  /**
   * Hands out what waits for nothing any more, in order. What `send` adds or releases meanwhile
   * goes behind.
   * @returns whether nothing is left.
   */
  release(send: (packets: Buffer) => void): boolean {
    if (this.#isReleasing) return false;
    this.#isReleasing = true;
    try {
      return this.#release(send);
    } finally {
      this.#isReleasing = false;
    }
  }

  #release(send: (packets: Buffer) => void): boolean {
    for (let first = this.#owed[0]; first !== undefined; first = this.#owed[0]) {
      const { packet, beforeSent, onSent, behind } = first;
      if (packet === null) return false;
      if (packet.length > 0) {
        first.packet = SENT;
        beforeSent();
        send(packet);
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
