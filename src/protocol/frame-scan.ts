/**
 * Finds the frames in what was read: the loop that every byte a client sends goes through.
 * PUBLISH frames are joined to runs, the four acks are checked and decoded in place, every other
 * frame is handed on whole. Nothing is allocated here, neither a frame nor a run.
 */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { PAYLOAD_BYTES_MAX, RUN_FRAMES_MAX } from '../base/limits.js';
import { AlikeFrames, topicFieldsEqual } from './alike-frames.js';
import {
  DUP,
  FIXED_HEADER_BYTES_MAX,
  FIXED_LENGTHS,
  HEADER_ALLOWED,
  HEADER_ALLOWED_IN_31,
  HEADER_RULES,
  headerError,
  LENGTH_VARIES,
  lengthError,
  lengthTooLong,
  QOS_MASK,
} from './fixed-header.js';
import { PacketType, type ProtocolVersion3x } from './packet.js';
import { remainingLengthBytes, writeRemainingLength } from './publish-frame.js';

const NO_BYTES: Buffer = Buffer.alloc(0);
const PINGREQ_HEADER = PacketType.pingreq << 4;

/** Takes what a scan finds, in the order of the bytes. It must not scan with the same FrameScan. */
export interface FrameSink {
  /**
   * A run of `count` PUBLISH frames, [start, end) of `buffer`. `header` has DUP cleared. Elements
   * [0, count) of the scan's `packetIds` hold its packet ids when QoS > 0, until this returns.
   * Whether the topic is UTF-8 without NUL and wildcards is not checked: the sink must, before it
   * uses the run (and once a distinct topic is enough). false = stop scanning after the run, or
   * before it when the sink has called `leaveRun`.
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
  /**
   * Bytes of the topic that a Topic Alias of the client stands for, 0 for none: what each frame of
   * a run grows by. Who is sent none has no such function.
   */
  aliasedTopicBytes?(alias: number): number;
  /**
   * `count` acks in a row of one type, PUBACK, PUBREC, PUBREL or PUBCOMP (`type` 4 to 7), already
   * checked. Elements [0, count) of the scan's `packetIds` hold their packet ids, until this
   * returns. false = stop scanning behind them.
   */
  onAcks(type: number, count: number): boolean;
  /**
   * `count` PINGREQs in a row. false = stop scanning behind them. Who is sent none has no such
   * function: they come as every other frame does.
   */
  onPings?(count: number): boolean;
  /**
   * Any other whole frame [start, end), its first byte and length checked, nothing else: that is
   * `parsePacket`'s. false = stop scanning.
   */
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
  protocolVersion: ProtocolVersion3x = 4;
  /** The frame that is handed to `onFrame` came with a longer remaining length than it needs. */
  isShortened = false;
  /** Most frames that are joined to one run, 1 to RUN_FRAMES_MAX. */
  runFramesMax = RUN_FRAMES_MAX;
  /** A PUBLISH with a longer payload than this is a run of its own. */
  payloadBytesMax = PAYLOAD_BYTES_MAX;
  /** Longest whole frame accepted: of the connection that is scanned. */
  maxPacketBytes: number;
  readonly #alike = new AlikeFrames();
  readonly #runBytesMax: number;
  /** The sink wants no more, and has not taken the run that it was given last. */
  #isStopped = false;
  #isRunLeft = false;
  /** Where the body of the frame measured last begins. */
  #bodyStart = 0;
  /** Its remaining length takes more bytes than it needs. */
  #isPadded = false;
  #viewed: Buffer = NO_BYTES;
  #view: DataView = new DataView(NO_BYTES.buffer, NO_BYTES.byteOffset, 0);

  /**
   * @param maxPacketBytes longest whole frame accepted.
   * @param runBytesMax most bytes of frames that are joined to one run: what one ring record takes,
   *   as a run in several could be delivered by its own shard before the last is seen by others.
   */
  constructor(maxPacketBytes: number, runBytesMax = Number.POSITIVE_INFINITY) {
    this.maxPacketBytes = maxPacketBytes;
    this.#runBytesMax = runBytesMax;
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
      // Most acks are whole and as they should be, and come many in a row.
      if (position + 4 <= end && buffer[position + 1] === 2 && isAck(buffer[position])) {
        const header = buffer[position];
        const count = this.#acks(buffer, position, end);
        position += count * 4;
        if (!sink.onAcks(header >> 4, count)) return position;
        continue;
      }
      if (buffer[position] === PINGREQ_HEADER && sink.onPings !== undefined) {
        const count = pingsInRow(buffer, position, end);
        position += 2 * count;
        if (count > 0) {
          if (!sink.onPings(count)) return position;
          continue;
        }
      }
      const frameEnd = this.#measure(buffer, position, end);
      if (frameEnd === 0) return position;
      if (buffer[position] >> 4 === PacketType.publish && !this.#isPadded) {
        position = this.#run(buffer, position, frameEnd, end, sink);
        if (this.#isStopped) return position;
        continue;
      }
      this.isShortened = this.#isPadded;
      const goOn = this.#isPadded
        ? this.#handOnShortest(buffer, position, frameEnd, sink)
        : this.#handOn(buffer, position, frameEnd, sink);
      if (!goOn) return this.#isRunLeft ? position : frameEnd;
      position = frameEnd;
    }
    return position;
  }

  /** For the sink, in `onRun`: it does not take the run. The scan stops before it. */
  leaveRun(): void {
    this.#isRunLeft = true;
  }

  /**
   * Notes the packet ids of acks in a row with the same first byte.
   * @returns how many there are, at least one.
   */
  #acks(buffer: Buffer, start: number, end: number): number {
    const packetIds = this.packetIds;
    const view = this.#viewOf(buffer);
    const head = view.getUint16(start);
    const last = Math.min(end, start + 4 * RUN_FRAMES_MAX) - 4;
    packetIds[0] = packetIdAt(buffer, start + 2);
    let count = 1;
    for (let position = start + 4; position <= last; position += 4) {
      // One look for all four bytes: a byte at a time takes twice as long.
      const ack = view.getInt32(position);
      const packetId = ack & 0xffff;
      // Id 0 is met again as the first one, and refused then.
      if (ack >> 16 !== head || packetId === 0) break;
      packetIds[count++] = packetId;
    }
    return count;
  }

  /** Hands on the measured frame [start, end), which is no PUBLISH. @returns what the sink says. */
  #handOn(buffer: Buffer, start: number, end: number, sink: FrameSink): boolean {
    const type = buffer[start] >> 4;
    if (type === PacketType.pingreq && sink.onPings !== undefined) return sink.onPings(1);
    if (type < PacketType.puback || type > PacketType.pubcomp) {
      return sink.onFrame(buffer, start, end);
    }
    this.packetIds[0] = packetIdAt(buffer, this.#bodyStart);
    return sink.onAcks(type, 1);
  }

  /**
   * Hands on a copy of the measured frame [start, end) with its remaining length in the shortest
   * form. MQTT 3.1.1 does not forbid a longer one and some clients always write four bytes; MQTT
   * 5.0 does, and readers exist that refuse it: it must not be forwarded as it came.
   */
  #handOnShortest(buffer: Buffer, start: number, end: number, sink: FrameSink): boolean {
    const length = end - this.#bodyStart;
    const frame = Buffer.allocUnsafe(1 + remainingLengthBytes(length) + length);
    frame[0] = buffer[start];
    buffer.copy(frame, writeRemainingLength(frame, 1, length), this.#bodyStart, end);
    this.#measure(frame, 0, frame.length);
    if (buffer[start] >> 4 !== PacketType.publish)
      return this.#handOn(frame, 0, frame.length, sink);
    this.#run(frame, 0, frame.length, frame.length, sink);
    return !this.#isStopped;
  }

  /**
   * Checks first byte and remaining length of the frame at `position`.
   * @returns its end; 0 when it is unfinished (`neededBytes` is set).
   */
  #measure(buffer: Buffer, position: number, end: number): number {
    const header = buffer[position];
    const rule = HEADER_RULES[header];
    if (rule !== HEADER_ALLOWED && !(rule === HEADER_ALLOWED_IN_31 && this.#isVersion31(header))) {
      throw headerError(header);
    }
    let at = position + 1;
    let length = 0;
    let shift = 0;
    this.#isPadded = false;
    for (;;) {
      if (at >= end) return 0;
      const byte = buffer[at++];
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#isPadded = byte === 0 && shift > 0;
        break;
      }
      shift += 7;
      if (shift > 21) throw lengthTooLong();
    }
    const type = header >> 4;
    if (length !== FIXED_LENGTHS[type] && FIXED_LENGTHS[type] !== LENGTH_VARIES) {
      throw lengthError(type, length);
    }
    const frameEnd = at + length;
    if (frameEnd - position > this.maxPacketBytes) {
      throw tooLarge(frameEnd - position, this.maxPacketBytes);
    }
    if (frameEnd > end) {
      this.neededBytes = frameEnd - position;
      return 0;
    }
    this.#bodyStart = at;
    return frameEnd;
  }

  /** Whether what only 3.1 allows may be: CONNECT says its version itself, and is checked then. */
  #isVersion31(header: number): boolean {
    return this.protocolVersion === 3 || header >> 4 === PacketType.connect;
  }

  /**
   * Hands over the run that begins with the measured PUBLISH frame [start, firstEnd).
   * @returns its end; its begin when the sink has left it. `#isStopped` says whether to stop there.
   */
  #run(buffer: Buffer, start: number, firstEnd: number, end: number, sink: FrameSink): number {
    const view = this.#viewOf(buffer);
    const packetIds = this.packetIds;
    const runEndMax = Math.min(end, start + this.#runBytesMax);
    const header = buffer[start] & ~DUP;
    const hasIds = (header & QOS_MASK) !== 0;
    const bodyStart = this.#bodyStart;
    const topicStart = bodyStart + 2;
    const topicEnd = topicEndOf(buffer, bodyStart, firstEnd, hasIds ? 2 : 0);
    const lengthMin = topicEnd - bodyStart + (hasIds ? 2 : 0);
    const lengthMax = this.#lengthMax(lengthMin);
    const framesMax = firstEnd - bodyStart > lengthMax ? 1 : this.runFramesMax;
    if (hasIds) packetIds[0] = packetIdAt(buffer, topicEnd);
    let count = 1;
    let position = firstEnd;
    if (!hasIds) {
      const alike = this.#alike;
      alike.find(
        view,
        header,
        bodyStart,
        topicEnd,
        lengthMin,
        lengthMax,
        firstEnd,
        runEndMax,
        framesMax,
      );
      ({ count, end: position } = alike);
    }
    // What may not be does not throw in here: it ends the run, and is met again as the first frame
    // behind it. All is read through `view`: a second way to the same bytes costs 5 ns in
    // registers.
    while (hasIds && count < framesMax && position + 2 <= end) {
      const next = view.getUint8(position);
      if (next !== header && next !== (header | DUP)) break;
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
      if (length < lengthMin || frameEnd > runEndMax || length > lengthMax) break;
      if (!topicFieldsEqual(view, bodyStart, topicEnd, distance)) break;
      const packetId = view.getUint16(topicEnd + distance);
      if (packetId === 0) break;
      packetIds[count] = packetId;
      count++;
      position = frameEnd;
    }
    const topicLength = topicEnd - topicStart;
    this.#isStopped = !sink.onRun(buffer, start, position, topicStart, topicLength, header, count);
    return this.#isRunLeft ? start : position;
  }

  /**
   * The longest body of a frame that is joined to a run: one whose packet may be too long, or whose
   * payload is, is met again as the first of a run. @param lengthMin of one without a payload.
   */
  #lengthMax(lengthMin: number): number {
    return Math.min(lengthMin + this.payloadBytesMax, this.maxPacketBytes - FIXED_HEADER_BYTES_MAX);
  }

  /**
   * `buffer` to be read in wider words. The view made last is kept, as nearly all reads go to one
   * buffer; that holds another buffer no longer than until the next scan.
   */
  #viewOf(buffer: Buffer): DataView {
    if (this.#viewed !== buffer) {
      this.#viewed = buffer;
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    }
    return this.#view;
  }
}

/**
 * The end of the topic of a PUBLISH frame with this body. @throws ProtocolError when there is none.
 */
function topicEndOf(buffer: Buffer, bodyStart: number, end: number, idBytes: number): number {
  const topicStart = bodyStart + 2;
  if (topicStart > end) throw new ProtocolError('MQTT-3.3.2-1', 'PUBLISH without a topic');
  const topicEnd = topicStart + ((buffer[bodyStart] << 8) | buffer[bodyStart + 1]);
  if (topicEnd === topicStart) {
    throw new ProtocolError('MQTT-4.7.3-1', 'PUBLISH with an empty topic');
  }
  if (topicEnd + idBytes > end) {
    throw new ProtocolError('MQTT-3.3.2-1', 'PUBLISH ends before its topic or packet id');
  }
  return topicEnd;
}

/**
 * Whether this is the first byte of PUBACK, PUBREC, PUBREL or PUBCOMP; 3.1's PUBREL with DUP apart.
 */
function isAck(header: number): boolean {
  return header === 0x40 || header === 0x50 || header === 0x62 || header === 0x70;
}

/** How many whole PINGREQs, at most RUN_FRAMES_MAX, begin at `position`. */
function pingsInRow(buffer: Buffer, position: number, end: number): number {
  const last = Math.min(end, position + 2 * RUN_FRAMES_MAX) - 2;
  let at = position;
  while (at <= last && buffer[at] === PINGREQ_HEADER && buffer[at + 1] === 0) at += 2;
  return (at - position) >> 1;
}

/** The packet id at `position`. @throws ProtocolError when it is 0. */
function packetIdAt(buffer: Buffer, position: number): number {
  const packetId = (buffer[position] << 8) | buffer[position + 1];
  if (packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'packet id 0');
  return packetId;
}

function tooLarge(bytes: number, bytesMax: number): ProtocolError {
  return new ProtocolError(
    '2.2.3',
    `packet of ${bytes} bytes is longer than the ${bytesMax} accepted here`,
    CloseReason.packetTooLarge,
  );
}
