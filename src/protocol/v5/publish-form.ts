/**
 * Lays out PUBLISH packets in the form that a receiver takes: 3.x; 5.0 with properties, remaining
 * expiry, alias and Subscription Identifiers. The parts come from a canonical frame or run of any
 * version (publish-view.ts). Nothing is allocated here.
 */
import { invariant } from '../../base/assert.js';
import { copyBytes } from '../../base/copy-bytes.js';
import { PACKET_ID_MAX, REMAINING_LENGTH_MAX } from '../../base/limits.js';
import { QOS_MASK } from '../fixed-header.js';
import type { ProtocolVersion } from '../packet.js';
import { bodyOf, frameEnd, notARun } from '../publish-frame.js';
import { PropertyId } from './property.js';
import { NOT_THERE, uint16At } from './property-find.js';
import { MESSAGE_EXPIRY_BYTES, TOPIC_ALIAS_BYTES } from './publish-view.js';
import { type Replacement, replacedLength, replaceInRun, wholeLength } from './replace-in-run.js';
import { SHORT_FRAME_BYTES_MAX, writeShortFrames } from './short-frames.js';
import { variableByteIntegerBytes, writeVariableByteInteger } from './variable-byte-integer.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
/** What is put into the frames of a run is made here, unless it is longer. */
const SCRATCH_BYTES = 1_024;
/** Fewer short frames are not worth a head of their own. */
const SHORT_FRAMES_MIN = 3;
/** First byte and remaining length. */
const FIXED_HEADER_BYTES_MAX = 5;
const NO_IDENTIFIERS: readonly number[] = [];

/** One form, to be filled and used again and again: it holds what it is given until the next. */
export class PublishForm {
  /** Of the receiver: 3 and 4 get no properties at all. */
  version: ProtocolVersion = 5;
  /** Message Expiry Interval that is left, in seconds, 1 to 4,294,967,295; NOT_THERE for none. */
  messageExpirySeconds: number = NOT_THERE;
  /** Topic Alias that the receiver knows or learns with this packet; 0 for none. */
  topicAlias = 0;
  /** The receiver knows the alias: the topic is left out [MQTT 5.0, 3.3.2.3.4]. */
  isTopicOmitted = false;
  /** Identifiers of the subscriptions that match, 1 to 268,435,455 each [MQTT-3.3.4-3]. */
  subscriptionIdentifiers: readonly number[] = NO_IDENTIFIERS;
  /** Frames longer than this are left out of a run [MQTT-3.1.2-24] [MQTT-3.1.2-25]. */
  maximumPacketSize = Number.POSITIVE_INFINITY;
  /** Frames that `writeRun` has written last; it left out the others, as too long. */
  writtenCount = 0;
  #topic: Buffer = NO_BYTES;
  #topicStart = 0;
  #topicLength = 0;
  #properties: Buffer = NO_BYTES;
  #propertiesStart = 0;
  #propertiesLength = 0;
  readonly #scratch: Buffer = Buffer.allocUnsafe(SCRATCH_BYTES);
  readonly #head: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  readonly #headView = new DataView(this.#head.buffer);
  readonly #replacement: Replacement = {
    keptBytes: 0,
    cutBytes: 0,
    insert: NO_BYTES,
    insertBytes: 0,
    packetIdAt: -1,
    frames: 0,
  };

  /** The Topic Name [start, start + length) of `bytes`, 1 to 65,535 bytes. */
  setTopic(bytes: Buffer, start: number, length: number): void {
    this.#topic = bytes;
    this.#topicStart = start;
    this.#topicLength = length;
  }

  /** The canonical properties [start, start + length) of `bytes`, without their length. */
  setProperties(bytes: Buffer, start: number, length: number): void {
    this.#properties = bytes;
    this.#propertiesStart = start;
    this.#propertiesLength = length;
  }

  /** Forgets all it was given: a 5.0 form without topic and properties. */
  clear(): void {
    this.version = 5;
    this.messageExpirySeconds = NOT_THERE;
    this.topicAlias = 0;
    this.isTopicOmitted = false;
    this.subscriptionIdentifiers = NO_IDENTIFIERS;
    this.maximumPacketSize = Number.POSITIVE_INFINITY;
    this.setTopic(NO_BYTES, 0, 0);
    this.setProperties(NO_BYTES, 0, 0);
  }

  /** Bytes of the properties as they go out, without the Property Length. */
  get propertiesLength(): number {
    let length = this.#propertiesLength;
    if (this.messageExpirySeconds !== NOT_THERE) length += MESSAGE_EXPIRY_BYTES;
    if (this.topicAlias !== 0) length += TOPIC_ALIAS_BYTES;
    const identifiers = this.subscriptionIdentifiers;
    for (let index = 0; index < identifiers.length; index++) {
      length += 1 + variableByteIntegerBytes(identifiers[index]);
    }
    return length;
  }

  /** Bytes of a frame between its remaining length and its payload. */
  headLength(header: number): number {
    const topicLength = this.isTopicOmitted ? 0 : this.#topicLength;
    const fixed = 2 + topicLength + ((header & QOS_MASK) === 0 ? 0 : 2);
    if (this.version !== 5) return fixed;
    const { propertiesLength } = this;
    return fixed + variableByteIntegerBytes(propertiesLength) + propertiesLength;
  }

  /** Bytes of the whole frame: what the receiver's Maximum Packet Size limits. */
  frameLength(header: number, payloadLength: number): number {
    return wholeLength(this.headLength(header) + payloadLength);
  }

  /**
   * Writes one frame of `frameLength` bytes to `target` at `at`.
   * @param header its first byte: type, DUP, QoS, RETAIN.
   * @param packetId written when the QoS is not 0, 1 to 65,535.
   * @param payload holds the payload, [payloadStart, payloadEnd).
   * @returns the position behind it.
   */
  write(
    target: Buffer,
    at: number,
    header: number,
    packetId: number,
    payload: Buffer,
    payloadStart: number,
    payloadEnd: number,
  ): number {
    const length = this.headLength(header) + payloadEnd - payloadStart;
    invariant(length <= REMAINING_LENGTH_MAX, 'a packet is at most 268,435,455 bytes');
    target[at] = header;
    let out = this.#writeTopic(target, writeVariableByteInteger(target, at + 1, length));
    if ((header & QOS_MASK) !== 0) out = writeUint16(target, out, packetId);
    if (this.version === 5) out = this.#writeProperties(target, out);
    copyBytes(payload, payloadStart, payloadEnd, target, out);
    return out + payloadEnd - payloadStart;
  }

  /**
   * Room that `writeRun` needs for the run [start, end) of `source`, in bytes: as much as it
   * writes, or as the run itself takes, where that is more.
   * @param payloadOffset bytes from a body's begin to its payload in `source`.
   * @throws RecordError when the frames do not end where the run does.
   */
  runRoom(
    source: Buffer,
    start: number,
    end: number,
    payloadOffset: number,
    header: number,
  ): number {
    this.#prepare(source, start, payloadOffset, header);
    return Math.max(end - start, replacedLength(source, start, end, this.#replacement));
  }

  /**
   * Writes the run [start, end) of `source` in this form to `target` at `at`, where there is as
   * much room as `runRoom` says. The run may be of any version; what is kept of it is its payloads,
   * and its topic and properties where they are as long as those of this form: then they must be
   * the same. Source and target must not overlap.
   * @param payloadOffset bytes from a body's begin to its payload in `source`.
   * @param firstPacketId of the first frame written, when the QoS in `header` is not 0; the others
   *   follow, 1 behind 65,535.
   * @returns the end in `target`. `writtenCount` says how many frames were not too long.
   * @throws RecordError when the frames do not end where the run does.
   */
  writeRun(
    source: Buffer,
    start: number,
    end: number,
    payloadOffset: number,
    target: Buffer,
    at: number,
    header: number,
    firstPacketId: number,
  ): number {
    // A frame is not longer than its run would be: most runs are far below any maximum.
    const headLength = this.headLength(header);
    if (end - start + headLength + FIXED_HEADER_BYTES_MAX > this.maximumPacketSize) {
      return this.#writeFitting(
        source,
        start,
        end,
        payloadOffset,
        target,
        at,
        header,
        firstPacketId,
      );
    }
    const replacement = this.#replacement;
    this.#prepare(source, start, payloadOffset, header);
    const bytes = replacedLength(source, start, end, replacement);
    const { frames } = replacement;
    this.writtenCount = frames;
    const isShort =
      frames >= SHORT_FRAMES_MIN &&
      headLength <= this.#head.length &&
      Math.max(end - start, bytes) <= frames * SHORT_FRAME_BYTES_MAX;
    if (isShort) {
      return writeShortFrames(
        source,
        start,
        end,
        payloadOffset,
        this.#headView,
        headLength,
        this.#writeHead(header),
        target,
        at,
        header,
        firstPacketId,
      );
    }
    return replaceInRun(source, start, end, replacement, bytes, target, at, header, firstPacketId);
  }

  /**
   * Writes the head of a frame, from its topic to its payload, to `#head`.
   * @returns where in it the packet id stands; below 0: nowhere.
   */
  #writeHead(header: number): number {
    const head = this.#head;
    const topicEnd = this.#writeTopic(head, 0);
    const hasId = (header & QOS_MASK) !== 0;
    if (this.version === 5) this.#writeProperties(head, topicEnd + (hasId ? 2 : 0));
    return hasId ? topicEnd : -1;
  }

  /** Says what of the source's frames is replaced by what, to make them frames of this form. */
  #prepare(source: Buffer, start: number, payloadOffset: number, header: number): void {
    const replacement = this.#replacement;
    const isOf5 = this.version === 5;
    const hasIds = (header & QOS_MASK) !== 0;
    const topicLength = uint16At(source, bodyOf(source, start));
    const idBytes = (source[start] & QOS_MASK) === 0 ? 0 : 2;
    /** Bytes of the properties with their length in the source: 0 in 3.x. */
    const propertyField = payloadOffset - 2 - topicLength - idBytes;
    // Of damaged bytes it may be no number.
    if (!(propertyField >= 0)) throw notARun();
    const length = this.#propertiesLength;
    const keepsTopic = !this.isTopicOmitted && topicLength === this.#topicLength;
    const keepsProperties = isOf5 && propertyField === variableByteIntegerBytes(length) + length;
    const insertBytesMax = this.headLength(header);
    const insert =
      insertBytesMax <= this.#scratch.length ? this.#scratch : Buffer.allocUnsafe(insertBytesMax);
    let out = keepsTopic ? 0 : this.#writeTopic(insert, 0);
    replacement.packetIdAt = hasIds ? out : -1;
    if (hasIds) out += 2;
    if (isOf5) {
      out = this.#writeOwnProperties(insert, out);
      if (!keepsProperties) out = this.#writeCanonical(insert, out);
    }
    replacement.keptBytes = keepsTopic ? 2 + topicLength : 0;
    replacement.cutBytes = payloadOffset - replacement.keptBytes - (keepsProperties ? length : 0);
    replacement.insert = insert;
    replacement.insertBytes = out;
  }

  /** As `writeRun`, frame by frame, leaving out those that are too long. */
  #writeFitting(
    source: Buffer,
    start: number,
    end: number,
    payloadOffset: number,
    target: Buffer,
    at: number,
    header: number,
    firstPacketId: number,
  ): number {
    const hasIds = (header & QOS_MASK) !== 0;
    const headLength = this.headLength(header);
    const topicField = 2 + (this.isTopicOmitted ? 0 : this.#topicLength);
    let packetId = firstPacketId;
    let out = at;
    let position = start;
    /** Where the head of the first frame written lies: the others take it from there. */
    let model = NOT_THERE;
    this.writtenCount = 0;
    while (position < end) {
      const next = frameEnd(source, position);
      const payloadLength = payloadBytes(source, position, next, payloadOffset);
      const length = headLength + payloadLength;
      const payloadStart = next - payloadLength;
      position = next;
      if (wholeLength(length) > this.maximumPacketSize) continue;
      if (model === NOT_THERE) {
        const frameAt = out;
        out = this.write(target, frameAt, header, packetId, source, payloadStart, next);
        model = out - length;
      } else {
        target[out] = header;
        out = writeVariableByteInteger(target, out + 1, length);
        copyBytes(target, model, model + headLength, target, out);
        if (hasIds) writeUint16(target, out + topicField, packetId);
        out += headLength;
        copyBytes(source, payloadStart, next, target, out);
        out += payloadLength;
      }
      this.writtenCount++;
      packetId = packetId === PACKET_ID_MAX ? 1 : packetId + 1;
    }
    if (position !== end) throw notARun();
    return out;
  }

  #writeTopic(target: Buffer, at: number): number {
    const length = this.isTopicOmitted ? 0 : this.#topicLength;
    const out = writeUint16(target, at, length);
    copyBytes(this.#topic, this.#topicStart, this.#topicStart + length, target, out);
    return out + length;
  }

  /** Property Length and properties, those that differ between receivers first. */
  #writeProperties(target: Buffer, at: number): number {
    return this.#writeCanonical(target, this.#writeOwnProperties(target, at));
  }

  /** Property Length, and the properties that are this receiver's own. */
  #writeOwnProperties(target: Buffer, at: number): number {
    let out = writeVariableByteInteger(target, at, this.propertiesLength);
    const seconds = this.messageExpirySeconds;
    if (seconds !== NOT_THERE) {
      target[out] = PropertyId.messageExpiryInterval;
      out = writeUint16(target, out + 1, Math.floor(seconds / 0x1_0000));
      out = writeUint16(target, out, seconds & 0xffff);
    }
    if (this.topicAlias !== 0) {
      target[out] = PropertyId.topicAlias;
      out = writeUint16(target, out + 1, this.topicAlias);
    }
    const identifiers = this.subscriptionIdentifiers;
    for (let index = 0; index < identifiers.length; index++) {
      target[out] = PropertyId.subscriptionIdentifiers;
      out = writeVariableByteInteger(target, out + 1, identifiers[index]);
    }
    return out;
  }

  #writeCanonical(target: Buffer, at: number): number {
    const start = this.#propertiesStart;
    copyBytes(this.#properties, start, start + this.#propertiesLength, target, at);
    return at + this.#propertiesLength;
  }
}

/** Bytes of the payload of the frame [position, next). @throws RecordError when it has none. */
function payloadBytes(source: Buffer, position: number, next: number, offset: number): number {
  const length = next - bodyOf(source, position) - offset;
  if (length < 0) throw notARun();
  return length;
}

function writeUint16(target: Buffer, at: number, value: number): number {
  target[at] = value >> 8;
  target[at + 1] = value;
  return at + 2;
}
