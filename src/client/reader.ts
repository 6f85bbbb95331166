/** The read side of one connection: bytes in, whole frames out, and a place to stop in between. */
import { FrameScan, type FrameSink } from '../protocol/frame-scan.js';
import { FrameScan5, type PublishView, Sender } from '../protocol/v5/index.js';
import type { ProtocolLevel } from './handshake.js';

/**
 * First size of the buffer of a long frame; it grows as the bytes come, not as the server promises.
 */
const UNFINISHED_BYTES_MIN = 64 * 1024;

const NO_BYTES = Buffer.alloc(0);

/** One scanner serves every client of the thread that has the same limit: it holds 128 KiB. */
const scanners = new Map<number, FrameScan>();

function scannerFor(maxPacketBytes: number): FrameScan {
  let scanner = scanners.get(maxPacketBytes);
  if (scanner === undefined) {
    scanner = new FrameScan(maxPacketBytes);
    scanners.set(maxPacketBytes, scanner);
  }
  return scanner;
}

const scanners5 = new Map<number, FrameScan5>();

function scanner5For(maxPacketBytes: number): FrameScan5 {
  let scanner = scanners5.get(maxPacketBytes);
  if (scanner === undefined) {
    scanner = new FrameScan5(maxPacketBytes, Sender.server);
    scanners5.set(maxPacketBytes, scanner);
  }
  return scanner;
}

/** Finds frames in what the socket gives. The sink may stop it, in the middle of a run too. */
export class Reader {
  /** The parts of the run that the sink is given now, in MQTT 5.0; null in 3.x. */
  readonly publish: PublishView | null;
  readonly #scan: FrameScan | FrameScan5;
  readonly #version: ProtocolLevel;
  readonly #sink: FrameSink;
  /** The beginning of a frame, [0, #unfinishedBytes). */
  #unfinished: Buffer = NO_BYTES;
  #unfinishedBytes = 0;
  /** Whole length of that frame; 0 while it is not known. */
  #neededBytes = 0;
  /** What was read behind the place where the sink stopped. */
  #backlog: Buffer = NO_BYTES;
  #stopPosition = -1;

  constructor(maxPacketBytes: number, version: ProtocolLevel, sink: FrameSink) {
    this.#scan = version === 5 ? scanner5For(maxPacketBytes) : scannerFor(maxPacketBytes);
    this.publish = this.#scan instanceof FrameScan5 ? this.#scan.publish : null;
    this.#version = version;
    this.#sink = sink;
  }

  /** Packet ids of the run that the sink is given now. */
  get packetIds(): Uint16Array {
    return this.#scan.packetIds;
  }

  /** Reason code of an ack that the sink is given now, by its place in the row; 0 in 3.x. */
  reasonCodeAt(index: number): number {
    const scan = this.#scan;
    return scan instanceof FrameScan5 && scan.hasReasonCodes ? scan.reasonCodes[index] : 0;
  }

  /** Bytes that were read and not handed to the sink. */
  get heldBytes(): number {
    return this.#unfinishedBytes + this.#backlog.length;
  }

  /**
   * Called by the sink, which returns false then: what is from `position` on is kept for `resume`.
   */
  stopAt(position: number): void {
    this.#stopPosition = position;
  }

  /**
   * Takes the first `length` bytes of `chunk`, which may be overwritten afterwards.
   * @returns false when the sink stopped: nothing more may be given before `resume` has returned
   *   true.
   * @throws ProtocolError
   */
  push(chunk: Buffer, length: number): boolean {
    let at = 0;
    while (this.#unfinishedBytes > 0 && at < length) {
      const wantedBytes = this.#neededBytes === 0 ? 1 : this.#neededBytes - this.#unfinishedBytes;
      const end = Math.min(length, at + wantedBytes);
      this.#append(chunk, at, end);
      at = end;
      if (this.#unfinishedBytes < this.#neededBytes) return true;
      const bytes = this.#unfinishedBytes;
      this.#unfinishedBytes = 0;
      const goesOn = this.#scanRange(this.#unfinished, 0, bytes);
      // One long packet does not cost its memory for ever.
      if (this.#unfinished.length > UNFINISHED_BYTES_MIN && this.#unfinishedBytes === 0) {
        this.#unfinished = NO_BYTES;
      }
      if (goesOn) continue;
      this.#backlog = Buffer.from(chunk.subarray(at, length));
      return false;
    }
    if (at === length || this.#scanRange(chunk, at, length)) return true;
    this.#backlog = Buffer.from(chunk.subarray(this.#stopPosition, length));
    return false;
  }

  /** Goes on where the sink stopped. @returns false when it stopped again. @throws ProtocolError */
  resume(): boolean {
    const backlog = this.#backlog;
    this.#backlog = NO_BYTES;
    if (this.#scanRange(backlog, 0, backlog.length)) return true;
    this.#backlog = backlog.subarray(this.#stopPosition);
    return false;
  }

  /** Scans, and keeps an unfinished frame. @returns false when the sink stopped. */
  #scanRange(buffer: Buffer, start: number, end: number): boolean {
    this.#stopPosition = -1;
    const scan = this.#scan;
    if (scan instanceof FrameScan && this.#version !== 5) scan.protocolVersion = this.#version;
    const position = scan.scan(buffer, start, end, this.#sink);
    if (this.#stopPosition >= 0) return false;
    this.#neededBytes = this.#scan.neededBytes;
    if (position === end) return true;
    if (buffer === this.#unfinished) {
      // Still its own beginning: the length has just become known, or has not yet.
      this.#unfinishedBytes = end;
      return true;
    }
    this.#append(buffer, position, end);
    return true;
  }

  /** Adds [start, end) of `source` to the unfinished frame. */
  #append(source: Buffer, start: number, end: number): void {
    const bytes = this.#unfinishedBytes + end - start;
    if (bytes > this.#unfinished.length) {
      const roomBytes = Math.min(
        Math.max(this.#neededBytes, 8),
        Math.max(UNFINISHED_BYTES_MIN, 2 * this.#unfinished.length),
      );
      const grown = Buffer.allocUnsafeSlow(Math.max(bytes, roomBytes));
      this.#unfinished.copy(grown, 0, 0, this.#unfinishedBytes);
      this.#unfinished = grown;
    }
    source.copy(this.#unfinished, this.#unfinishedBytes, start, end);
    this.#unfinishedBytes = bytes;
  }
}
