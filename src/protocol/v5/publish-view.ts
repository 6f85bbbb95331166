/**
 * Where the parts of a PUBLISH of MQTT 5.0 lie in its frame [MQTT 5.0, 3.3], and its canonical
 * form: what is the same for every receiver. A Topic Alias holds for one connection, and a Message
 * Expiry Interval counts down; both are told apart from the properties that go on as they came
 * [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20].
 */
import { copyBytes } from '../../base/copy-bytes.js';
import { ProtocolError } from '../../base/errors.js';
import { QOS_MASK } from '../fixed-header.js';
import { PacketType, type ProtocolVersion } from '../packet.js';
import { bodyOf } from '../publish-frame.js';
import { protocolError } from './fixed-header.js';
import { PropertyId, type Sender } from './property.js';
import { checkProperties, PROPERTIES_OK, propertyError } from './property-check.js';
import { NOT_THERE, propertyEnd, uint16At, uint32At } from './property-find.js';
import {
  variableByteIntegerAt,
  variableByteIntegerBytes,
  variableByteIntegerEnd,
} from './variable-byte-integer.js';

/** Bytes of a Topic Alias with its identifier. */
export const TOPIC_ALIAS_BYTES = 3;
/** Bytes of a Message Expiry Interval with its identifier. */
export const MESSAGE_EXPIRY_BYTES = 5;

/** One view is used for many frames: it keeps positions, no buffer. Reading allocates nothing. */
export class PublishView {
  /** Where the body begins, behind the remaining length. */
  bodyStart = 0;
  topicStart = 0;
  /** Bytes of the Topic Name; 0 when only an alias stands for it. */
  topicLength = 0;
  /** 0 for QoS 0, which carries none. */
  packetId = 0;
  /** Where the properties begin, behind the Property Length. */
  propertiesStart = 0;
  propertiesLength = 0;
  payloadStart = 0;
  /** 1 to 65,535, to be resolved or remembered; 0 for none. */
  topicAlias = 0;
  /** Message Expiry Interval in seconds, 0 to 4,294,967,295; NOT_THERE (-1) for none. */
  messageExpirySeconds: number = NOT_THERE;
  /** Bytes of the properties without Topic Alias and Message Expiry Interval. */
  canonicalLength = 0;
  /** Payload Format Indicator is 1: the payload should be UTF-8. */
  isPayloadText = false;
  /** Where the identifier bytes of the two stand, NOT_THERE for none. */
  #topicAliasAt: number = NOT_THERE;
  #messageExpiryAt: number = NOT_THERE;

  /** Bytes from the body's begin to the payload: the same in all frames of a run. */
  get payloadOffset(): number {
    return this.payloadStart - this.bodyStart;
  }

  /** Bytes from the body's begin to the value of the Topic Alias, where there is one. */
  get aliasOffset(): number {
    return this.#topicAliasAt + 1 - this.bodyStart;
  }

  /** Whether the properties lie there in canonical form as they are, and need no copy. */
  get isCanonical(): boolean {
    return this.canonicalLength === this.propertiesLength;
  }

  /**
   * Reads the PUBLISH with the body [bodyStart, end), and checks all but the characters of its
   * topic: as in 3.x, that is left to once a distinct topic.
   * @param hasId its QoS is 1 or 2.
   * @throws ProtocolError with the clause and the reason code for DISCONNECT.
   */
  read(buffer: Buffer, bodyStart: number, end: number, hasId: boolean, sender: Sender): void {
    const topicStart = bodyStart + 2;
    if (topicStart > end) throw new ProtocolError('MQTT-3.3.2-1', 'PUBLISH without a topic');
    const topicLength = uint16At(buffer, bodyStart);
    const idAt = topicStart + topicLength;
    const lengthAt = idAt + (hasId ? 2 : 0);
    if (lengthAt > end) {
      throw new ProtocolError('MQTT-3.3.2-1', 'PUBLISH ends before its topic or packet id');
    }
    this.packetId = hasId ? uint16At(buffer, idAt) : 0;
    if (hasId && this.packetId === 0) throw protocolError('MQTT-2.2.1-3', 'packet id 0');
    const propertiesStart = variableByteIntegerEnd(buffer, lengthAt, end);
    if (propertiesStart < 0) {
      throw new ProtocolError('MQTT-2.2.2-1', 'no Property Length in PUBLISH');
    }
    const propertiesLength = variableByteIntegerAt(buffer, lengthAt);
    this.bodyStart = bodyStart;
    this.topicStart = topicStart;
    this.topicLength = topicLength;
    this.propertiesStart = propertiesStart;
    this.propertiesLength = propertiesLength;
    this.payloadStart = propertiesStart + propertiesLength;
    if (this.payloadStart > end) {
      throw new ProtocolError('2.2.2.1', 'the properties of PUBLISH are longer than it');
    }
    this.#readProperties(buffer, sender);
    if (topicLength === 0 && this.topicAlias === 0) throw noTopic();
  }

  /**
   * Reads positions only, of a canonical frame that was checked when it came: one of 3.x, or one of
   * 5.0 that `copyCanonical` and a PublishForm have made. What it says of properties is not read.
   * @param frameStart where its first byte is. @param version that it is laid out for.
   */
  readTrusted(buffer: Buffer, frameStart: number, version: ProtocolVersion): void {
    const bodyStart = bodyOf(buffer, frameStart);
    const hasId = (buffer[frameStart] & QOS_MASK) !== 0;
    this.bodyStart = bodyStart;
    this.topicStart = bodyStart + 2;
    this.topicLength = uint16At(buffer, bodyStart);
    let at = this.topicStart + this.topicLength;
    this.packetId = hasId ? uint16At(buffer, at) : 0;
    if (hasId) at += 2;
    this.propertiesLength = version === 5 ? variableByteIntegerAt(buffer, at) : 0;
    this.propertiesStart =
      version === 5 ? at + variableByteIntegerBytes(this.propertiesLength) : at;
    this.payloadStart = this.propertiesStart + this.propertiesLength;
    this.#forgetProperties();
  }

  #forgetProperties(): void {
    this.topicAlias = 0;
    this.messageExpirySeconds = NOT_THERE;
    this.isPayloadText = false;
    this.canonicalLength = this.propertiesLength;
    this.#topicAliasAt = NOT_THERE;
    this.#messageExpiryAt = NOT_THERE;
  }

  #readProperties(buffer: Buffer, sender: Sender): void {
    this.#forgetProperties();
    if (this.propertiesLength === 0) return;
    const { propertiesStart, payloadStart } = this;
    const fault = checkProperties(
      buffer,
      propertiesStart,
      payloadStart,
      PacketType.publish,
      sender,
    );
    if (fault !== PROPERTIES_OK) throw propertyError(fault, PacketType.publish);
    let at = propertiesStart;
    while (at < payloadStart) {
      const id = buffer[at];
      const valueAt = at + 1;
      if (id === PropertyId.topicAlias) {
        this.#topicAliasAt = at;
        this.topicAlias = uint16At(buffer, valueAt);
        this.canonicalLength -= TOPIC_ALIAS_BYTES;
      } else if (id === PropertyId.messageExpiryInterval) {
        this.#messageExpiryAt = at;
        this.messageExpirySeconds = uint32At(buffer, valueAt);
        this.canonicalLength -= MESSAGE_EXPIRY_BYTES;
      } else if (id === PropertyId.payloadFormatIndicator) {
        this.isPayloadText = buffer[valueAt] === 1;
      }
      at = propertyEnd(buffer, valueAt, id);
    }
  }

  /**
   * Copies the `canonicalLength` bytes of the properties without Topic Alias and Message Expiry
   * Interval, in their order, to `target` at `at`.
   * @param buffer that was read from. @returns the position behind them.
   */
  copyCanonical(buffer: Buffer, target: Buffer, at: number): number {
    const alias = this.#topicAliasAt;
    const expiry = this.#messageExpiryAt;
    let out = at;
    let from = this.propertiesStart;
    // At most two cuts, the earlier one first.
    const isAliasFirst = alias !== NOT_THERE && (expiry === NOT_THERE || alias < expiry);
    const first = isAliasFirst ? alias : expiry;
    const second = isAliasFirst ? expiry : alias;
    if (first !== NOT_THERE) {
      copyBytes(buffer, from, first, target, out);
      out += first - from;
      from = first + (isAliasFirst ? TOPIC_ALIAS_BYTES : MESSAGE_EXPIRY_BYTES);
    }
    if (second !== NOT_THERE) {
      copyBytes(buffer, from, second, target, out);
      out += second - from;
      from = second + (isAliasFirst ? MESSAGE_EXPIRY_BYTES : TOPIC_ALIAS_BYTES);
    }
    copyBytes(buffer, from, this.payloadStart, target, out);
    return out + this.payloadStart - from;
  }
}

/** The error for a PUBLISH whose topic is neither said nor meant by an alias. */
export function noTopic(): ProtocolError {
  return protocolError('3.3.2.1', 'PUBLISH with an empty topic and no Topic Alias');
}
