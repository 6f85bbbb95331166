/** A packet of ours that waits: to be sent, or for its answer. */
import { PacketType } from '../protocol/packet.js';
import { copyRunWithIds, writeRemainingLength } from '../protocol/publish-frame.js';
import { type Properties, PublishView } from '../protocol/v5/index.js';
import { Call } from './call.js';
import type { ProtocolLevel } from './handshake.js';
import type { PendingAck } from './pending-acks.js';
import type { Writer } from './writer.js';

const NO_BYTES = Buffer.alloc(0);

/**
 * A PUBLISH, SUBSCRIBE or UNSUBSCRIBE. It outlives its call: a packet that was sent keeps its
 * packet id until it is answered, whether anybody still waits for that or not.
 */
export class OutgoingPacket extends Call implements PendingAck {
  packetId = 0;
  sequence = 0;
  /**
   * Type of the packet that answers it: PUBACK, PUBREC and then PUBCOMP, SUBACK, UNSUBACK; 0: none.
   */
  awaits: number;
  /**
   * The frame is [start, end) of `buffer`. Its packet id there means nothing: `packetId` counts.
   */
  buffer: Buffer;
  start: number;
  end: number;
  /**
   * Takes the codes of SUBACK and UNSUBACK, of which that of 3.x has none; an error it returns
   * rejects the call.
   */
  onAnswer: ((codes: readonly number[], properties: Properties) => Error | null) | null = null;
  /**
   * Makes the frame of a SUBSCRIBE or UNSUBSCRIBE for another protocol level; null when that has
   * not what is asked for.
   */
  encode: ((version: ProtocolLevel) => Buffer | null) | null = null;
  /** Called when it will neither be sent any more nor answered. */
  onDropped: (() => void) | null = null;
  /** Made by the client itself for this connection; the next one gets its own. */
  isOwn = false;
  /** Nobody waits for it any more: it is not sent again on another connection. */
  isAbandoned = false;
  /** A message that was sent on this connection. */
  isOnWire = false;
  /** It was sent on an earlier connection, and waits to be sent on this one. */
  isHeldBack = false;
  /** It was sent again, and its first answer has not come. */
  isProbe = false;
  /** Connections that ended on it. */
  strikes = 0;
  /** Told of each such end, and whether nothing else was under way. */
  onStruck: ((wasAlone: boolean) => void) | null = null;
  /** A QoS 0 message that has been written, and that the socket has not taken. */
  isWritten = false;
  /** Where such a message ends in all bytes of its connection. */
  endPosition = 0;
  /** Words for errors, of a SUBSCRIBE or UNSUBSCRIBE. */
  title = '';

  constructor(awaits: number, buffer: Buffer, start: number, end: number) {
    super();
    this.awaits = awaits;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  /** Bytes of the frame; 0 once it is not needed any more. */
  get frameBytes(): number {
    return this.end - this.start;
  }

  /** A message, not a SUBSCRIBE or UNSUBSCRIBE. */
  get isPublish(): boolean {
    return this.awaits < PacketType.suback;
  }

  /** A QoS 2 message, in either half of its exchange. */
  get isQos2(): boolean {
    return this.awaits === PacketType.pubrec || this.awaits === PacketType.pubcomp;
  }

  /** The packet in words, for errors. */
  get what(): string {
    if (!this.isPublish) return this.title;
    const { topic, frameBytes } = this;
    return topic === null ? 'a PUBLISH' : `PUBLISH to '${topic}' of ${frameBytes} bytes`;
  }

  /** Topic of a message, while its frame is kept; null otherwise. */
  get topic(): string | null {
    if (!this.isPublish || this.frameBytes === 0) return null;
    let at = this.start + 1;
    while (this.buffer[at] >= 0x80) at++;
    const start = at + 3;
    return this.buffer.toString('utf8', start, start + this.buffer.readUInt16BE(at + 1));
  }

  /** Rejects the call. Nobody need wait for a message: its failure is an event as well. */
  override fail(error: unknown): void {
    if (this.isPublish) this.quiet();
    super.fail(error);
  }

  /**
   * Makes the frame of MQTT 5.0 one of 3.1.1.
   * @returns false for one with properties or options, which that cannot have.
   */
  fallBack(): boolean {
    if (this.frameBytes === 0) return true;
    const view = new PublishView();
    if (this.isPublish) view.readTrusted(this.buffer, this.start, 5);
    if (view.propertiesLength > 0) return false;
    const frame = this.isPublish ? this.#without(view) : (this.encode?.(4) ?? null);
    if (frame === null) return false;
    this.buffer = frame;
    this.start = 0;
    this.end = frame.length;
    return true;
  }

  /** The frame without its Property Length, which is 0. */
  #without({ bodyStart, propertiesStart }: PublishView): Buffer {
    const { buffer, start, end } = this;
    const body = [
      buffer.subarray(bodyStart, propertiesStart - 1),
      buffer.subarray(propertiesStart, end),
    ];
    const length = body[0].length + body[1].length;
    const head = Buffer.from([buffer[start], 0, 0, 0, 0]);
    return Buffer.concat([head.subarray(0, writeRemainingLength(head, 1, length)), ...body]);
  }

  /** Lets the frame go: the server has the message, or nobody wants it sent. */
  dropFrame(): void {
    this.buffer = NO_BYTES;
    this.start = 0;
    this.end = 0;
  }

  /** Writes the frame with its packet id. @param dup 0, or the DUP flag [MQTT-3.3.1-1]. */
  write(writer: Writer, dup: number): void {
    const { buffer, start, end } = this;
    const length = end - start;
    writer.reserve(length);
    const { chunk, position } = writer;
    if (this.awaits === 0) {
      buffer.copy(chunk, position, start, end);
    } else if (this.isPublish) {
      copyRunWithIds(
        buffer,
        start,
        end,
        1,
        true,
        chunk,
        position,
        buffer[start] | dup,
        this.packetId,
      );
    } else {
      buffer.copy(chunk, position, start, end);
      let body = position + 1;
      while (chunk[body] >= 0x80) body++;
      chunk[body + 1] = this.packetId >> 8;
      chunk[body + 2] = this.packetId;
    }
    writer.commit(position + length, false);
  }
}
