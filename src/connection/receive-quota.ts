/** How far a 5.0 client may publish ahead of the acks of the server [MQTT 5.0, 4.9]. */
import { CloseReason, ProtocolError } from '../base/errors.js';
import { ReasonCode } from '../protocol/v5/index.js';
import type { Connection } from './connection.js';

/**
 * One for a connection where the server has said a Receive Maximum. Of QoS 1 it counts what was
 * acknowledged since the last flush: all of that was sent before its client can have seen an ack,
 * so nobody is closed who keeps to the maximum. Of QoS 2 it counts what awaits PUBREL.
 */
export class ReceiveQuota {
  readonly #maximum: number;
  #unflushed = 0;
  /** The flush before which those were acknowledged. */
  #flush = -1;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /**
   * The connection has sent a run of `count` messages, which are acknowledged.
   * @throws ProtocolError when these are more than it may send [MQTT-3.3.4-7].
   */
  spend({ host, session }: Connection, qos: number, count: number): void {
    const { rewinds } = host.arena;
    if (this.#flush !== rewinds) {
      this.#flush = rewinds;
      this.#unflushed = 0;
    }
    if (qos === 1) this.#unflushed += count;
    const unacknowledged = this.#unflushed + (session?.incomingQos2?.size ?? 0);
    if (unacknowledged <= this.#maximum) return;
    throw new ProtocolError(
      'MQTT-3.3.4-7',
      `${unacknowledged} messages unacknowledged, above the Receive Maximum of ${this.#maximum}`,
      CloseReason.protocolViolation,
      ReasonCode.receiveMaximumExceeded,
    );
  }
}
