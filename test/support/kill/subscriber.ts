/**
 * Subscribes in a session that stays, and holds to the receiver's state machine over all
 * connections: a packet id of QoS 2 that was received and not released is not delivered again
 * [MQTT-4.3.3-2]. It acknowledges late at times, so that messages are under way whenever the broker
 * is killed.
 */
import type { IPublishPacket, ISubackPacket, Packet } from 'mqtt-packet';
import type { Check } from './checks.js';
import { PersistentClient, type Surroundings } from './persistent-client.js';
import { grantedQos, numberIn, type TopicRecord, type Topics, type Version } from './topics.js';

/** What a subscriber is like. */
export interface SubscriberPlan {
  readonly clientId: string;
  readonly version: Version;
  readonly filters: readonly string[];
  readonly qos: 1 | 2;
  /** Longest that its acks wait, in milliseconds; 0: they go at once. */
  readonly ackDelayMs: number;
  /** Of version 5: sent with its subscriptions, and to come with each message. */
  readonly identifier: number;
}

type Subscribed = 'no' | 'unknown' | 'yes';

export class KillSubscriber extends PersistentClient {
  readonly plan: SubscriberPlan;
  readonly #topics: Topics;
  readonly #check: Check;
  /** Packet ids of QoS 2 received and not released, and what came with each. */
  readonly #received = new Map<number, string>();
  /** Packet ids that were released: PUBREL may come again, as PUBCOMP may be lost. */
  readonly #released = new Set<number>();
  #acks: Packet[] = [];
  #acksDue: NodeJS.Timeout | null = null;
  #wantsSubscription = true;
  #subscribed: Subscribed = 'no';
  #packetId = 0;
  messages = 0;

  constructor(plan: SubscriberPlan, topics: Topics, check: Check, around: Surroundings) {
    super(plan.clientId, plan.version, around);
    this.plan = plan;
    this.#topics = topics;
    this.#check = check;
  }

  /** SUBACK has come, and nothing since. */
  get isSubscribed(): boolean {
    return this.#wantsSubscription && this.#subscribed === 'yes';
  }

  /** UNSUBACK has come, and nothing since. */
  get isUnsubscribed(): boolean {
    return !this.#wantsSubscription && this.#subscribed === 'no';
  }

  /** Subscribes or unsubscribes, now or when it is online again. */
  want(subscription: boolean): void {
    if (this.#wantsSubscription === subscription) return;
    this.#wantsSubscription = subscription;
    if (this.isOnline) this.#ask();
  }

  pause(): void {
    this.link?.pause();
  }

  resume(): void {
    this.link?.resume();
  }

  #ask(): void {
    const { filters, qos, identifier, version } = this.plan;
    if (this.#subscribed === (this.#wantsSubscription ? 'yes' : 'no')) return;
    this.#packetId = (this.#packetId % 1_000) + 1;
    const messageId = this.#packetId;
    this.#subscribed = 'unknown';
    if (!this.#wantsSubscription) {
      this.#check.onUnsubscribe();
      this.send({ cmd: 'unsubscribe', messageId, unsubscriptions: [...filters] });
      return;
    }
    this.#check.onSubscribe();
    // Retained messages are looked at elsewhere: what comes here says as RETAIN how it was sent.
    const options = version === 5 ? { nl: false, rap: !this.#isShared, rh: 2 } : {};
    const subscriptions = filters.map((topic) => ({ topic, qos, ...options }));
    const properties = version === 5 ? { subscriptionIdentifier: identifier } : {};
    this.send({ cmd: 'subscribe', messageId, subscriptions, properties });
  }

  get #isShared(): boolean {
    return this.plan.filters[0].startsWith('$share/');
  }

  protected override onSession(isPresent: boolean): void {
    if (!isPresent) {
      this.#received.clear();
      this.#released.clear();
      this.#subscribed = 'no';
    }
    this.#ask();
  }

  protected override onOffline(): void {
    this.#acks = [];
    if (this.#acksDue !== null) clearTimeout(this.#acksDue);
    this.#acksDue = null;
  }

  protected override onOwnPacket(packet: Packet): void {
    switch (packet.cmd) {
      case 'publish':
        this.around.onProgress();
        this.#onPublish(packet);
        return;
      case 'pubrel':
        this.#onPubrel(packet.messageId!);
        this.#acknowledge({ cmd: 'pubcomp', messageId: packet.messageId! });
        return;
      case 'suback':
        this.#onSuback(packet);
        return;
      case 'unsuback':
        if (packet.messageId !== this.#packetId || this.#wantsSubscription) return;
        this.mustBePresent = true;
        this.#subscribed = 'no';
        this.#check.onUnsubscribed();
        return;
      default:
        this.protocolFault(`${packet.cmd} to a subscriber`);
        return;
    }
  }

  #onPubrel(messageId: number): void {
    if (!this.#received.delete(messageId) && !this.#released.has(messageId)) {
      this.protocolFault(`PUBREL of packet id ${messageId}, which has not come`);
    }
    this.#released.add(messageId);
  }

  #onSuback({ messageId, granted }: ISubackPacket): void {
    // An answer to what is no longer wanted.
    if (messageId !== this.#packetId || !this.#wantsSubscription) return;
    if (granted.some((code) => code !== this.plan.qos)) {
      this.protocolFault(`SUBACK grants ${granted.join()}, not ${this.plan.qos}`);
      return;
    }
    this.mustBePresent = true;
    this.#subscribed = 'yes';
    this.#check.onSubscribed();
  }

  #onPublish(packet: IPublishPacket): void {
    const { qos, dup } = packet;
    const messageId = packet.messageId ?? 0;
    if (qos === 1) {
      this.#deliver(packet);
      this.#acknowledge({ cmd: 'puback', messageId });
    } else if (qos === 2) {
      const what = `${packet.topic} ${String(packet.payload).slice(0, 12)}`;
      const before = this.#received.get(messageId);
      if (before === undefined) {
        this.#received.set(messageId, what);
        this.#released.delete(messageId);
        this.#deliver(packet);
      } else if (before !== what) {
        this.protocolFault(`packet id ${messageId} of ${before} is used for ${what}, DUP ${dup}`);
      } else if (!dup) {
        this.protocolFault(`${what} is sent again without DUP [MQTT-3.3.1-1]`);
      }
      this.#acknowledge({ cmd: 'pubrec', messageId });
    } else {
      this.protocolFault(`${packet.topic} at QoS 0`);
    }
  }

  /** The message goes to the application. */
  #deliver(packet: IPublishPacket): void {
    const topic = this.#topics.get(packet.topic);
    if (topic === undefined) {
      this.protocolFault(`topic ${packet.topic}`);
      return;
    }
    this.messages++;
    this.#checkForm(packet, topic);
    const payload = packet.payload.toString();
    // A retained message for a new subscription of 3.1.1; or one that was taken away.
    if (payload === '' || (packet.retain && this.version === 4)) return;
    const number = numberIn(payload);
    if (number === null) {
      this.protocolFault(`${packet.topic} has the payload ${payload.slice(0, 40)}`);
      return;
    }
    const { userProperties } = packet.properties ?? {};
    const said = userProperties?.number;
    if (this.version === 5 && topic.version === 5 && said !== String(number)) {
      this.protocolFault(`${packet.topic} ${number} has the user property ${said}`);
    }
    const { faults } = this.around;
    const before = faults.total;
    this.#check.take({ topic, number, isOnce: packet.qos === 2 });
    if (faults.total > before) this.showTrace();
  }

  /** QoS, RETAIN and Subscription Identifier are those of the subscription. */
  #checkForm({ qos, retain, properties, topic: name }: IPublishPacket, topic: TopicRecord): void {
    if (qos !== grantedQos(topic.qos, this.plan.qos)) this.protocolFault(`${name} at QoS ${qos}`);
    if (this.version !== 5) return;
    if (retain !== (topic.retain && !this.#isShared)) {
      this.protocolFault(`${name} with RETAIN ${retain} [MQTT-3.3.1-13]`);
    }
    const identifier = properties?.subscriptionIdentifier;
    if (identifier !== this.plan.identifier) {
      this.protocolFault(`${name} with subscription identifier ${identifier}`);
    }
  }

  /** Sends an ack now or, with others and in their order, later. */
  #acknowledge(ack: Packet): void {
    const { ackDelayMs } = this.plan;
    if (ackDelayMs === 0) {
      this.send(ack);
      return;
    }
    this.#acks.push(ack);
    this.#acksDue ??= setTimeout(() => {
      this.#acksDue = null;
      this.send(...this.#acks.splice(0));
    }, this.around.random.below(ackDelayMs));
  }
}
