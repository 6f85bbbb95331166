/** Packets that wait to be sent, and the bytes of all frames that are kept. */
import { ConnectionLostError } from '../base/errors.js';
import { Fifo } from './fifo.js';
import type { ClientSettings } from './options.js';
import { bytesFull, queueFull } from './outgoing-faults.js';
import type { OutgoingPacket } from './outgoing-packet.js';
import type { Writer } from './writer.js';

/** First in, first out, bounded by `check`. */
export class OutgoingQueue {
  /** Bytes of the frames in the queue and of those that may have to be sent again. */
  heldBytes = 0;
  readonly #settings: ClientSettings;
  readonly #packets = new Fifo<OutgoingPacket>();
  /** Packets that were given up: they are passed over. */
  #givenUp = 0;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /** Nothing at all, given up or not. */
  get isEmpty(): boolean {
    return this.#packets.length === 0;
  }

  /** Packets that wait to be sent. */
  get count(): number {
    return this.#packets.length - this.#givenUp;
  }

  /**
   * @param writer null while there is no connection.
   * @throws CapacityError when another message of this size does not fit; ConnectionLostError for
   *   QoS 0 that is not to wait.
   */
  check(qos: number, frameBytes: number, writer: Writer | null): void {
    const { maxQueuedMessages, maxQueuedBytes, queueQos0, uri } = this.#settings;
    if (qos === 0 && writer === null && !queueQos0) {
      throw new ConnectionLostError(`not connected to ${uri}, and queueQos0 is false`);
    }
    if (this.count >= maxQueuedMessages) throw queueFull(uri, maxQueuedMessages);
    const unsentBytes = writer?.isBusy === true ? writer.unsentBytes : 0;
    const waitingBytes = this.heldBytes + unsentBytes;
    if (waitingBytes + frameBytes > maxQueuedBytes) {
      throw bytesFull(uri, waitingBytes, frameBytes, maxQueuedBytes);
    }
  }

  /** Adds a packet at the end. */
  push(packet: OutgoingPacket): void {
    this.#packets.push(packet);
    this.heldBytes += packet.frameBytes;
  }

  /** The first packet that still waits; undefined when there is none. */
  peek(): OutgoingPacket | undefined {
    for (let packet = this.#packets.peek(); packet?.isSettled; packet = this.#packets.peek()) {
      this.#packets.shift();
      this.#givenUp--;
    }
    return this.#packets.peek();
  }

  /** Takes the first packet that still waits. Its frame is kept until `release`. */
  shift(): OutgoingPacket | undefined {
    this.peek();
    return this.#packets.shift();
  }

  /** A packet of the queue has been settled: it is passed over. */
  gaveUp(): void {
    this.#givenUp++;
  }

  /** Puts packets before all others; their frames have been kept. */
  prepend(packets: readonly OutgoingPacket[]): void {
    const others = this.all();
    this.#packets.clear();
    for (const packet of packets) this.#packets.push(packet);
    for (const packet of others) this.#packets.push(packet);
  }

  /** All that waits, in order: taken out and put back. */
  all(): OutgoingPacket[] {
    const packets: OutgoingPacket[] = [];
    for (let packet = this.shift(); packet !== undefined; packet = this.shift()) {
      packets.push(packet);
    }
    for (const packet of packets) this.#packets.push(packet);
    return packets;
  }

  /** Keeps the frame of a packet that does not wait here. */
  keep(packet: OutgoingPacket): void {
    this.heldBytes += packet.frameBytes;
  }

  /** The frame is not needed any more. */
  release(packet: OutgoingPacket): void {
    this.heldBytes -= packet.frameBytes;
    packet.dropFrame();
  }
}
