/**
 * Finds the frames in what was read: the loop that every byte a client sends goes through.
 * PUBLISH frames are joined to runs, the four acks are checked and decoded in place, every other
 * frame is handed on whole. Nothing is allocated here, neither a frame nor a run.
 */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { PACKET_ID_MAX } from '../base/limits.js';
import {
  DUP,
  HEADER_ALLOWED,
  HEADER_ALLOWED_IN_31,
  HEADER_RULES,
  headerError,
  lengthNotShortest,
  lengthTooLong,
  QOS_MASK,
} from './fixed-header.js';
import { PacketType, type ProtocolVersion } from './packet.js';

/** Frames in one run at most: as many as there are packet ids to note, 0 included. */
const RUN_FRAMES_MAX = PACKET_ID_MAX + 1;

/** Takes what a scan finds, in the order of the bytes. It must not scan with the same FrameScan. */
export interface FrameSink {
  /**
   * A run of `count` PUBLISH frames, [start, end) of `buffer`. `header` has DUP cleared. Elements
   * [0, count) of the scan's `packetIds` hold its packet ids when QoS > 0, until this returns.
   * The topic's bytes are not checked yet. false = stop scanning after the run.
   */
  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
  ): boolean;
  /** PUBACK, PUBREC, PUBREL or PUBCOMP (`type` 4 to 7), already checked. false = stop scanning. */
  onAck(type: number, packetId: number): boolean;
  /** Any other whole frame [start, end), its first byte and length checked. false = stop scanning. */
  onFrame(buffer: Buffer, start: number, end: number): boolean;
}

/** A scanner, to be shared by all connections of a thread: between two scans it keeps nothing. */
export class FrameScan {
  /** Packet ids of the run that is being handed to `onRun`. */
  readonly packetIds: Uint16Array = new Uint16Array(RUN_FRAMES_MAX);
  /**
   * After a scan that left an unfinished frame: the whole length of that frame, 0 when its length
   * bytes have not all arrived. 0 too when nothing is left.
   */
  neededBytes = 0;
  /** Version of the connection that is scanned: 3 allows DUP on PUBREL, SUBSCRIBE, UNSUBSCRIBE. */
  protocolVersion: ProtocolVersion = 4;
  readonly #maxPacketBytes: number;
  /** Where the body of the frame measured last begins. */
  #bodyStart = 0;

  /** @param maxPacketBytes longest whole frame accepted. */
  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /**
   * Hands everything whole in [start, end) to `sink`.
   * @returns the position of the first byte not consumed: `end`, or the start of an unfinished frame
   *   (see `neededBytes`), or where the sink stopped the scan.
   * @throws ProtocolError for the first frame that may not be; what precedes it has been handed over.
   */
  scan(buffer: Buffer, start: number, end: number, sink: FrameSink): number {
    this.neededBytes = 0;
    let position = start;
    while (position < end) {
      const frameEnd = this.#measure(buffer, position, end);
      if (frameEnd === 0) return position;
      const type = buffer[position] >> 4;
      let goOn: boolean;
      if (type === PacketType.publish) {
        const runStart = position;
        position = this.#run(buffer, runStart, frameEnd, end, sink);
        if (position < 0) return -position;
        continue;
      }
      if (type >= PacketType.puback && type <= PacketType.pubcomp) {
        goOn = sink.onAck(type, ackPacketId(buffer, this.#bodyStart, frameEnd, type));
      } else {
        goOn = sink.onFrame(buffer, position, frameEnd);
      }
      position = frameEnd;
      if (!goOn) return position;
    }
    return position;
  }

  /**
   * Checks first byte and remaining length of the frame at `position`.
   * @returns its end; 0 when it is unfinished (`neededBytes` is set).
   */
  #measure(buffer: Buffer, position: number, end: number): number {
    const header = buffer[position];
    const rule = HEADER_RULES[header];
    if (rule !== HEADER_ALLOWED && (rule !== HEADER_ALLOWED_IN_31 || this.protocolVersion !== 3)) {
      throw headerError(header);
    }
    let at = position + 1;
    let length = 0;
    let shift = 0;
    for (;;) {
      if (at >= end) return 0;
      const byte = buffer[at++];
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw lengthNotShortest();
        break;
      }
      shift += 7;
      if (shift > 21) throw lengthTooLong();
    }
    const frameEnd = at + length;
    if (frameEnd - position > this.#maxPacketBytes) {
      throw tooLarge(frameEnd - position, this.#maxPacketBytes);
    }
    if (frameEnd > end) {
      this.neededBytes = frameEnd - position;
      return 0;
    }
    this.#bodyStart = at;
    return frameEnd;
  }

  /**
   * Hands over the run that begins with the measured PUBLISH frame [start, firstEnd).
   * @returns its end, negated when the sink wants to stop.
   */
  #run(buffer: Buffer, start: number, firstEnd: number, end: number, sink: FrameSink): number {
    const packetIds = this.packetIds;
    const bodyStart = this.#bodyStart;
    const header = buffer[start] & ~DUP;
    const hasIds = (header & QOS_MASK) !== 0;
    const idBytes = hasIds ? 2 : 0;
    if (bodyStart + 2 > firstEnd) throw noTopic();
    const topicLength = (buffer[bodyStart] << 8) | buffer[bodyStart + 1];
    const topicStart = bodyStart + 2;
    const topicEnd = topicStart + topicLength;
    if (topicLength === 0) throw emptyTopic();
    if (topicEnd + idBytes > firstEnd) throw cutShort();
    if (hasIds) {
      const packetId = (buffer[topicEnd] << 8) | buffer[topicEnd + 1];
      if (packetId === 0) throw zeroPacketId();
      packetIds[0] = packetId;
    }
    const maxPacketBytes = this.#maxPacketBytes;
    let count = 1;
    let position = firstEnd;
    while (count < RUN_FRAMES_MAX && position + 2 <= end) {
      const next = buffer[position];
      if ((next & ~DUP) !== header || (!hasIds && next !== header)) break;
      let at = position + 1;
      let length = buffer[at++];
      if (length >= 0x80) {
        length &= 0x7f;
        let shift = 7;
        let byte = 0x80;
        while (byte >= 0x80 && at < end && shift < 28) {
          byte = buffer[at++];
          length |= (byte & 0x7f) << shift;
          shift += 7;
        }
        if (byte >= 0x80 || byte === 0) break;
      }
      const frameEnd = at + length;
      if (frameEnd > end || frameEnd - position > maxPacketBytes) break;
      const nextTopicEnd = at + 2 + topicLength;
      if (nextTopicEnd + idBytes > frameEnd) break;
      const distance = at - bodyStart;
      let index = topicEnd - 1;
      while (index >= bodyStart && buffer[index] === buffer[index + distance]) index--;
      if (index >= bodyStart) break;
      if (hasIds) {
        const packetId = (buffer[nextTopicEnd] << 8) | buffer[nextTopicEnd + 1];
        if (packetId === 0) break;
        packetIds[count] = packetId;
      }
      count++;
      position = frameEnd;
    }
    return sink.onRun(buffer, start, position, topicStart, topicLength, header, count)
      ? position
      : -position;
  }
}

/** Checks the body of an ack and returns its packet id. */
function ackPacketId(buffer: Buffer, bodyStart: number, end: number, type: number): number {
  if (end - bodyStart !== 2) {
    throw new ProtocolError(`3.${type}.1`, `an ack of ${end - bodyStart} bytes instead of 2`);
  }
  const packetId = (buffer[bodyStart] << 8) | buffer[bodyStart + 1];
  if (packetId === 0) throw zeroPacketId();
  return packetId;
}

function tooLarge(bytes: number, bytesMax: number): ProtocolError {
  return new ProtocolError(
    '2.2.3',
    `packet of ${bytes} bytes is longer than the ${bytesMax} accepted here`,
    CloseReason.packetTooLarge,
  );
}
function noTopic(): ProtocolError {
  return new ProtocolError('MQTT-3.3.2-1', 'PUBLISH without a topic');
}
function emptyTopic(): ProtocolError {
  return new ProtocolError('MQTT-4.7.3-1', 'PUBLISH with an empty topic');
}
function cutShort(): ProtocolError {
  return new ProtocolError('MQTT-3.3.2-1', 'PUBLISH ends before its topic and packet id do');
}
function zeroPacketId(): ProtocolError {
  return new ProtocolError('MQTT-2.3.1-1', 'packet id 0');
}
