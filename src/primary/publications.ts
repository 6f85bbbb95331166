/** Publications by the program that embeds the server: checked here, published by a shard. */
import {
  PROGRAM_BYTES_AHEAD,
  PROGRAM_BYTES_WAITING_MAX,
  PROGRAM_MESSAGE_COST_BYTES,
} from '../base/limits.js';
import type { InjectedMessage } from '../shard/control.js';
import { isValidTopicName, toTopicKey } from '../topics/topic.js';
import { ServerError, ServerErrorCode } from './server-error.js';

/** An Application Message to publish. */
export interface ServerMessage {
  /** Topic Name: no wildcards. */
  readonly topic: string;
  readonly payload?: string | Uint8Array;
  /** Default 0. Subscribers get at most what they were granted. */
  readonly qos?: 0 | 1 | 2;
  /** Default false. An empty payload clears the topic's retained message. */
  readonly retain?: boolean;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
/** Fixed header at its longest, and the topic's length bytes. */
const PUBLISH_HEADER_BYTES = 5 + 2;
const PACKET_ID_BYTES = 2;

/**
 * Checks a message and copies its payload, which the caller may then change.
 * @param maxPacketBytes the largest packet that clients may send: it binds this program too.
 * @throws TypeError or RangeError that says what is wrong with the message.
 */
export function checkMessage(message: ServerMessage, maxPacketBytes: number): InjectedMessage {
  const { topic, payload = '', qos = 0, retain = false } = message;
  if (typeof topic !== 'string' || LONE_SURROGATE.test(topic)) {
    throw new TypeError('the topic must be a string of Unicode characters');
  }
  const topicKey = toTopicKey(topic);
  if (!isValidTopicName(topicKey)) {
    throw new TypeError(`"${topic}" cannot be published to: it is no Topic Name`);
  }
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new RangeError('qos must be 0, 1 or 2');
  if (typeof retain !== 'boolean') throw new TypeError('retain must be true or false');
  if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
    throw new TypeError('the payload must be a string or a Uint8Array');
  }
  // Copied even if it is bytes: a clone of a view would take its whole buffer, such as Node's
  // shared pool.
  const bytes =
    typeof payload === 'string' ? new TextEncoder().encode(payload) : new Uint8Array(payload);
  const packetBytes =
    PUBLISH_HEADER_BYTES + topicKey.length + (qos > 0 ? PACKET_ID_BYTES : 0) + bytes.length;
  if (packetBytes > maxPacketBytes) {
    throw new RangeError(`the message is larger than maxPacketBytes (${maxPacketBytes}) allows`);
  }
  return { topic, payload: bytes, qos, retain };
}

interface Publication {
  readonly bytes: number;
  readonly settle: (error: ServerError | null) => void;
}

interface Waiting extends Publication {
  readonly message: InjectedMessage;
}

interface Unconfirmed extends Publication {
  readonly shardIndex: number;
}

/** Posts a message to a live shard under its number. @returns which; -1: none is live. */
type Send = (id: number, message: InjectedMessage) => number;

/**
 * Publications that no shard has confirmed. Of them PROGRAM_BYTES_AHEAD are with a shard: whatever
 * keeps that from publishing them keeps the others here, in their order.
 */
export class Publications {
  readonly #post: Send;
  readonly #unconfirmed = new Map<number, Unconfirmed>();
  readonly #waiting = new Map<number, Waiting>();
  #aheadBytes = 0;
  #waitingBytes = 0;
  #nextId = 0;

  constructor(post: Send) {
    this.#post = post;
  }

  /**
   * Has a shard publish a message, behind those that were added before.
   * @returns a promise that rejects with a ServerError when it was not published.
   */
  add(message: InjectedMessage): Promise<void> {
    const id = this.#nextId++;
    const bytes = PROGRAM_MESSAGE_COST_BYTES + message.topic.length + message.payload.length;
    return new Promise((resolve, reject) => {
      const settle = (error: ServerError | null): void => {
        if (error === null) resolve();
        else reject(error);
      };
      const waiting = { bytes, settle, message };
      if (this.#waiting.size === 0 && this.#aheadBytes < PROGRAM_BYTES_AHEAD) {
        this.#send(id, waiting);
      } else if (this.#waitingBytes + bytes > PROGRAM_BYTES_WAITING_MAX) {
        settle(notPublished('as much waits to be published as may: await what publish returns'));
      } else {
        this.#waiting.set(id, waiting);
        this.#waitingBytes += bytes;
      }
    });
  }

  /** The shard has published it, or could not: `error` says why. */
  confirm(id: number, error: string | undefined): void {
    this.#settle(id, error);
    this.#sendWaiting(PROGRAM_BYTES_AHEAD);
  }

  /** What the shard had not confirmed will not be: it may have been published or not. */
  shardDied(shardIndex: number): void {
    for (const [id, unconfirmed] of this.#unconfirmed) {
      if (unconfirmed.shardIndex !== shardIndex) continue;
      this.#settle(id, `shard ${shardIndex} ended before it confirmed the publication`);
    }
    this.#sendWaiting(PROGRAM_BYTES_AHEAD);
  }

  /** The server closes: whatever waits is sent, before the shards are told. */
  sendAll(): void {
    this.#sendWaiting(Number.POSITIVE_INFINITY);
  }

  #settle(id: number, error: string | undefined): void {
    const unconfirmed = this.#unconfirmed.get(id);
    if (unconfirmed === undefined) return;
    this.#unconfirmed.delete(id);
    this.#aheadBytes -= unconfirmed.bytes;
    unconfirmed.settle(error === undefined ? null : notPublished(error));
  }

  #sendWaiting(bytesAhead: number): void {
    for (const [id, waiting] of this.#waiting) {
      if (this.#aheadBytes >= bytesAhead) return;
      this.#waiting.delete(id);
      this.#waitingBytes -= waiting.bytes;
      this.#send(id, waiting);
    }
  }

  #send(id: number, { bytes, settle, message }: Waiting): void {
    const shardIndex = this.#post(id, message);
    if (shardIndex < 0) {
      settle(notPublished('no shard is running'));
      return;
    }
    this.#unconfirmed.set(id, { shardIndex, bytes, settle });
    this.#aheadBytes += bytes;
  }
}

function notPublished(why: string): ServerError {
  return new ServerError(ServerErrorCode.notPublished, why);
}
