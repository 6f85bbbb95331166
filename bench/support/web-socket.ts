/**
 * WebSocket as a client of the load speaks it, by hand: a library's event and buffer for each frame
 * would be measured along with the broker. Bytes of all frames are one stream.
 */
import { randomBytes } from 'node:crypto';

const HEAD_END = '\r\n\r\n';
/** More than this before the end of the response's head is no response. */
const HEAD_CHARACTERS_MAX = 8_192;
/** Opcodes [RFC 6455, 5.2], and FIN. */
const BINARY = 0x82;
const PONG = 0x8a;
const Opcode = { close: 8, ping: 9 } as const;
const CONTROL = 0x08;
const MASKED = 0x80;
/** Payload lengths that say how many bytes of length follow. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const WORD_BYTES = 4;
/** Not 0, with which servers would spare themselves the work. */
const MASK = Buffer.from([0x5a, 0x3c, 0xc3, 0xa5]);
const MASK_WORD = new Uint32Array(MASK.buffer.slice(MASK.byteOffset, MASK.byteOffset + 4))[0];

/** Length of a frame's head, given its first two bytes. */
function headBytes(second: number): number {
  const length = second & 0x7f;
  return length === LENGTH_64 ? 10 : length === LENGTH_16 ? 4 : 2;
}

/** A frame of a client, masked as it has to be [RFC 6455, 5.3]. */
export function maskedFrame(first: number, bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  const lengthBytes = length < LENGTH_16 ? 0 : length <= 0xff_ff ? 2 : 8;
  const headLength = 2 + lengthBytes + MASK.length;
  // In front of it, so that the payload is aligned.
  const padding = -headLength & (WORD_BYTES - 1);
  const whole = Buffer.allocUnsafeSlow(padding + headLength + length);
  const frame = whole.subarray(padding);
  frame[0] = first;
  frame[1] = MASKED | (lengthBytes === 0 ? length : lengthBytes === 2 ? LENGTH_16 : LENGTH_64);
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2);
  if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  MASK.copy(frame, 2 + lengthBytes);
  bytes.copy(frame, headLength, start, end);
  const words = new Uint32Array(whole.buffer, padding + headLength, length >> 2);
  for (let at = 0; at < words.length; at++) words[at] ^= MASK_WORD;
  for (let at = words.length * WORD_BYTES; at < length; at++)
    frame[headLength + at] ^= MASK[at & 3];
  return frame;
}

/** One connection's frames. */
export class WebSocketFrames {
  readonly #sendPong: (frame: Buffer) => void;
  #response = '';
  #isUpgraded = false;
  /** The head of a frame, as far as it has come. */
  readonly #head: number[] = [];
  /** Bytes of the frame's payload that are still to come. */
  #left = 0;
  /** Payload of a control frame. */
  #control: number[] | null = null;

  /** @param sendPong sends the answer to a ping. */
  constructor(sendPong: (frame: Buffer) => void) {
    this.#sendPong = sendPong;
  }

  /** The server has agreed. */
  get isUpgraded(): boolean {
    return this.#isUpgraded;
  }

  /** What asks for WebSocket. */
  request(host: string, port: number): Buffer {
    const key = randomBytes(16).toString('base64');
    const lines = [
      'GET /mqtt HTTP/1.1',
      `Host: ${host}:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Protocol: mqtt',
    ];
    return Buffer.from(lines.join('\r\n') + HEAD_END);
  }

  /** Bytes in a frame of their own. */
  wrap(bytes: Buffer, start: number, end: number): Buffer {
    return maskedFrame(BINARY, bytes, start, end);
  }

  /**
   * Moves the payload in the first `length` bytes of `buffer` to its start.
   * @returns how many bytes it has. @throws Error when the server refuses, closes or is wrong.
   */
  unwrap(buffer: Buffer, length: number): number {
    let at = this.#isUpgraded ? 0 : this.#readResponse(buffer, length);
    let out = 0;
    while (at < length) {
      if (this.#left === 0) {
        at = this.#readHead(buffer, at, length);
        continue;
      }
      const end = Math.min(length, at + this.#left);
      if (this.#control !== null) this.#control.push(...buffer.subarray(at, end));
      else {
        if (out !== at) buffer.copyWithin(out, at, end);
        out += end - at;
      }
      this.#left -= end - at;
      at = end;
      if (this.#left === 0) this.#endFrame();
    }
    return out;
  }

  #readResponse(buffer: Buffer, length: number): number {
    const before = this.#response.length;
    this.#response += buffer.toString('latin1', 0, length);
    const end = this.#response.indexOf(HEAD_END);
    if (end < 0 && this.#response.length < HEAD_CHARACTERS_MAX) return length;
    const [status] = this.#response.split('\r\n', 1);
    if (!/^HTTP\/1\.1 101 /.test(status)) {
      throw new Error(`the broker does not speak WebSocket at /mqtt: ${status.slice(0, 80)}`);
    }
    this.#isUpgraded = true;
    this.#response = '';
    return end + HEAD_END.length - before;
  }

  #readHead(buffer: Buffer, start: number, length: number): number {
    const head = this.#head;
    let at = start;
    while (at < length && (head.length < 2 || head.length < headBytes(head[1]))) {
      head.push(buffer[at++]);
    }
    if (head.length < 2 || head.length < headBytes(head[1])) return at;
    if ((head[1] & MASKED) !== 0) throw new Error('the broker sent a frame that is masked');
    this.#left =
      head.length === 2 ? head[1] : head.slice(2).reduce((sum, byte) => sum * 256 + byte, 0);
    this.#control = (head[0] & CONTROL) === 0 ? null : [];
    if (this.#left === 0) this.#endFrame();
    return at;
  }

  #endFrame(): void {
    const opcode = this.#head[0] & 0x0f;
    const control = this.#control;
    this.#head.length = 0;
    this.#control = null;
    if (control === null) return;
    if (opcode === Opcode.close) {
      throw new Error(`the broker closed the WebSocket, code ${control[0] * 256 + control[1]}`);
    }
    if (opcode !== Opcode.ping) return;
    const payload = Buffer.from(control);
    this.#sendPong(maskedFrame(PONG, payload, 0, payload.length));
  }
}
