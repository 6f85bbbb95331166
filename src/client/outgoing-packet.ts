/** A packet of ours that waits: to be sent, or for its answer. */
import { PacketType } from '../protocol/packet.js';
import { copyRunWithIds, writeRemainingLength } from '../protocol/publish-frame.js';
import { type Properties, PublishView, variableByteIntegerBytes } from '../protocol/v5/index.js';
import { Call } from './call.js';
import type { ProtocolLevel } from './handshake.js';
import { NO_NAME, TopicForm, withAlias, withoutAlias } from './outgoing-aliases.js';
import type { PendingAck } from './pending-acks.js';
import { publishFrameBytes, writePublish } from './publish-encoder.js';
import type { ServerLimits } from './server-limits.js';
import type { TopicField } from './topic-fields.js';
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
  /** What keeps a SUBSCRIBE from being sent to a server with these limits; null for nothing. */
  faultOf: ((limits: ServerLimits) => Error | null) | null = null;
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
  /** Topic of a message. */
  field: TopicField | null = null;
  /** Its frame has an alias in place of the topic, which holds for one connection. */
  isNameless = false;
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
    if (this.field !== null) return this.field.topic;
    let at = this.start + 1;
    while (this.buffer[at] >= 0x80) at++;
    const start = at + 3;
    return this.buffer.toString('utf8', start, start + this.buffer.readUInt16BE(at + 1));
  }

  /** Notes the topic of a message. @param isNameless its frame does not have it. */
  names(field: TopicField, isNameless: boolean): void {
    this.field = field;
    this.isNameless = isNameless;
  }

  /** Has the frame say its topic again, and no alias. */
  restoreName(): void {
    if (!this.isNameless || this.field === null || this.frameBytes === 0) return;
    const view = new PublishView();
    view.readTrusted(this.buffer, this.start, 5);
    const properties = withoutAlias(propertiesOf(this.buffer, view));
    this.isNameless = false;
    const payload = this.buffer.subarray(view.payloadStart, this.end);
    const header = this.buffer[this.start];
    const { bytes } = this.field;
    const qos = (header >> 1) & 3;
    const frame = Buffer.allocUnsafe(
      publishFrameBytes(bytes, payload.length, qos, properties.length),
    );
    writePublish(frame, 0, header, bytes, 0, properties, payload, payload.length);
    this.buffer = frame;
    this.start = 0;
    this.end = frame.length;
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

  /**
   * Writes the frame with its packet id.
   * @param dup 0, or the DUP flag [MQTT-3.3.1-1].
   * @param form what stands for the topic, which the frame has.
   */
  write(writer: Writer, dup: number, form: TopicForm = TopicForm.name): void {
    if (form !== TopicForm.name) {
      this.#writeAliased(writer, form);
      return;
    }
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

  #writeAliased(writer: Writer, form: TopicForm): void {
    const { buffer, start, end } = this;
    const { alias, bytes } = this.field!;
    const view = new PublishView();
    view.readTrusted(buffer, start, 5);
    const payload = buffer.subarray(view.payloadStart, end);
    const properties = withAlias(propertiesOf(buffer, view), alias);
    const name = form === TopicForm.alias ? NO_NAME : bytes;
    const header = buffer[start];
    const qos = (header >> 1) & 3;
    writer.reserve(publishFrameBytes(name, payload.length, qos, properties.length));
    const { chunk, position } = writer;
    const { packetId } = this;
    const { length } = payload;
    const behind = writePublish(
      chunk,
      position,
      header,
      name,
      packetId,
      properties,
      payload,
      length,
    );
    writer.commit(behind, false);
  }
}

/** Property Length and properties of a frame that was read. */
function propertiesOf(buffer: Buffer, view: PublishView): Buffer {
  const { propertiesStart, propertiesLength, payloadStart } = view;
  return buffer.subarray(
    propertiesStart - variableByteIntegerBytes(propertiesLength),
    payloadStart,
  );
}
