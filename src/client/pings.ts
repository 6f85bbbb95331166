/** PINGREQs that wait for their PINGRESP, in order: of keep alive, and of the client's user. */
import { PINGREQ } from '../protocol/ack-frame.js';
import type { Call } from './call.js';
import { Fifo } from './fifo.js';
import type { Writer } from './writer.js';

/** Of one connection. */
export class Pings {
  /** Calls of the client's user that wait. */
  calls = 0;
  readonly #writer: Writer;
  /** Null for keep alive. */
  readonly #waiting = new Fifo<Call | null>();

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  /** Sends PINGREQ. @param call succeeds with the PINGRESP, fails with the connection. */
  send(call: Call | null): void {
    if (call !== null) this.calls++;
    this.#waiting.push(call);
    this.#writer.writeFrame(PINGREQ);
  }

  /** PINGRESP. */
  answered(): void {
    const call = this.#waiting.shift() ?? null;
    if (call === null) return;
    this.calls--;
    call.succeed();
  }

  /** The connection is gone. */
  failAll(error: Error): void {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      call?.fail(error);
    }
  }
}
