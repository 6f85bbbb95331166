/** What a connected MQTT 5.0 client takes, beside what its session is. One a connection. */
import { PACKET_ID_MAX } from '../base/limits.js';
import { OutgoingAliases } from './outgoing-aliases.js';

/** What a client has said of itself in its CONNECT [MQTT 5.0, 3.1.2.11]. */
export interface ReceiverLimits {
  /** QoS 1 and 2 messages that may be unacknowledged, 1 to 65,535. Default: 65,535. */
  readonly receiveMaximum?: number;
  /** Longest packet, in bytes. Default: none. */
  readonly maximumPacketSize?: number;
  /** Topic Aliases that it remembers. Default: 0. */
  readonly topicAliasMaximum?: number;
}

/** Whom frames of MQTT 5.0 are laid out for. A client of 3.x has none. */
export class Receiver {
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  /** It accepts Topic Aliases. */
  readonly takesAliases: boolean;
  readonly #topicAliasMaximum: number;
  #aliases: OutgoingAliases | null = null;

  constructor(limits: ReceiverLimits = {}) {
    this.receiveMaximum = limits.receiveMaximum ?? PACKET_ID_MAX;
    this.maximumPacketSize = limits.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    this.#topicAliasMaximum = limits.topicAliasMaximum ?? 0;
    this.takesAliases = this.#topicAliasMaximum > 0;
  }

  /** The aliases that it is sent, null when it takes none. */
  get aliases(): OutgoingAliases | null {
    if (this.takesAliases) this.#aliases ??= new OutgoingAliases(this.#topicAliasMaximum);
    return this.#aliases;
  }
}
