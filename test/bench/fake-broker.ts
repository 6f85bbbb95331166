/** A relay that is no broker: it can lose, double or swap messages, which a real one should not. */

import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { encodePacket5, type Properties, Sender } from '../../src/protocol/v5/index.js';

/**
 * What happens to PUBLISH number `index`, from 0: how often it is sent on, and whether it waits.
 */
export type Mischief = (index: number) => 'send' | 'lose' | 'double' | 'swap';

/** Frames in a stretch of bytes that is cut into reads anywhere. */
class FrameCutter {
  #rest = Buffer.alloc(0);

  *cut(chunk: Buffer): Generator<Buffer> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      let length = 0;
      let at = 1;
      for (; at < this.#rest.length; at++) {
        length += (this.#rest[at] & 0x7f) * 128 ** (at - 1);
        if (this.#rest[at] < 0x80) break;
      }
      const end = at + 1 + length;
      if (at >= this.#rest.length || end > this.#rest.length) return;
      yield this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
    }
  }
}

/** Answers CONNECT and SUBSCRIBE, and sends PUBLISH packets to all subscribers. */
export class FakeBroker implements AsyncDisposable {
  readonly #server: Server;
  readonly #subscribers = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #speaks5 = new Set<Socket>();
  readonly #connack5: Buffer;
  #published = 0;
  #waiting: Buffer | null = null;

  /** @param properties of its CONNACK in 5.0. */
  constructor(mischief: Mischief, properties: Properties = {}) {
    this.#connack5 = encodePacket5(
      { type: 'connack', sessionPresent: false, reasonCode: 0, properties },
      Sender.server,
    );
    this.#server = createServer({ noDelay: true }, (socket) => {
      const cutter = new FrameCutter();
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#subscribers.delete(socket));
      socket.on('data', (chunk) => {
        for (const frame of cutter.cut(chunk)) this.#onFrame(socket, frame, mischief);
      });
    });
  }

  /** Listens on a free port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  #onFrame(socket: Socket, frame: Buffer, mischief: Mischief): void {
    const type = frame[0] >> 4;
    if (type === 1) {
      // The protocol level stands behind the length and the protocol name, of six bytes.
      if (frame[8] === 5) this.#speaks5.add(socket);
      socket.write(frame[8] === 5 ? this.#connack5 : Buffer.from([0x20, 2, 0, 0]));
    }
    if (type === 8) {
      this.#subscribers.add(socket);
      const body = this.#speaks5.has(socket) ? [0, 0] : [0];
      socket.write(Buffer.from([0x90, 2 + body.length, frame[2], frame[3], ...body]));
    }
    if (type !== 3) return;
    const copy = Buffer.from(frame);
    const waiting = this.#waiting;
    this.#waiting = null;
    switch (mischief(this.#published++)) {
      case 'send':
        this.#send(copy);
        break;
      case 'double':
        this.#send(copy);
        this.#send(copy);
        break;
      case 'swap':
        this.#waiting = copy;
        break;
      case 'lose':
        break;
    }
    if (waiting !== null) this.#send(waiting);
  }

  #send(frame: Buffer): void {
    for (const subscriber of this.#subscribers) subscriber.write(frame);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
