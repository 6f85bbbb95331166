/** What was sent and waits for its answer, by packet id. Also the allocator of those ids. */
import { invariant } from '../base/assert.js';
import { PACKET_ID_MAX } from '../base/limits.js';

/** Something that waits for an answer. Both numbers are set by PendingAcks. */
export interface PendingAck {
  /** 1 to 65,535 while it waits, 0 before. */
  packetId: number;
  /** Grows with every addition: sorts what waits in the order it was first sent. */
  sequence: number;
}

/** Packets that may wait at once: half the ids, so that a free one is found at once. */
export const PENDING_ACKS_MAX = (PACKET_ID_MAX + 1) / 2;
const SLOTS_MIN = 16;

/**
 * A table of packet ids, each at the slot of its low bits. An id whose slot is taken is passed over
 * when ids are given out, so no two can share a slot, an id in use is never given out again
 * [MQTT-2.3.1-2], and a lookup is one read of an array as small as what waits allows.
 */
export class PendingAcks<T extends PendingAck> {
  #slots: (T | null)[] = new Array<T | null>(SLOTS_MIN).fill(null);
  #count = 0;
  #nextPacketId = 1;
  #nextSequence = 1;

  /** Packets that wait, 0 to PENDING_ACKS_MAX. */
  get count(): number {
    return this.#count;
  }

  /** Goes on giving out ids from this one, 1 to 65,535. */
  startAt(packetId: number): void {
    this.#nextPacketId = packetId;
  }

  /** Gives `item` a packet id that is not in use, and keeps it. There must be room for it. */
  add(item: T): void {
    invariant(this.#count < PENDING_ACKS_MAX, 'a packet id is free');
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let packetId = this.#nextPacketId;
    // 0 is never used [MQTT-2.3.1-1].
    while (packetId === 0 || this.#slots[packetId & mask] !== null) {
      packetId = (packetId + 1) & PACKET_ID_MAX;
    }
    item.packetId = packetId;
    item.sequence = this.#nextSequence++;
    this.#slots[packetId & mask] = item;
    this.#nextPacketId = (packetId + 1) & PACKET_ID_MAX;
    this.#count++;
  }

  /** What waits under this id; null when nothing does. */
  get(packetId: number): T | null {
    const item = this.#slots[packetId & (this.#slots.length - 1)];
    return item !== null && item.packetId === packetId ? item : null;
  }

  /** Removes what waits; its id is free again [MQTT-2.3.1-3]. Keeps `item.packetId` as it is. */
  remove(item: T): void {
    const index = item.packetId & (this.#slots.length - 1);
    invariant(this.#slots[index] === item, 'what is removed waits');
    this.#slots[index] = null;
    this.#count--;
  }

  /**
   * All that waits, in the order it was added. Costs a sort: for a reconnect, not for a message.
   */
  inOrder(): T[] {
    const items = this.#slots.filter((item) => item !== null);
    return items.sort((a, b) => a.sequence - b.sequence);
  }

  #grow(): void {
    const slots = new Array<T | null>(this.#slots.length * 2).fill(null);
    // Ids that differ in fewer low bits differ in more of them.
    for (const item of this.#slots) {
      if (item !== null) slots[item.packetId & (slots.length - 1)] = item;
    }
    this.#slots = slots;
  }
}
