/** Request and response over MQTT 5.0 [MQTT 5.0, 4.10]: a reply finds its request. */
import { randomBytes } from 'node:crypto';
import { CapacityError } from '../base/errors.js';
import { CLIENT_REQUESTS_MAX } from '../base/limits.js';
import { Call } from './call.js';
import type { ProtocolLevel } from './handshake.js';
import type { Message, MessageHandler, Payload } from './message.js';
import { needsVersion5, type PublishOptions } from './publish-options.js';

/** What requests need of the client. */
export interface RequesterHost {
  readonly protocolVersion: ProtocolLevel;
  /** Where replies may go, as the server has it; undefined where it says nothing. */
  readonly responseInformation: string | undefined;
  /** Milliseconds that a reply may take unless the call says otherwise. */
  readonly timeoutMs: number;
  publish(topic: string, payload: Payload, options: PublishOptions): Promise<void>;
  subscribe(filter: string, handler: MessageHandler): Promise<unknown>;
}

/** Correlation Data count in 64 bits, written in two halves. */
const UINT32_RANGE = 2 ** 32;
/** Begins the topic of replies where the server names none. */
const RESPONSE_TOPIC = 'surgemq/response';
/** Bytes of the random part of the topic: nobody else's, and not to be guessed. */
const TOPIC_RANDOM_BYTES = 12;

/** A request that waits for its reply. */
interface Pending {
  readonly call: Call;
  reply: Message | null;
}

/** The requests of one client: all replies come to one topic of its own. */
export class Requester {
  readonly #host: RequesterHost;
  /** By Correlation Data in hex. */
  readonly #pending = new Map<string, Pending>();
  #nextCorrelation = 1;
  /** The topic of replies, once it is subscribed to; and what it was made of. */
  #responseTopic: Promise<string> | null = null;
  #responseInformation: string | undefined;

  constructor(host: RequesterHost) {
    this.#host = host;
  }

  /** `Client.request`. */
  async request(topic: string, payload: Payload, options: PublishOptions): Promise<Message> {
    const { signal, timeoutMs = this.#host.timeoutMs } = options;
    signal?.throwIfAborted();
    if (this.#host.protocolVersion !== 5) {
      throw needsVersion5('requests', this.#host.protocolVersion);
    }
    if (this.#pending.size >= CLIENT_REQUESTS_MAX) {
      throw new CapacityError(`${CLIENT_REQUESTS_MAX} requests wait for their replies: await some`);
    }
    const correlationData = Buffer.alloc(8);
    const correlation = this.#nextCorrelation++;
    correlationData.writeUInt32BE(Math.floor(correlation / UINT32_RANGE), 0);
    correlationData.writeUInt32BE(correlation % UINT32_RANGE, 4);
    const key = correlationData.toString('hex');
    const pending: Pending = { call: new Call(), reply: null };
    const { call } = pending;
    const promise = call.promise();
    this.#pending.set(key, pending);
    call.limit(options, timeoutMs, `the request to '${topic}'`, () => {});
    this.#ready()
      .then((responseTopic) => {
        if (call.isSettled) return undefined;
        const properties = { ...options.properties, responseTopic, correlationData };
        return this.#host.publish(topic, payload, { ...options, properties });
      })
      .catch((error: unknown) => call.fail(error));
    try {
      await promise;
    } finally {
      this.#pending.delete(key);
    }
    return pending.reply as Message;
  }

  /** The client has ended: no reply comes any more. */
  failAll(error: Error): void {
    for (const { call } of this.#pending.values()) call.fail(error);
  }

  /** The topic of replies, subscribed to by the first request. */
  #ready(): Promise<string> {
    const { responseInformation } = this.#host;
    if (this.#responseTopic === null || responseInformation !== this.#responseInformation) {
      this.#responseInformation = responseInformation;
      const made = this.#subscribe(responseInformation ?? RESPONSE_TOPIC);
      made.catch(() => {
        // The next request tries again.
        if (this.#responseTopic === made) this.#responseTopic = null;
      });
      this.#responseTopic = made;
    }
    return this.#responseTopic;
  }

  async #subscribe(base: string): Promise<string> {
    const topic = `${base.replace(/\/$/, '')}/${randomBytes(TOPIC_RANDOM_BYTES).toString('hex')}`;
    await this.#host.subscribe(topic, (message) => this.#onReply(message));
    return topic;
  }

  /** A reply that nobody waits for, or the second one, is passed over. */
  #onReply(message: Message): void {
    const key = message.properties.correlationData?.toString('hex') ?? '';
    const pending = this.#pending.get(key);
    if (pending === undefined || pending.reply !== null) return;
    pending.reply = message;
    pending.call.succeed();
  }
}
