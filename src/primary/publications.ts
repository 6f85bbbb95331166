/** Publications by the program that embeds the server: checked here, published by a shard. */
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

interface Unconfirmed {
  readonly shardIndex: number;
  readonly settle: (error: Error | null) => void;
}

/** Publications given to a shard and not confirmed by it. */
export class Publications {
  readonly #unconfirmed = new Map<number, Unconfirmed>();
  #nextId = 0;

  /**
   * Remembers a publication until `confirm` or `shardDied`.
   * @param send posts it to the shard under its number; false if the shard is down.
   * @returns a promise that rejects with a ServerError when it was not published.
   */
  add(shardIndex: number, send: (id: number) => boolean): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null): void => (error === null ? resolve() : reject(error));
      this.#unconfirmed.set(id, { shardIndex, settle });
      if (send(id)) return;
      this.#unconfirmed.delete(id);
      reject(new ServerError(ServerErrorCode.notPublished, 'no shard is running'));
    });
  }

  /** The shard has published it, or could not: `error` says why. */
  confirm(id: number, error: string | undefined): void {
    const unconfirmed = this.#unconfirmed.get(id);
    this.#unconfirmed.delete(id);
    unconfirmed?.settle(
      error === undefined ? null : new ServerError(ServerErrorCode.notPublished, error),
    );
  }

  /** What the shard had not confirmed will not be: it may have been published or not. */
  shardDied(shardIndex: number): void {
    for (const [id, unconfirmed] of this.#unconfirmed) {
      if (unconfirmed.shardIndex !== shardIndex) continue;
      this.confirm(id, `shard ${shardIndex} ended before it confirmed the publication`);
    }
  }
}
