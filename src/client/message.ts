/** Application Messages as the library's user meets them. */
import type { QoS } from '../protocol/packet.js';
import { NO_PROPERTIES, type Properties } from '../protocol/v5/index.js';

/** Properties that a publisher may give a message in MQTT 5.0 [MQTT 5.0, 3.3.2.3]. */
export type PublishProperties = Pick<
  Properties,
  | 'payloadFormatIndicator'
  | 'messageExpiryInterval'
  | 'contentType'
  | 'responseTopic'
  | 'correlationData'
  | 'userProperties'
>;

/**
 * The same as a receiver gets them, with the identifiers of the subscriptions that matched. The
 * expiry is what is left of it.
 */
export type MessageProperties = PublishProperties & Pick<Properties, 'subscriptionIdentifiers'>;

/** A message that was received. */
export class Message {
  readonly topic: string;
  /**
   * A view that is the receiver's to keep and to change. It pins a few KiB: who keeps one of many
   * messages for long makes a copy of it (`Buffer.from(payload)`).
   */
  readonly payload: Buffer;
  readonly qos: QoS;
  /** The server had kept it from before the subscription was made [MQTT-3.3.1-8]. */
  readonly retain: boolean;
  /**
   * It may have been delivered before [MQTT-3.3.1-3]. Never true of a QoS 2 message handed out
   * here.
   */
  readonly dup: boolean;
  /**
   * Packet id of this delivery, 0 for QoS 0: for logs. Another message may have it later.
   */
  readonly packetId: number;
  /** Of MQTT 5.0; none in 3.x. Neighbours share one object: it is not to be changed. */
  readonly properties: MessageProperties;

  constructor(
    topic: string,
    payload: Buffer,
    qos: QoS,
    retain: boolean,
    dup: boolean,
    packetId: number,
    properties: MessageProperties = NO_PROPERTIES,
  ) {
    this.topic = topic;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.dup = dup;
    this.packetId = packetId;
    this.properties = properties;
  }
}

/**
 * Takes the messages of a subscription. A QoS 1 or 2 message is acknowledged when it has returned,
 * or, where it returns a promise, when that has settled. What it throws becomes an 'error' event,
 * and the message is acknowledged all the same: the server would not send it again on this
 * connection.
 */
export type MessageHandler = (message: Message) => unknown;

/** What may be published: text (as UTF-8) or bytes. Bytes are copied before `publish` returns. */
export type Payload = string | Uint8Array;
