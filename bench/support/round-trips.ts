/** One publisher with one message in flight: how long each PUBACK takes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { BenchError } from './bench-error.js';
import type { BrokerUnderTest } from './broker-process.js';
import { FrameWriter } from './frame-writer.js';
import { type ClientPlan, monotonicNs } from './load-plan.js';
import { connectPacket, readConnack } from './packets.js';

/** A PUBACK that says no more than its packet id. */
const PUBACK_BYTES = 4;

/** A socket of its own: what is measured is the broker and not the generator's turns. */
export class RoundTrips {
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  /** Takes what comes next. */
  #onBytes: (bytes: Buffer) => void = () => {};
  #failure: (error: Error) => void = () => {};

  private constructor(socket: Socket, plan: ClientPlan) {
    this.#socket = socket;
    this.#writer = new FrameWriter(plan.publish!, 1);
    socket.on('data', (bytes: Buffer) => this.#onBytes(bytes));
    const fail = (): void => this.#failure(new BenchError(`${plan.clientId}: connection ended`));
    socket.on('error', fail).on('close', fail);
  }

  /** @throws BenchError when the broker does not let it in. */
  static async open({ host, port }: BrokerUnderTest, plan: ClientPlan): Promise<RoundTrips> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    const client = new RoundTrips(socket, plan);
    const connack = client.#answer();
    socket.write(connectPacket(plan));
    const { refusal } = readConnack(await connack, plan.version);
    if (refusal !== null) throw new BenchError(`${plan.clientId}: ${refusal}`);
    return client;
  }

  /** Messages published. */
  get sent(): number {
    return this.#writer.sent;
  }

  /** Publishes a message. @returns nanoseconds until it was acknowledged. */
  async next(): Promise<number> {
    const bytes = this.#writer.fill(1);
    const from = monotonicNs();
    const answer = this.#answer();
    this.#socket.write(this.#writer.chunk.subarray(0, bytes));
    const puback = await answer;
    const took = monotonicNs() - from;
    if (puback[0] !== 0x40 || puback.length < PUBACK_BYTES) throw new BenchError('no PUBACK');
    return took;
  }

  #answer(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#onBytes = resolve;
      this.#failure = reject;
    });
  }

  close(): void {
    this.#failure = () => {};
    this.#socket.destroy();
  }
}
