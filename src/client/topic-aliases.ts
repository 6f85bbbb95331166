/** Topic aliases that a server gives to topics, for as long as a connection lasts [3.3.2.3.4]. */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { ReasonCode } from '../protocol/v5/index.js';

/** The topics of one connection by their aliases. */
export class IncomingAliases {
  readonly #maximum: number;
  readonly #topics = new Map<number, Buffer>();

  /** @param maximum the Topic Alias Maximum that the server was told: it bounds the memory. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /**
   * Notes what an alias stands for from now on, the topic [start, start + length) of `buffer`.
   * @throws ProtocolError for an alias beyond the maximum [MQTT-3.1.2-26].
   */
  remember(alias: number, buffer: Buffer, start: number, length: number): void {
    const known = this.#topics.get(alias);
    const end = start + length;
    if (known?.length === length && buffer.compare(known, 0, length, start, end) === 0) return;
    if (alias > this.#maximum) {
      throw invalidAlias('MQTT-3.1.2-26', `Topic Alias ${alias}, at most ${this.#maximum}`);
    }
    this.#topics.set(alias, Buffer.from(buffer.subarray(start, end)));
  }

  /** The topic of an alias. @throws ProtocolError for one that stands for none. */
  topicOf(alias: number): Buffer {
    const topic = this.#topics.get(alias);
    if (topic === undefined) {
      throw invalidAlias('3.3.2.3.4', `Topic Alias ${alias} stands for no topic`);
    }
    return topic;
  }
}

function invalidAlias(clause: string, message: string): ProtocolError {
  const { protocolViolation } = CloseReason;
  return new ProtocolError(clause, message, protocolViolation, ReasonCode.topicAliasInvalid);
}
