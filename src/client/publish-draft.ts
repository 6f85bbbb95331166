/** One PUBLISH between the call that asks for it and the bytes: checked, measured, laid out. */
import { PUBLISH, RETAIN } from '../protocol/fixed-header.js';
import type { QoS } from '../protocol/packet.js';
import type { ProtocolLevel } from './handshake.js';
import type { Payload } from './message.js';
import { NO_NAME, type OutgoingAliases, TopicForm, withAlias } from './outgoing-aliases.js';
import { invalidOptions, invalidQos } from './outgoing-faults.js';
import { payloadBytes, publishFrameBytes, writePublish } from './publish-encoder.js';
import { type PublishOptions, propertyField } from './publish-options.js';
import { limitFault, type ServerLimits } from './server-limits.js';
import { TopicField, TopicFields } from './topic-fields.js';

const NO_BYTES = Buffer.alloc(0);

/** One object serves all messages of a client, one after the other: it allocates nothing. */
export class PublishDraft {
  qos: QoS = 0;
  /** Bytes of the whole frame. */
  frameBytes = 0;
  /** Of its topic. */
  field: TopicField = new TopicField('', NO_BYTES);
  readonly #topics = new TopicFields();
  readonly #frameBytesMax: number;
  #header = 0;
  #name: Buffer = NO_BYTES;
  #properties: Buffer = NO_BYTES;
  #payload: Payload = '';
  #payloadBytes = 0;

  /** @param frameBytesMax longest frame that the program wants to send. */
  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /**
   * Takes what is to be published; `write` is to follow before anything else.
   * @throws ArgumentError; ServerLimitError for what the server does not take.
   */
  prepare(
    topic: string,
    payload: Payload,
    options: PublishOptions,
    version: ProtocolLevel,
    limits: ServerLimits,
  ): void {
    if (typeof options !== 'object' || options === null) throw invalidOptions(options);
    const { qos = 0 } = options;
    const isRetained = options.retain === true;
    const field = this.#topics.fieldOf(topic);
    const length = payloadBytes(payload);
    const properties = propertyField(version, options.properties);
    const bytesMax = this.#frameBytesMax;
    const bytes = publishFrameBytes(field.bytes, length, qos, properties.length, bytesMax);
    if (qos !== 0 && qos !== 1 && qos !== 2) throw invalidQos(qos);
    const { maximumPacketSize, maximumQos, retainAvailable } = limits;
    if (bytes > maximumPacketSize || qos > maximumQos || (isRetained && !retainAvailable)) {
      throw limitFault(limits, qos, isRetained, bytes, `PUBLISH to '${topic}'`);
    }
    this.qos = qos;
    this.frameBytes = bytes;
    this.#header = PUBLISH | (qos << 1) | (isRetained ? RETAIN : 0);
    this.field = field;
    this.#name = field.bytes;
    this.#properties = properties;
    this.#payload = payload;
    this.#payloadBytes = length;
  }

  /**
   * Has an alias stand for the topic, or be given to it, where the connection on which this is
   * written at once allows it. `frameBytes` changes.
   * @returns whether the frame has no name any more.
   */
  shorten(aliases: OutgoingAliases, { maximumPacketSize }: ServerLimits): boolean {
    const { field, qos } = this;
    const form = aliases.next(
      field,
      Math.min(this.#frameBytesMax, maximumPacketSize) - this.frameBytes,
    );
    if (form === TopicForm.name) return false;
    const isBare = this.#properties.length === 1;
    this.#properties = isBare ? field.aliasOnly : withAlias(this.#properties, field.alias);
    if (form === TopicForm.alias) this.#name = NO_NAME;
    this.frameBytes = publishFrameBytes(
      this.#name,
      this.#payloadBytes,
      qos,
      this.#properties.length,
    );
    return form === TopicForm.alias;
  }

  /** Writes the frame, once, to `target` at `at`. @returns the position behind it. */
  write(target: Buffer, at: number, packetId: number): number {
    const payload = this.#payload;
    // A payload is the caller's, and may be large: it is not held on to.
    this.#payload = '';
    return writePublish(
      target,
      at,
      this.#header,
      this.#name,
      packetId,
      this.#properties,
      payload,
      this.#payloadBytes,
    );
  }
}
