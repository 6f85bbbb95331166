/** What a connection tells whoever made it. */
import type { Properties, PublishView } from '../protocol/v5/index.js';
import type { Connection } from './connection.js';
import type { Accepted } from './handshake.js';

/** What a connection tells its client. Nothing is called after `onClosed`. */
export interface ConnectionOwner {
  /** CONNACK accepted the connection. */
  onConnected(connection: Connection, accepted: Accepted): void;
  /**
   * A run, see FrameSink.onRun, whose topic lies in `topics`: an alias is resolved.
   * @param publish its parts in MQTT 5.0; null in 3.x.
   * @returns the position behind the last frame taken.
   */
  onRun(
    connection: Connection,
    buffer: Buffer,
    start: number,
    end: number,
    publish: PublishView | null,
    topics: Buffer,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
    packetIds: Uint16Array,
  ): number;
  /** PUBACK, PUBREC, PUBREL or PUBCOMP; in 3.x the reason code is 0. */
  onAck(type: number, packetId: number, reasonCode: number, properties: Properties): void;
  /** SUBACK or UNSUBACK, the latter without return codes in 3.x. */
  onAnswer(
    type: number,
    packetId: number,
    returnCodes: readonly number[],
    properties: Properties,
  ): void;
  /** Queues are full and nothing is waited for. */
  readonly mustStopReading: boolean;
  /** The socket takes more again. */
  onDrain(): void;
  /** The connection has ended, and not by `end`. */
  onClosed(connection: Connection, error: Error): void;
}
