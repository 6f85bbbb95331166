/**
 * Finds the frames of MQTT 5.0 in what was read, as ../frame-scan.ts does for 3.x, and for the same
 * sink. What differs: a run shares its property block too, acks may have reason codes, and nothing
 * of 3.x's liberties is taken. Nothing is allocated here, neither a frame nor a run.
 */
import { CloseReason, ProtocolError } from '../../base/errors.js';
import { PAYLOAD_BYTES_MAX, RUN_FRAMES_MAX } from '../../base/limits.js';
import { AlikeFrames, topicFieldsEqual } from '../alike-frames.js';
import { DUP, FIXED_HEADER_BYTES_MAX, QOS_MASK } from '../fixed-header.js';
import type { FrameSink } from '../frame-scan.js';
import { PacketType } from '../packet.js';
import {
  HEADERS_ALLOWED_5,
  headerError5,
  protocolError,
  remainingLengthError,
} from './fixed-header.js';
import { Sender } from './property.js';
import { PublishView } from './publish-view.js';
import { isReasonCodeAllowed } from './reason-code.js';
import {
  VariableByteIntegerFault,
  variableByteIntegerAt,
  variableByteIntegerEnd,
} from './variable-byte-integer.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
const PINGREQ_HEADER = PacketType.pingreq << 4;
/** Remaining lengths of acks that are decoded here: no code; a code; a code and no properties. */
const ACK_LENGTH_MIN = 2;
const ACK_LENGTH_MAX = 4;

/**
 * A scanner, to be shared by all 5.0 connections of a thread: between two scans it keeps nothing.
 *
 * To the sink of a 3.x scan:
 * - `onRun`: all frames have the property block of the first, too; `publish` has its parts. The
 *   topic is empty (`topicLength` 0) when an alias stands for it, which the sink has to resolve.
 * - `onAcks`: where `hasReasonCodes`, elements [0, count) of `reasonCodes` hold the codes, else all
 *   are 0. An ack with properties comes to `onFrame`, like all other packets.
 */
export class FrameScan5 {
  /** Packet ids of the run or the acks that are being handed over. */
  readonly packetIds: Uint16Array;
  /** Reason codes of the acks that are being handed over, each allowed in them. */
  readonly reasonCodes: Uint8Array = new Uint8Array(RUN_FRAMES_MAX);
  hasReasonCodes = false;
  /** Parts of the first frame of the run that is being handed over. */
  readonly publish: PublishView = new PublishView();
  /**
   * After a scan that left an unfinished frame: the whole length of that frame, 0 when its length
   * bytes have not all arrived. 0 too when nothing is left.
   */
  neededBytes = 0;
  /** Most frames that are joined to one run, 1 to RUN_FRAMES_MAX. */
  runFramesMax = RUN_FRAMES_MAX;
  /** A PUBLISH with a longer payload than this is a run of its own. */
  payloadBytesMax = PAYLOAD_BYTES_MAX;
  /** Longest whole frame accepted: of the connection that is scanned. */
  maxPacketBytes: number;
  readonly #alike = new AlikeFrames();
  readonly #runBytesMax: number;
  readonly #sender: Sender;
  /** The sink wants no more, and has not taken the run that it was given last. */
  #isStopped = false;
  #isRunLeft = false;
  /** Where the body of the frame measured last begins. */
  #bodyStart = 0;
  #viewed: Buffer = NO_BYTES;
  #view: DataView = new DataView(NO_BYTES.buffer, NO_BYTES.byteOffset, 0);

  /**
   * @param maxPacketBytes longest whole frame accepted.
   * @param sender of what is scanned.
   * @param packetIds of RUN_FRAMES_MAX elements, where the thread's other scan notes its own too.
   * @param runBytesMax as in ../frame-scan.ts, with the topics that aliases stand for.
   */
  constructor(
    maxPacketBytes: number,
    sender: Sender,
    packetIds: Uint16Array = new Uint16Array(RUN_FRAMES_MAX),
    runBytesMax = Number.POSITIVE_INFINITY,
  ) {
    this.#runBytesMax = runBytesMax;
    this.maxPacketBytes = maxPacketBytes;
    this.#sender = sender;
    this.packetIds = packetIds;
  }

  /**
   * Hands everything whole in [start, end) to `sink`.
   * @returns the position of the first byte not consumed: `end`, or the start of an unfinished
   *   frame (see `neededBytes`), or where the sink stopped the scan.
   * @throws ProtocolError for the first frame that may not be; what precedes it has been handed
   *   over.
   */
  scan(buffer: Buffer, start: number, end: number, sink: FrameSink): number {
    this.neededBytes = 0;
    this.#isRunLeft = false;
    let position = start;
    while (position < end) {
      const header = buffer[position];
      // Most acks are whole and as they should be, and come many in a row.
      if (isAck(header) && isShortAck(buffer, position, end)) {
        const length = buffer[position + 1];
        const count =
          length === ACK_LENGTH_MIN
            ? this.#plainAcks(buffer, position, end)
            : this.#acks(buffer, position, end, length);
        position += count * (2 + length);
        if (!sink.onAcks(header >> 4, count)) return position;
        continue;
      }
      if (header === PINGREQ_HEADER && sink.onPings !== undefined) {
        const count = pingsInRow(buffer, position, end);
        position += 2 * count;
        if (count > 0) {
          if (!sink.onPings(count)) return position;
          continue;
        }
      }
      const frameEnd = this.#measure(buffer, position, end);
      if (frameEnd === 0) return position;
      if (header >> 4 === PacketType.publish) {
        position = this.#run(buffer, position, frameEnd, end, sink);
        if (this.#isStopped) return position;
        continue;
      }
      if (!sink.onFrame(buffer, position, frameEnd)) return frameEnd;
      position = frameEnd;
    }
    return position;
  }

  /** For the sink, in `onRun`: it does not take the run. The scan stops before it. */
  leaveRun(): void {
    this.#isRunLeft = true;
  }

  /**
   * Notes the packet ids of acks in a row with the same first byte and no reason code, as 3.x has
   * them: nearly all are.
   * @returns how many there are, at least one.
   */
  #plainAcks(buffer: Buffer, start: number, end: number): number {
    const { packetIds } = this;
    const view = this.#viewOf(buffer);
    const head = view.getUint16(start);
    const last = Math.min(end, start + 4 * RUN_FRAMES_MAX) - 4;
    this.hasReasonCodes = false;
    let count = 0;
    for (let position = start; position <= last; position += 4) {
      // One look for all four bytes, as in ../frame-scan.ts.
      const ack = view.getInt32(position);
      const packetId = ack & 0xffff;
      if (ack >> 16 !== head || packetId === 0) break;
      packetIds[count++] = packetId;
    }
    if (count === 0) throw ackError(buffer, start);
    return count;
  }

  /**
   * Notes packet ids and reason codes of acks in a row with the same first byte and length.
   * @returns how many there are, at least one.
   */
  #acks(buffer: Buffer, start: number, end: number, length: number): number {
    const { packetIds, reasonCodes } = this;
    const header = buffer[start];
    const type = header >> 4;
    const sender = this.#sender;
    const bytes = 2 + length;
    const hasCode = length > ACK_LENGTH_MIN;
    const limit = Math.min(RUN_FRAMES_MAX, Math.floor((end - start) / bytes));
    this.hasReasonCodes = hasCode;
    let count = 0;
    let position = start;
    // What may not be ends the row, and is met again as the first one, and refused then.
    while (count < limit) {
      if (buffer[position] !== header || buffer[position + 1] !== length) break;
      const packetId = (buffer[position + 2] << 8) | buffer[position + 3];
      if (packetId === 0) break;
      if (hasCode) {
        const code = buffer[position + 4];
        if (!isReasonCodeAllowed(code, type, sender)) break;
        // With properties it is for another to read.
        if (length === ACK_LENGTH_MAX && buffer[position + 5] !== 0) break;
        reasonCodes[count] = code;
      }
      packetIds[count++] = packetId;
      position += bytes;
    }
    if (count === 0) throw ackError(buffer, start);
    return count;
  }

  /**
   * Checks first byte and remaining length of the frame at `position`.
   * @returns its end; 0 when it is unfinished (`neededBytes` is set).
   */
  #measure(buffer: Buffer, position: number, end: number): number {
    const header = buffer[position];
    if (HEADERS_ALLOWED_5[header] === 0) throw headerError5(header);
    const at = variableByteIntegerEnd(buffer, position + 1, end);
    if (at === VariableByteIntegerFault.illFormed) throw remainingLengthError();
    if (at < 0) return 0;
    const frameEnd = at + variableByteIntegerAt(buffer, position + 1);
    const frameBytes = frameEnd - position;
    if (frameBytes > this.maxPacketBytes) throw this.#tooLarge(frameBytes);
    if (frameEnd > end) {
      this.neededBytes = frameBytes;
      return 0;
    }
    this.#bodyStart = at;
    return frameEnd;
  }

  /**
   * Hands over the run that begins with the measured PUBLISH frame [start, firstEnd).
   * @returns its end; its begin when the sink has left it. `#isStopped` says whether to stop there.
   */
  #run(buffer: Buffer, start: number, firstEnd: number, end: number, sink: FrameSink): number {
    const { packetIds, publish } = this;
    const view = this.#viewOf(buffer);
    const header = buffer[start] & ~DUP;
    const hasIds = (header & QOS_MASK) !== 0;
    const bodyStart = this.#bodyStart;
    publish.read(buffer, bodyStart, firstEnd, hasIds, this.#sender);
    const { topicStart, topicLength, payloadStart } = publish;
    const topicEnd = topicStart + topicLength;
    const isPlain = publish.propertiesLength === 0;
    const lengthMin = payloadStart - bodyStart;
    const lengthMax = this.#lengthMax(lengthMin);
    const aliasedBytes = topicLength > 0 ? 0 : (sink.aliasedTopicBytes?.(publish.topicAlias) ?? 0);
    const framesMax = firstEnd - bodyStart > lengthMax ? 1 : this.#framesMax(aliasedBytes);
    // Each frame grows by its topic.
    const endMax = Math.min(end, start + this.#runBytesMax - framesMax * aliasedBytes);
    packetIds[0] = publish.packetId;
    let count = 1;
    let position = firstEnd;
    const isEasy = isPlain && !hasIds;
    if (isEasy) {
      // The length of the empty property block follows the topic, and is compared with it.
      const alike = this.#alike;
      alike.find(
        view,
        header,
        bodyStart,
        payloadStart,
        lengthMin,
        lengthMax,
        firstEnd,
        endMax,
        framesMax,
      );
      ({ count, end: position } = alike);
    }
    // As in 3.x: what may not be ends the run, and is met again as the first frame behind it.
    while (!isEasy && count < framesMax && position + 2 <= end) {
      const next = view.getUint8(position);
      if (next !== header && (next !== (header | DUP) || !hasIds)) break;
      let length = view.getUint8(position + 1);
      let at = position + 2;
      if (length >= 0x80) {
        length &= 0x7f;
        let byte = 0x80;
        for (let shift = 7; byte >= 0x80 && at < end && shift < 28; shift += 7) {
          byte = view.getUint8(at++);
          length |= (byte & 0x7f) << shift;
        }
        if (byte >= 0x80 || byte === 0) break;
      }
      const distance = at - bodyStart;
      const frameEnd = at + length;
      if (length < lengthMin || frameEnd > endMax || length > lengthMax) break;
      if (!topicFieldsEqual(view, bodyStart, topicEnd, distance)) break;
      const propertyField = topicEnd + (hasIds ? 2 : 0);
      if (!isPlain && !bytesEqual(view, propertyField, payloadStart, distance)) break;
      if (hasIds) {
        // The packet id and the byte behind it, which is the length of the property block.
        const word = view.getInt32(topicEnd - 1 + distance);
        const packetId = (word >> 8) & 0xffff;
        if (packetId === 0 || (isPlain && (word & 0xff) !== 0)) break;
        packetIds[count] = packetId;
      }
      count++;
      position = frameEnd;
    }
    this.#isStopped = !sink.onRun(buffer, start, position, topicStart, topicLength, header, count);
    return this.#isRunLeft ? start : position;
  }

  /** Most frames of a run: topics that aliases stand for take at most half of its bytes. */
  #framesMax(aliasedBytes: number): number {
    if (aliasedBytes === 0) return this.runFramesMax;
    const most = Math.floor(this.#runBytesMax / 2 / aliasedBytes);
    return Math.max(1, Math.min(this.runFramesMax, most));
  }

  /** The longest body of a frame that is joined to a run, as in ../frame-scan.ts. */
  #lengthMax(lengthMin: number): number {
    return Math.min(lengthMin + this.payloadBytesMax, this.maxPacketBytes - FIXED_HEADER_BYTES_MAX);
  }

  /** `buffer` to be read in wider words, as in ../frame-scan.ts. */
  #viewOf(buffer: Buffer): DataView {
    if (this.#viewed !== buffer) {
      this.#viewed = buffer;
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    }
    return this.#view;
  }

  #tooLarge(bytes: number): ProtocolError {
    return new ProtocolError(
      this.#sender === Sender.client ? 'MQTT-3.2.2-15' : 'MQTT-3.1.2-24',
      `packet of ${bytes} bytes is longer than the ${this.maxPacketBytes} accepted here`,
      CloseReason.packetTooLarge,
    );
  }
}

/**
 * Whether [from, end) equals what stands `distance` further, byte for byte: eight at a time, as
 * doubles. Doubles that are not 0 and equal have equal bytes; others that may have are NaNs, and 0
 * and -0. Those are told apart as integers: properties may hold binary data, other than topics.
 */
function bytesEqual(view: DataView, from: number, end: number, distance: number): boolean {
  let at = from;
  for (const lastWord = end - 8; at <= lastWord; at += 8) {
    const one = view.getFloat64(at, true);
    const other = view.getFloat64(at + distance, true);
    if (one === other && one !== 0) continue;
    if (
      view.getInt32(at) !== view.getInt32(at + distance) ||
      view.getInt32(at + 4) !== view.getInt32(at + 4 + distance)
    ) {
      return false;
    }
  }
  for (; at < end; at++) {
    if (view.getInt8(at) !== view.getInt8(at + distance)) return false;
  }
  return true;
}

/** Whether this is the first byte of PUBACK, PUBREC, PUBREL or PUBCOMP. */
function isAck(header: number): boolean {
  return header === 0x40 || header === 0x50 || header === 0x62 || header === 0x70;
}

/** Whether the ack at `position` is whole and has no properties. */
function isShortAck(buffer: Buffer, position: number, end: number): boolean {
  if (position + 4 > end) return false;
  const length = buffer[position + 1];
  if (length < ACK_LENGTH_MIN || length > ACK_LENGTH_MAX) return false;
  if (position + 2 + length > end) return false;
  return length < ACK_LENGTH_MAX || buffer[position + 5] === 0;
}

/** The error for a short ack that may not be. */
function ackError(buffer: Buffer, position: number): ProtocolError {
  const packetId = (buffer[position + 2] << 8) | buffer[position + 3];
  if (packetId === 0) return protocolError('MQTT-2.2.1-3', 'packet id 0');
  const code = buffer[position + 4].toString(16).padStart(2, '0');
  const type = buffer[position] >> 4;
  return protocolError(
    `MQTT-3.${type}.2-1`,
    `reason code 0x${code} is not allowed in a packet of type ${type}`,
  );
}

/** How many whole PINGREQs, at most RUN_FRAMES_MAX, begin at `position`. */
function pingsInRow(buffer: Buffer, position: number, end: number): number {
  const last = Math.min(end, position + 2 * RUN_FRAMES_MAX) - 2;
  let at = position;
  while (at <= last && buffer[at] === PINGREQ_HEADER && buffer[at + 1] === 0) at += 2;
  return (at - position) >> 1;
}
