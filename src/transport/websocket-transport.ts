/**
 * MQTT over WebSocket, on whatever transport lies beneath: the request that it begins with, then
 * frames. What is read is taken out of its frames where it lies; what is written is one frame for
 * each write, its header before it.
 */
import { CloseReason } from '../base/errors.js';
import {
  WEBSOCKET_COPY_BYTES_MAX,
  WEBSOCKET_REQUEST_BYTES_MAX,
  WEBSOCKET_REQUESTS_TOTAL_BYTES,
} from '../base/limits.js';
import type { WebSocketConfig } from '../base/listener-config.js';
import type { Peer, Transport, TransportOwner } from './transport.js';
import {
  CloseCode,
  type ControlSink,
  closeFrame,
  FrameFault,
  FrameReader,
  pongFrame,
  SENT_HEADER_BYTES_MAX,
  writeDataHeader,
} from './websocket-frames.js';
import {
  answerUpgrade,
  notHttp,
  requestEnd,
  requestTooLarge,
  tooManyRequests,
  type UpgradeAnswer,
} from './websocket-request.js';

/** Units of work (TurnShare): an answer to a ping, and frames beside their data. */
const PONG_WORK = 1;
const FRAMES_PER_WORK = 16;
/** Reads in the place of one: what is left of its length is a hundredth each time. */
const LOOKS_MAX = 4;
const NO_BYTES = Buffer.alloc(0);
/** Frames are laid here for one write: of one thread, used within a call. */
const sending = Buffer.allocUnsafeSlow(SENT_HEADER_BYTES_MAX + WEBSOCKET_COPY_BYTES_MAX);

/** Bytes of requests of this thread that have come in part. */
let requestsBytes = 0;

export class WebSocketTransport implements Transport, TransportOwner, ControlSink {
  owner: TransportOwner | null = null;
  readonly #lower: Transport;
  readonly #readBuffer: Buffer;
  readonly #config: WebSocketConfig;
  readonly #frames = new FrameReader();
  /** What has come of the request; null when it is answered. */
  #request: Buffer | null = NO_BYTES;
  #isOpen = false;
  /** What is said when it is closed. */
  #closeCode: number = CloseCode.normal;
  /** Bytes of a frame whose header is sent, and that are still to be handed to `write`. */
  #owed = 0;
  /** What the system has not taken of that header. */
  #headerRest: Buffer = NO_BYTES;
  /** Writes that are not done. */
  #unwritten = 0;
  /** The last ping that waits for the pong before it to be taken: older ones need no answer. */
  #waitingPong: Buffer | null = null;
  #isPongUnwritten = false;
  /** Says how the client has ended it, once all that came before is handled; null: it has not. */
  #ending: ((owner: TransportOwner) => void) | null = null;
  #isEnded = false;
  /** Its owner reads no more for now, and may have kept what it has read. */
  #isPaused = false;
  /** It has got an answer that is not 101. */
  #isRefused = false;

  /** @param readBuffer where the lower transport's reads lie. */
  constructor(lower: Transport, readBuffer: Buffer, config: WebSocketConfig) {
    this.#lower = lower;
    this.#readBuffer = readBuffer;
    this.#config = config;
    lower.owner = this;
  }

  get peer(): Peer {
    return this.#lower.peer;
  }

  get isDestroyed(): boolean {
    return this.#lower.isDestroyed;
  }

  get hasLeft(): boolean {
    return this.#lower.hasLeft;
  }

  get waitingBytes(): number {
    return this.#lower.waitingBytes;
  }

  // ---- from below ------------------------------------------------------------------------------

  onRead(length: number): boolean {
    if (this.#request !== null) return this.#onRequest(this.#request, length);
    return this.#onFrames(0, length);
  }

  onEnd(): void {
    this.owner?.onEnd();
  }

  onTransportClosed(reason?: CloseReason): void {
    this.#keepRequest(null);
    this.owner?.onTransportClosed(reason);
  }

  charge(work: number): boolean {
    return this.owner?.charge(work) ?? false;
  }

  onFault(reason: CloseReason, detail: string): void {
    this.owner?.onFault(reason, detail);
  }

  /** A ping is answered, of many that come faster than their answers go the last [5.5.3]. */
  onPing(payload: Buffer): void {
    if (!this.#isOpen) return;
    this.charge(PONG_WORK);
    if (this.#isPongUnwritten) this.#waitingPong = Buffer.from(payload);
    else this.#sendPong(payload);
  }

  onClose(code: number): void {
    this.#closeCode = code;
    this.#ending = (owner) => owner.onEnd();
  }

  /** The request grows until it is whole, or too long. */
  #onRequest(before: Buffer, length: number): boolean {
    const request = Buffer.concat([before, this.#readBuffer.subarray(0, length)]);
    const end = requestEnd(request, before.length);
    if (end < 0 && request.length <= WEBSOCKET_REQUEST_BYTES_MAX) {
      this.#keepRequest(request);
      const areTooMany = requestsBytes > WEBSOCKET_REQUESTS_TOTAL_BYTES;
      const answer = areTooMany ? tooManyRequests() : notHttp(request[0]);
      if (answer !== null) this.#answer(answer);
      return true;
    }
    const isTooLong = end < 0 || end > WEBSOCKET_REQUEST_BYTES_MAX;
    this.#answer(
      isTooLong
        ? requestTooLarge()
        : answerUpgrade(request.toString('latin1', 0, end), this.#config),
    );
    const start = end - before.length;
    return this.#isOpen && start < length ? this.#onFrames(start, length) : true;
  }

  /** What has come of the request; null: it needs to be kept no more. */
  #keepRequest(request: Buffer | null): void {
    requestsBytes += (request?.length ?? 0) - (this.#request?.length ?? 0);
    this.#request = request;
  }

  #answer({ response, refusal }: UpgradeAnswer): void {
    this.#keepRequest(null);
    this.#isOpen = refusal === null;
    this.#writeBelow(Buffer.from(response, 'latin1'));
    if (refusal === null) return;
    this.#isRefused = true;
    this.owner?.onFault(CloseReason.handshakeFailed, `WebSocket: ${refusal}`);
  }

  /** Frames lie at [start, end) of what was read. */
  #onFrames(start: number, end: number): boolean {
    const { owner } = this;
    if (owner === null || this.#isRefused) return true;
    const isSpent = this.#unframe(this.#readBuffer, start, end, 0);
    const length = this.#frames.dataEnd;
    // Without data too it has to get in line with others.
    if ((length > 0 || isSpent) && !owner.onRead(length)) this.#isPaused = true;
    this.#endWhenHandled();
    return !this.#isPaused;
  }

  /** @returns whether its owner's share of the turn is used up. */
  #unframe(buffer: Buffer, start: number, end: number, to: number): boolean {
    const frames = this.#frames;
    if (this.#ending !== null) {
      frames.dataEnd = to;
      return false;
    }
    try {
      frames.unframe(buffer, start, end, to, this);
    } catch (error) {
      if (!(error instanceof FrameFault)) throw error;
      const { closeCode, message } = error;
      this.#closeCode = closeCode;
      this.#ending = (owner) => owner.onFault(reasonOf(closeCode), message);
    }
    return frames.frames >= FRAMES_PER_WORK && this.charge(frames.frames / FRAMES_PER_WORK);
  }

  /** Its client has closed, or failed: said once its owner has handled all that came before. */
  #endWhenHandled(): void {
    if (this.#ending === null || this.#isPaused || this.#isEnded) return;
    this.#isEnded = true;
    this.#ending(this.owner!);
  }

  #sendPong(payload: Buffer): void {
    const frame = pongFrame(payload);
    const taken = this.#unwritten > 0 ? 0 : this.#lower.writeNow(frame, 0, frame.length);
    if (taken === frame.length) return;
    this.#isPongUnwritten = true;
    this.#unwritten++;
    this.#lower.write(frame.subarray(taken), () => {
      this.#unwritten--;
      this.#isPongUnwritten = false;
      const waiting = this.#waitingPong;
      this.#waitingPong = null;
      if (waiting !== null && this.#isOpen) this.#sendPong(waiting);
    });
  }

  #sayClose(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#owed === 0) this.#writeBelow(closeFrame(this.#closeCode));
  }

  /** Writes bytes of its own, behind all that was written before. */
  #writeBelow(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const taken = this.#unwritten > 0 ? 0 : this.#lower.writeNow(bytes, 0, bytes.length);
    if (taken === bytes.length) return;
    this.#unwritten++;
    this.#lower.write(taken === 0 ? bytes : bytes.subarray(taken), () => {
      this.#unwritten--;
    });
  }

  /** The system has not even taken the header of a frame. @returns bytes of data taken. */
  #oweFrame(taken: number, headerEnd: number, length: number): number {
    // If nothing of it is sent there is no frame yet.
    if (taken === 0) return 0;
    this.#headerRest = Buffer.from(sending.subarray(taken, headerEnd));
    this.#owed = length;
    return 0;
  }

  // ---- from above ------------------------------------------------------------------------------

  writeNow(buffer: Buffer, start: number, end: number): number {
    if (!this.#isOpen || this.#unwritten > 0 || end === start) return 0;
    const length = end - start;
    const headerEnd = writeDataHeader(sending, 0, length);
    if (length > WEBSOCKET_COPY_BYTES_MAX) {
      const taken = this.#lower.writeNow(sending, 0, headerEnd);
      if (taken < headerEnd) return this.#oweFrame(taken, headerEnd, length);
      const written = this.#lower.writeNow(buffer, start, end);
      this.#owed = length - written;
      return written;
    }
    buffer.copy(sending, headerEnd, start, end);
    const taken = this.#lower.writeNow(sending, 0, headerEnd + length);
    if (taken < headerEnd) return this.#oweFrame(taken, headerEnd, length);
    this.#owed = headerEnd + length - taken;
    return taken - headerEnd;
  }

  write(bytes: Buffer, onWritten: () => void): void {
    if (!this.#isOpen) return;
    this.#writeBelow(this.#headerRest);
    this.#headerRest = NO_BYTES;
    const owed = Math.min(this.#owed, bytes.length);
    this.#owed -= owed;
    let rest = bytes;
    if (owed < bytes.length) {
      this.#writeBelow(bytes.subarray(0, owed));
      const header = Buffer.allocUnsafe(SENT_HEADER_BYTES_MAX);
      this.#writeBelow(header.subarray(0, writeDataHeader(header, 0, bytes.length - owed)));
      rest = bytes.subarray(owed);
    }
    this.#unwritten++;
    this.#lower.write(rest, () => {
      this.#unwritten--;
      onWritten();
    });
  }

  get isPolledOnly(): boolean {
    return this.#lower.isPolledOnly;
  }

  readNow(buffer: Buffer, at: number, length: number): number {
    if (this.#request !== null || this.#isRefused) return 0;
    if (this.#ending !== null) {
      // Whoever reads past the event loop has handled what came before.
      this.#isPaused = false;
      this.#endWhenHandled();
      return -1;
    }
    let dataEnd = at;
    // What headers have taken is room for more: fewer bytes than asked for mean that none are left.
    for (let looks = 0; looks < LOOKS_MAX && dataEnd < at + length; looks++) {
      const wanted = at + length - dataEnd;
      const read = this.#lower.readNow(buffer, dataEnd, wanted);
      if (read < 0) return dataEnd > at ? dataEnd - at : -1;
      if (read === 0) break;
      const isSpent = this.#unframe(buffer, dataEnd, dataEnd + read, dataEnd);
      dataEnd = this.#frames.dataEnd;
      if (isSpent || read < wanted || this.#ending !== null) break;
    }
    return dataEnd - at;
  }

  pause(): void {
    this.#isPaused = true;
    this.#lower.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#lower.resume();
    // Not now: what was kept meanwhile is handled behind this.
    if (this.#ending !== null) queueMicrotask(() => this.#endWhenHandled());
  }

  probeAfter(seconds: number): void {
    this.#lower.probeAfter(seconds);
  }

  end(): void {
    this.#sayClose();
    this.#lower.end();
  }

  destroy(): void {
    // Who has closed is owed an answer; others are told nothing, as something waits for them.
    if (this.#frames.isClosed) this.#sayClose();
    this.#lower.destroy();
  }
}

function reasonOf(closeCode: number): CloseReason {
  return closeCode === CloseCode.tooBig ? CloseReason.packetTooLarge : CloseReason.malformedPacket;
}
