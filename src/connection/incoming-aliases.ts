/** Topic Aliases that a client gives on its connection [MQTT 5.0, 3.3.2.3.4]. */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { ReasonCode } from '../protocol/v5/index.js';

/** One a connection, made by the first alias: at most the topics that its maximum allows. */
export class IncomingAliases {
  readonly #maximum: number;
  /** By alias: the bytes of the topic, in memory of their own. */
  readonly #topics: (Buffer | undefined)[] = [];

  /** @param maximum Topic Alias Maximum that the server has said, 0 to 65,535. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** What an alias stands for; undefined: nothing yet. */
  topicOf(alias: number): Buffer | undefined {
    return this.#topics[alias];
  }

  /**
   * From here on the alias stands for the topic in bytes [start, start + length).
   * @throws ProtocolError for an alias above the maximum [MQTT-3.3.2-9].
   */
  set(alias: number, buffer: Buffer, start: number, length: number): void {
    if (alias > this.#maximum) throw aboveMaximum(alias, this.#maximum);
    const known = this.#topics[alias];
    if (known?.length === length && known.compare(buffer, start, start + length) === 0) return;
    const topic = Buffer.allocUnsafeSlow(length);
    buffer.copy(topic, 0, start, start + length);
    this.#topics[alias] = topic;
  }
}

function aboveMaximum(alias: number, maximum: number): ProtocolError {
  return new ProtocolError(
    'MQTT-3.3.2-9',
    `topic alias ${alias} is above the ${maximum} that the server takes`,
    CloseReason.protocolViolation,
    ReasonCode.topicAliasInvalid,
  );
}

/** The error for an alias that stands for nothing, and may be above the maximum too. */
export function unknownAlias(alias: number, maximum: number): ProtocolError {
  if (alias > maximum) return aboveMaximum(alias, maximum);
  return new ProtocolError(
    '3.3.2.3.4',
    `topic alias ${alias} stands for no topic`,
    CloseReason.protocolViolation,
    ReasonCode.protocolError,
  );
}
