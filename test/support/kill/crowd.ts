/** The clients of a run with kills: publishers, and subscribers of every kind. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../fuzz/random.js';
import { GroupCheck, SubscriberCheck } from './checks.js';
import type { Surroundings } from './persistent-client.js';
import { KillPublisher } from './publisher.js';
import { KillSubscriber, type SubscriberPlan } from './subscriber.js';
import { TopicRecord, type Version } from './topics.js';

const PUBLISHERS = 4;
/** Topics of each publisher and QoS, and those of them that retain. */
const TOPICS = 2;
const RETAINED_TOPICS = 3;
/** How many times as likely a topic is that does not retain. */
const PLAIN_WEIGHT = 4;
/** Most messages of a burst, and most milliseconds between two. */
const BURST = 14;
const PAUSE_MS = 24;
const ACK_DELAY_MS = 30;
const STEP_MS = 20;

/** What a subscriber does with its connection. */
type Behaviour =
  /** Stays, and comes back when it is cut off. */
  | 'online'
  /** Is away for most of the time. */
  | 'absent'
  /** Leaves in every way there is and comes back, or is taken over by itself. */
  | 'moving'
  /** The same, and ends its subscription at times. */
  | 'fickle';
const BEHAVIOURS: readonly Behaviour[] = ['online', 'absent', 'moving', 'fickle'];

interface Member {
  readonly subscriber: KillSubscriber;
  readonly behaviour: Behaviour;
}

/** Topics of all publishers, by name. */
function makeTopics(): Map<string, TopicRecord> {
  const topics = new Map<string, TopicRecord>();
  const add = (name: string, qos: 1 | 2, retain: boolean, version: Version): void => {
    topics.set(name, new TopicRecord(name, qos, retain, version));
  };
  for (let publisher = 0; publisher < PUBLISHERS; publisher++) {
    const version = publisher % 2 === 0 ? 5 : 4;
    for (const qos of [1, 2] as const) {
      for (let n = 0; n < TOPICS; n++) add(`kill/${publisher}/q${qos}/${n}`, qos, false, version);
      for (let n = 0; n < RETAINED_TOPICS; n++) {
        add(`kill/${publisher}/keep/${qos}${n}`, qos, true, version);
      }
    }
  }
  return topics;
}

/** Filters of a subscriber; none overlap. */
const FILTERS: readonly (readonly string[])[] = [
  ['kill/+/q1/0', 'kill/+/q2/0'],
  ['kill/0/#'],
  ['kill/+/q2/#'],
  ['kill/1/q1/+', 'kill/2/q2/1', 'kill/+/keep/10'],
  ['kill/+/keep/#'],
];

export class Crowd {
  readonly topics = makeTopics();
  readonly publishers: KillPublisher[];
  readonly #members: Member[] = [];
  readonly #groups: GroupCheck[] = [];
  readonly #checks: SubscriberCheck[] = [];
  readonly #around: Surroundings;
  readonly #random: Random;
  #isBusy = false;
  #loops: Promise<void>[] = [];

  /** @param hasGroups there are Shared Subscriptions, too. */
  constructor(around: Surroundings, hasGroups: boolean) {
    this.#around = around;
    this.#random = around.random;
    this.publishers = Array.from({ length: PUBLISHERS }, (_, index) => {
      const own = [...this.topics.values()].filter(({ name }) => name.startsWith(`kill/${index}/`));
      const weighted = own.flatMap((topic) =>
        Array.from({ length: topic.retain ? 1 : PLAIN_WEIGHT }, () => topic),
      );
      return new KillPublisher(`publisher-${index}`, index % 2 === 0 ? 5 : 4, weighted, around);
    });
    this.#addSubscribers();
    if (!hasGroups) return;
    this.#addGroup('one', 'kill/+/q1/#', ['online', 'absent', 'moving']);
    this.#addGroup('two', 'kill/+/q2/1', ['absent', 'absent', 'moving']);
  }

  #addSubscribers(): void {
    let index = 0;
    for (const behaviour of BEHAVIOURS) {
      for (const qos of [1, 2, 2] as const) {
        const filters = FILTERS[index % FILTERS.length];
        this.#add(behaviour, {
          clientId: `${behaviour}-${qos}-${index}`,
          version: index % 2 === 0 ? 4 : 5,
          filters,
          qos,
          ackDelayMs: index % 3 === 0 ? 0 : ACK_DELAY_MS,
          identifier: index + 1,
        });
        index++;
      }
    }
  }

  #add(behaviour: Behaviour, plan: SubscriberPlan): void {
    const { faults } = this.#around;
    const check = new SubscriberCheck(plan.clientId, plan.filters, this.topics, faults);
    this.#checks.push(check);
    const subscriber = new KillSubscriber(plan, this.topics, check, this.#around);
    this.#members.push({ subscriber, behaviour });
  }

  #addGroup(name: string, filter: string, behaviours: readonly Behaviour[]): void {
    const check = new GroupCheck(`group ${name}`, filter, this.topics, this.#around.faults);
    this.#groups.push(check);
    for (const [index, behaviour] of behaviours.entries()) {
      const plan: SubscriberPlan = {
        clientId: `member-${name}-${index}`,
        version: 5,
        filters: [`$share/${name}/${filter}`],
        qos: name === 'one' ? 1 : 2,
        ackDelayMs: index === 0 ? 0 : ACK_DELAY_MS,
        identifier: 100 + index,
      };
      const subscriber = new KillSubscriber(plan, this.topics, check, this.#around);
      this.#members.push({ subscriber, behaviour });
    }
  }

  /** Publishes and subscribes, comes and goes, until `rest`. */
  begin(): void {
    this.#isBusy = true;
    this.#loops = [
      ...this.publishers.map((publisher) => this.#publish(publisher)),
      ...this.#members.map(({ subscriber, behaviour }) => this.#behave(subscriber, behaviour)),
    ];
  }

  /** Resolves when everybody has done what is under way; all are online and subscribed, or try. */
  async rest(): Promise<void> {
    this.#isBusy = false;
    await Promise.all(this.#loops);
    for (const publisher of this.publishers) publisher.goOnline();
    for (const { subscriber } of this.#members) {
      subscriber.resume();
      subscriber.want(true);
      subscriber.goOnline();
    }
  }

  /** What keeps all from being done: acknowledged, subscribed and received. Null: nothing. */
  obstacle(): string | null {
    const publisher = this.publishers.find((each) => !each.isOnline || !each.isFinished);
    if (publisher !== undefined) return publisher.unfinished;
    const unsubscribed = this.#members.find(({ subscriber }) => !subscriber.isSubscribed);
    if (unsubscribed !== undefined) return `${unsubscribed.subscriber.clientId}: not subscribed`;
    const missing = this.missing();
    return missing === 0 ? null : `${missing} messages have not come`;
  }

  /** Messages that are due and have not come. */
  missing(): number {
    return [...this.#checks, ...this.#groups].reduce((sum, check) => sum + check.missing(), 0);
  }

  /** What has not come by now is lost. */
  settle(): void {
    for (const check of [...this.#checks, ...this.#groups]) check.settle();
  }

  async close(): Promise<void> {
    this.#isBusy = false;
    await Promise.all(this.#loops);
    for (const publisher of this.publishers) publisher.close();
    for (const { subscriber } of this.#members) subscriber.close();
  }

  /** Figures of all. */
  totals(): Readonly<
    Record<'published' | 'acknowledged' | 'refused' | 'delivered' | 'repeated', number>
  > {
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    return {
      published: sum(this.publishers.map(({ published }) => published)),
      acknowledged: sum(this.publishers.map(({ acknowledged }) => acknowledged)),
      refused: sum(this.publishers.map(({ refused }) => refused)),
      delivered: sum(this.#members.map(({ subscriber }) => subscriber.messages)),
      repeated: sum(this.#checks.map(({ repeated }) => repeated)),
    };
  }

  /** Up to so long, or until the load is over. */
  async #pause(longestMs: number): Promise<void> {
    const until = performance.now() + this.#random.below(longestMs);
    while (this.#isBusy && performance.now() < until) {
      await delay(Math.min(STEP_MS, Math.max(1, until - performance.now())));
    }
  }

  async #publish(publisher: KillPublisher): Promise<void> {
    const random = this.#random;
    publisher.goOnline();
    while (this.#isBusy) {
      publisher.burst(random.below(BURST));
      await this.#pause(PAUSE_MS);
      if (random.onceIn(150)) publisher.takeOver();
      if (!random.onceIn(150)) continue;
      publisher.goOffline(random.onceIn(2));
      publisher.goOnline();
    }
  }

  async #behave(subscriber: KillSubscriber, behaviour: Behaviour): Promise<void> {
    subscriber.goOnline();
    while (this.#isBusy) {
      switch (behaviour) {
        case 'online':
          await this.#pause(200);
          break;
        case 'absent':
          await this.#pause(400);
          subscriber.goOffline(this.#random.onceIn(2));
          await this.#pause(2_500);
          subscriber.goOnline();
          break;
        case 'moving':
          await this.#move(subscriber);
          break;
        case 'fickle':
          await this.#move(subscriber);
          if (this.#random.onceIn(4) && subscriber.isSubscribed) subscriber.want(false);
          else if (subscriber.isUnsubscribed) subscriber.want(true);
          break;
      }
    }
  }

  async #move(subscriber: KillSubscriber): Promise<void> {
    const random = this.#random;
    await this.#pause(150);
    switch (random.below(5)) {
      case 0:
      case 1:
        subscriber.goOffline(random.onceIn(2));
        await this.#pause(150);
        subscriber.goOnline();
        return;
      case 2:
      case 3:
        subscriber.takeOver();
        return;
      default:
        subscriber.pause();
        await this.#pause(120);
        subscriber.resume();
        return;
    }
  }
}
