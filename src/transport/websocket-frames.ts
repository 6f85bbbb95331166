/**
 * Frames of a WebSocket client [RFC 6455, 5.2]. MQTT is a stream of bytes to which frames and
 * messages mean nothing [MQTT-6.0.0-2], so nothing is gathered: what a read has brought is laid
 * together in place, without headers and mask, and handed on, however long its frames are.
 */
import { isUtf8 } from 'node:buffer';
import { FRAME_BYTES_MAX } from '../base/limits.js';
import { unmaskDown } from './unmask.js';

/** Codes that a WebSocket is closed with [RFC 6455, 7.4.1]. */
export const CloseCode = {
  normal: 1000,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Seen in place of none. */
  none: 1005,
  invalidText: 1007,
  tooBig: 1009,
} as const;

/** Kinds of frames. */
const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const FINAL = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const CONTROL = 0x08;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
/** Longest payload of a control frame. */
const CONTROL_BYTES_MAX = 125;
const MASK_BYTES = 4;
/** Longest header: of 64-bit length, with its mask. */
const HEADER_BYTES_MAX = 14;
const UINT32 = 2 ** 32;

/** A client has sent what is no frame of a client: the connection is closed with `closeCode`. */
export class FrameFault extends Error {
  readonly closeCode: number;
  constructor(closeCode: number, message: string) {
    super(`WebSocket: ${message}`);
    this.name = 'FrameFault';
    this.closeCode = closeCode;
  }
}

/** What a client says besides data. */
export interface ControlSink {
  /** `payload` is valid during the call. */
  onPing(payload: Buffer): void;
  /** Nothing comes behind it. @param code CloseCode.none where the client names none. */
  onClose(code: number): void;
}

/** Payload of the last ping of a read: only that one is answered. Of one thread, within a call. */
const lastPing = Buffer.allocUnsafeSlow(CONTROL_BYTES_MAX);
let lastPingLength = -1;

/** One for each connection. */
export class FrameReader {
  /** Frames that the last `unframe` met: what they cost beside their data has to be charged. */
  frames = 0;
  /** Where the data end that the last `unframe` has laid together, if it failed too. */
  dataEnd = 0;
  /** Behind a close frame: whatever comes is no concern of anybody. */
  isClosed = false;
  /** What has come of a header, while it is not whole. */
  #header: Buffer | null = null;
  #headerLength = 0;
  /** Bytes of the frame at hand that have not come. */
  #left = 0;
  #opcode = 0;
  #mask = 0;
  #phase = 0;
  /** A message that is in several frames goes on. */
  #isInMessage = false;
  /** Payload of a control frame that has not come whole. */
  #control: Buffer | null = null;
  #controlLength = 0;

  /**
   * Lays the data among bytes [start, end) together from `to`, which is not behind `start`, to
   * `dataEnd`.
   * @throws FrameFault when they are no frames of a client.
   */
  unframe(buffer: Buffer, start: number, end: number, to: number, sink: ControlSink): void {
    this.frames = 0;
    this.dataEnd = to;
    let at = start;
    lastPingLength = -1;
    while (at < end && !this.isClosed) {
      if (this.#left === 0) {
        at = this.#readHeader(buffer, at, end);
        if (at < 0) break;
        this.frames++;
        if (this.#opcode >= CONTROL) this.#controlLength = 0;
      }
      const length = Math.min(this.#left, end - at);
      const isControl = this.#opcode >= CONTROL;
      const target = isControl ? at : this.dataEnd;
      unmaskDown(buffer, at, target, length, this.#mask, this.#phase);
      this.#phase = (this.#phase + length) & 3;
      this.#left -= length;
      if (isControl) this.#onControl(buffer, at, at + length, sink);
      else this.dataEnd += length;
      at += length;
    }
    if (lastPingLength >= 0) sink.onPing(lastPing.subarray(0, lastPingLength));
  }

  /** @returns where what follows it begins; -1: it is not whole, and has been kept. */
  #readHeader(buffer: Buffer, start: number, end: number): number {
    const kept = this.#headerLength;
    let header = buffer;
    let at = start;
    let has = end - start;
    if (kept > 0) {
      header = this.#header!;
      has = kept + buffer.copy(header, kept, start, Math.min(end, start + HEADER_BYTES_MAX - kept));
      at = 0;
    }
    const length = headerBytes(header, at, has);
    if (length < 0 || length > has) {
      if (has >= 2) this.#check(header, at);
      this.#keepHeader(buffer, start, end, has);
      return -1;
    }
    this.#check(header, at);
    this.#left = payloadLength(header, at);
    this.#mask = header.readInt32LE(at + length - MASK_BYTES);
    this.#phase = 0;
    this.#opcode = header[at] & OPCODE;
    if (this.#opcode < CONTROL) this.#isInMessage = (header[at] & FINAL) === 0;
    this.#headerLength = 0;
    this.#header = null;
    return start + length - kept;
  }

  #keepHeader(buffer: Buffer, start: number, end: number, has: number): void {
    if (this.#header === null) {
      this.#header = Buffer.allocUnsafe(HEADER_BYTES_MAX);
      buffer.copy(this.#header, 0, start, end);
    }
    this.#headerLength = has;
  }

  /** @throws FrameFault for what a client may not send now. The first two bytes are there. */
  #check(header: Buffer, at: number): void {
    const first = header[at];
    const length = header[at + 1] & ~MASKED;
    const opcode = first & OPCODE;
    if ((first & RESERVED) !== 0) throw violation('a reserved bit is set: no extension is agreed');
    if ((header[at + 1] & MASKED) === 0) throw violation('a frame of a client is not masked');
    if (opcode >= CONTROL) {
      if (opcode > Opcode.pong) throw violation(`frames of kind ${opcode} are unknown`);
      if ((first & FINAL) === 0) throw violation('a control frame is in parts');
      if (length > CONTROL_BYTES_MAX) throw violation('a control frame is too long');
      return;
    }
    if (opcode === Opcode.text) {
      throw new FrameFault(CloseCode.unsupportedData, 'a text frame is no MQTT [MQTT-6.0.0-1]');
    }
    if (opcode > Opcode.binary) throw violation(`frames of kind ${opcode} are unknown`);
    if (this.#isInMessage !== (opcode === Opcode.continuation)) {
      throw violation('a message begins in another one, or goes on without having begun');
    }
  }

  /** Bytes [start, end) of a control frame's payload have come. */
  #onControl(buffer: Buffer, start: number, end: number, sink: ControlSink): void {
    const isWhole = this.#left === 0;
    let payload = buffer;
    let from = start;
    let to = end;
    if (!isWhole || this.#control !== null) {
      payload = this.#control ??= Buffer.allocUnsafe(CONTROL_BYTES_MAX);
      from = 0;
      to = this.#controlLength + buffer.copy(payload, this.#controlLength, start, end);
      this.#controlLength = to;
      if (!isWhole) return;
      this.#control = null;
    }
    if (this.#opcode === Opcode.ping) {
      // Data may be moved to where it lies.
      lastPingLength = payload.copy(lastPing, 0, from, to);
    } else if (this.#opcode === Opcode.close) {
      this.isClosed = true;
      sink.onClose(closeCodeOf(payload.subarray(from, to)));
    }
  }
}

/** Bytes of a header of which `has` are there; -1: even that is not known. */
function headerBytes(header: Buffer, at: number, has: number): number {
  if (has < 2) return -1;
  const length = header[at + 1] & ~MASKED;
  return 2 + MASK_BYTES + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0);
}

function payloadLength(header: Buffer, at: number): number {
  const short = header[at + 1] & ~MASKED;
  if (short < LENGTH_16) return short;
  if (short === LENGTH_16) {
    const length = header.readUInt16BE(at + 2);
    if (length < LENGTH_16) throw violation('a length is longer than it needs to be');
    return length;
  }
  const length = header.readUInt32BE(at + 2) * UINT32 + header.readUInt32BE(at + 6);
  if (length < 1 << 16) throw violation('a length is longer than it needs to be');
  if (length > FRAME_BYTES_MAX) {
    throw new FrameFault(CloseCode.tooBig, 'a frame is longer than any MQTT packet');
  }
  return length;
}

/** @throws FrameFault for a close frame that is none [RFC 6455, 5.5.1, 7.4]. */
function closeCodeOf(payload: Buffer): number {
  if (payload.length === 0) return CloseCode.none;
  if (payload.length === 1) throw violation('half a close code');
  const code = payload.readUInt16BE(0);
  const isDefined =
    (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || code >= 3000;
  if (!isDefined || code > 4999) throw violation(`${code} is no close code`);
  if (!isUtf8(payload.subarray(2))) {
    throw new FrameFault(CloseCode.invalidText, 'the reason of a close frame is no UTF-8');
  }
  return code;
}

function violation(message: string): FrameFault {
  return new FrameFault(CloseCode.protocolError, message);
}

/** Longest header of a frame that is sent. */
export const SENT_HEADER_BYTES_MAX = 10;

/**
 * Writes the header of a whole frame with data of `length` bytes, unmasked as a server's are.
 * @returns its end.
 */
export function writeDataHeader(buffer: Buffer, at: number, length: number): number {
  return writeHeader(buffer, at, Opcode.binary, length);
}

function writeHeader(buffer: Buffer, at: number, opcode: number, length: number): number {
  buffer[at] = FINAL | opcode;
  if (length < LENGTH_16) {
    buffer[at + 1] = length;
    return at + 2;
  }
  if (length < 1 << 16) {
    buffer[at + 1] = LENGTH_16;
    return buffer.writeUInt16BE(length, at + 2);
  }
  buffer[at + 1] = LENGTH_64;
  buffer.writeUInt32BE(Math.floor(length / UINT32), at + 2);
  return buffer.writeUInt32BE(length >>> 0, at + 6);
}

/** The answer to a ping. */
export function pongFrame(payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(2 + payload.length);
  payload.copy(frame, writeHeader(frame, 0, Opcode.pong, payload.length));
  return frame;
}

/** A close frame; CloseCode.none names no code. */
export function closeFrame(code: number): Buffer {
  const length = code === CloseCode.none ? 0 : 2;
  const frame = Buffer.allocUnsafe(2 + length);
  const end = writeHeader(frame, 0, Opcode.close, length);
  if (length > 0) frame.writeUInt16BE(code, end);
  return frame;
}
