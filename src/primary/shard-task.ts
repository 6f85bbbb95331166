/**
 * One shard from its start to its end: its task in the pool and the primary's end of its channel.
 */
import { MessageChannel, receiveMessageOnPort, type Transferable } from 'node:worker_threads';
import type { ShardStart, ToPrimary, ToShard } from '../shard/control.js';
import type { ShardPool } from './shard-pool.js';

/** Who runs the task. Called from event handlers: they must not throw. */
export interface ShardTaskOwner {
  onMessage(task: ShardTask, message: ToPrimary): void;
  /**
   * The task is over, and everything it said has been delivered. `cause` is null when it ended by
   * itself and without a fault. Its thread may still be on its way out.
   */
  onEnd(task: ShardTask, cause: Error | null): void;
}

export class ShardTask {
  readonly shardIndex: number;
  readonly #owner: ShardTaskOwner;
  readonly #channel = new MessageChannel();
  readonly #abort = new AbortController();
  readonly #startTimeoutMs: number;
  #startTimer: NodeJS.Timeout;
  /** Said in this turn of the event loop, not yet posted. */
  #outgoing: ToShard[] = [];
  #hasEnded = false;

  /**
   * Starts the shard in a thread of the pool.
   * @param startTimeoutMs the thread is ended if the shard has not said `ready` by then, nor for so
   *   long that it has loaded more.
   */
  constructor(
    owner: ShardTaskOwner,
    pool: ShardPool,
    start: Omit<ShardStart, 'port'>,
    startTimeoutMs: number,
  ) {
    this.shardIndex = start.shardIndex;
    this.#owner = owner;
    const { port1, port2 } = this.#channel;
    port1.on('message', (message: ToPrimary) => this.#deliver(message));
    this.#startTimeoutMs = startTimeoutMs;
    this.#startTimer = this.#waitForStart();
    pool.run({ ...start, port: port2 }, this.#abort.signal).then(
      () => this.#end(null),
      (error: unknown) => this.#end(this.#causeOf(error)),
    );
  }

  /**
   * Sends a message; it is lost if the shard has ended. All that one turn of the event loop says to
   * a shard goes in one piece: in a storm of connections, posting each would cost more than half.
   */
  post(message: ToShard, transfer?: readonly Transferable[]): void {
    if (this.#hasEnded) return;
    this.#outgoing.push(message);
    if (transfer !== undefined) this.#flush(transfer);
    else if (this.#outgoing.length === 1) setImmediate(() => this.#flush());
  }

  #flush(transfer?: readonly Transferable[]): void {
    if (this.#hasEnded || this.#outgoing.length === 0) return;
    const messages = this.#outgoing;
    this.#outgoing = [];
    this.#channel.port1.postMessage(messages, transfer);
  }

  #waitForStart(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#abort.abort(new Error(`it was not ready within ${this.#startTimeoutMs} ms`));
    }, this.#startTimeoutMs);
  }

  #deliver(message: ToPrimary): void {
    if (message.kind === 'ready' || message.kind === 'loaded') clearTimeout(this.#startTimer);
    if (message.kind === 'loaded') this.#startTimer = this.#waitForStart();
    this.#owner.onMessage(this, message);
  }

  /**
   * What the shard said before its end counts: a publication it confirmed, and the log line that
   * says why.
   */
  #end(cause: Error | null): void {
    clearTimeout(this.#startTimer);
    const { port1 } = this.#channel;
    port1.removeAllListeners('message');
    for (;;) {
      const last = receiveMessageOnPort(port1);
      if (last === undefined) break;
      this.#owner.onMessage(this, last.message as ToPrimary);
    }
    this.#hasEnded = true;
    port1.close();
    this.#owner.onEnd(this, cause);
  }

  #causeOf(error: unknown): Error {
    // The pool says of an ended thread only that it was ended; why stands in the signal.
    if (this.#abort.signal.aborted) return this.#abort.signal.reason as Error;
    return error instanceof Error ? error : new Error(String(error));
  }
}
