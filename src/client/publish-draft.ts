/** One PUBLISH between the call that asks for it and the bytes: checked, measured, laid out. */
import { PUBLISH, RETAIN } from '../protocol/fixed-header.js';
import type { QoS } from '../protocol/packet.js';
import type { ProtocolLevel } from './handshake.js';
import type { Payload } from './message.js';
import { invalidOptions, invalidQos } from './outgoing-faults.js';
import { payloadBytes, publishFrameBytes, TopicFields, writePublish } from './publish-encoder.js';
import { type PublishOptions, propertyField } from './publish-options.js';
import { limitFault, type ServerLimits } from './server-limits.js';

const NO_BYTES = Buffer.alloc(0);

/** One object serves all messages of a client, one after the other: it allocates nothing. */
export class PublishDraft {
  qos: QoS = 0;
  /** Bytes of the whole frame. */
  frameBytes = 0;
  readonly #topics = new TopicFields();
  readonly #frameBytesMax: number;
  #header = 0;
  #field: Buffer = NO_BYTES;
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
    const bytes = publishFrameBytes(field, length, qos, properties.length, bytesMax);
    if (qos !== 0 && qos !== 1 && qos !== 2) throw invalidQos(qos);
    const { maximumPacketSize, maximumQos, retainAvailable } = limits;
    if (bytes > maximumPacketSize || qos > maximumQos || (isRetained && !retainAvailable)) {
      throw limitFault(limits, qos, isRetained, bytes, `PUBLISH to '${topic}'`);
    }
    this.qos = qos;
    this.frameBytes = bytes;
    this.#header = PUBLISH | (qos << 1) | (isRetained ? RETAIN : 0);
    this.#field = field;
    this.#properties = properties;
    this.#payload = payload;
    this.#payloadBytes = length;
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
      this.#field,
      packetId,
      this.#properties,
      payload,
      this.#payloadBytes,
    );
  }
}
