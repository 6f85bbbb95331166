/**
 * A run from its scan to the outboxes of local subscribers, a delivery: by the versions of both
 * sides, with and without properties and Topic Aliases. No socket, and no write.
 */

import { Counters } from '../../src/base/counters.js';
import { PACKET_ID_MAX } from '../../src/base/limits.js';
import { CanonicalRun } from '../../src/connection/canonical-run.js';
import { FrameScan, type FrameSink } from '../../src/protocol/frame-scan.js';
import { encodePublish } from '../../src/protocol/publish-frame.js';
import { encodePacket5, FrameScan5, type Properties, Sender } from '../../src/protocol/v5/index.js';
import { Delivery } from '../../src/router/delivery.js';
import { type Route, RouteCache } from '../../src/router/route.js';
import { PLAIN_RUN, type RunTraits } from '../../src/router/run-traits.js';
import { Impatience } from '../../src/router/slowdown.js';
import { TurnArena } from '../../src/router/turn-arena.js';
import { AbsentQueues } from '../../src/sessions/absent-queues.js';
import type { OutgoingWindow } from '../../src/sessions/outgoing-window.js';
import { QueuedTotal } from '../../src/sessions/queued-total.js';
import { Receiver } from '../../src/sessions/receiver.js';
import { Session } from '../../src/sessions/session.js';
import { createTopicsProvider } from '../../src/topics/provider.js';
import { OpenOutlet } from '../support/open-outlet.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

const TOPIC = 'bench/topic';
const PAYLOAD = Buffer.alloc(64, 'x');
/** Messages of a run: what a busy publisher has in one read. */
const MESSAGES: Readonly<Record<MicroSize, number>> = { small: 20, large: 400 };
/** What is written of a window at a time. */
const PIECE_BYTES = 65_536;
const PACKET_BYTES_MAX = 1_048_576;
const LIMITS = { maxInflight: 1_000, maxQueuedMessages: 10_000, maxQueuedBytes: 1e8 };
const USER_PROPERTY: Properties = { userProperties: [['bench-user0', 'a value, 16 long']] };

/** What is measured. */
interface Case {
  readonly name: string;
  readonly from: 4 | 5;
  readonly to: 4 | 5;
  readonly qos: 0 | 1;
  readonly subscribers: number;
  /** A User Property, and Topic Aliases on both sides. */
  readonly isRich: boolean;
  /** Messages that a subscriber may have unacknowledged; fewer than come are queued. */
  readonly maxInflight: number;
}

function cases(): Case[] {
  const versions = [
    ['3.1.1 to 3.1.1', 4, 4, false],
    ['5.0 to 5.0', 5, 5, false],
    ['5.0 to 5.0 with a property and aliases', 5, 5, true],
    ['3.1.1 to 5.0', 4, 5, false],
    ['5.0 to 3.1.1', 5, 4, false],
  ] as const;
  const shapes = [
    ['QoS 0, 1 subscriber', 0, 1, 1_000],
    ['QoS 0, 20 subscribers', 0, 20, 1_000],
    ['QoS 1, 1 subscriber', 1, 1, 1_000],
    ['QoS 1, 20 subscribers', 1, 20, 1_000],
    ['QoS 1, 20 subscribers with full windows', 1, 20, 100],
  ] as const;
  return shapes.flatMap(([shape, qos, subscribers, maxInflight]) =>
    versions.map(([version, from, to, isRich]) => {
      const name = `deliver ${version}, ${shape}`;
      return { name, from, to, qos, subscribers, isRich, maxInflight };
    }),
  );
}

/** Takes everything, and counts it. */
class CountingOutlet extends OpenOutlet {
  messages = 0;
  override append(_start: number, _end: number, messages = 0): void {
    this.messages += messages;
  }
}

function framesOf({ from, qos, isRich }: Case, count: number): Buffer {
  const header = 0x30 | (qos << 1);
  const frames = Array.from({ length: count }, (_, index) => {
    if (from === 4) return encodePublish(TOPIC, PAYLOAD, header, index + 1);
    return encodePacket5(
      {
        type: 'publish',
        topic: isRich ? '' : TOPIC,
        payload: PAYLOAD,
        qos,
        retain: false,
        dup: false,
        packetId: qos === 0 ? 0 : index + 1,
        properties: isRich ? { topicAlias: 1, ...USER_PROPERTY } : {},
      },
      Sender.client,
    );
  });
  return Buffer.concat(frames);
}

/** Subscribers, and what brings a run to them. */
class Exchange implements FrameSink {
  readonly #arena: TurnArena = new TurnArena(() => this.#arena.rewind());
  readonly #counters = new Counters();
  readonly #queuedTotal = new QueuedTotal();
  readonly #delivery = new Delivery({
    shardIndex: 0,
    arena: this.#arena,
    pressure: { impatient: new Map(), onFed: () => {}, relieve: () => {} },
    counters: this.#counters,
    queuedTotal: this.#queuedTotal,
    clock: { now: 1 },
  });
  readonly #scan = new FrameScan(PACKET_BYTES_MAX);
  readonly #scan5 = new FrameScan5(PACKET_BYTES_MAX, Sender.client);
  readonly #run = new CanonicalRun();
  readonly #traits: RunTraits = { ...PLAIN_RUN };
  readonly #topic = Buffer.from(TOPIC);
  readonly #sessions: Session[] = [];
  readonly #is5: boolean;
  #route!: Route;

  constructor({ from }: Case) {
    this.#is5 = from === 5;
  }

  async open({ to, qos, subscribers, isRich, maxInflight }: Case): Promise<void> {
    const topics = await createTopicsProvider<Session, never>('mem');
    for (let index = 0; index < subscribers; index++) {
      const absent = new AbsentQueues(this.#queuedTotal);
      const session = new Session(`s${index}`, 0, to, 1, { ...LIMITS, maxInflight }, absent);
      if (to === 5) session.receiver = new Receiver(isRich ? { topicAliasMaximum: 10 } : {});
      session.attach(new CountingOutlet());
      topics.subscribe(TOPIC, session, qos);
      this.#sessions.push(session);
    }
    this.#route = new RouteCache(topics as never, 1).findKey(TOPIC);
  }

  /** @returns how many messages subscribers were given. */
  bring(bytes: Buffer): number {
    if (this.#is5) this.#scan5.scan(bytes, 0, bytes.length, this);
    else this.#scan.scan(bytes, 0, bytes.length, this);
    this.#arena.rewind();
    let messages = 0;
    for (const { window, outlet } of this.#sessions) {
      const open = outlet as CountingOutlet;
      messages += open.messages;
      open.messages = 0;
      if (window !== null) messages += this.#drain(window);
    }
    return messages;
  }

  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    _topicStart: number,
    topicLength: number,
    header: number,
    count: number,
  ): boolean {
    const traits = this.#traits;
    const run = this.#run;
    if (this.#is5) {
      const topicAt = topicLength === 0 ? 0 : this.#scan5.publish.topicStart;
      const topic = topicLength === 0 ? this.#topic : buffer;
      const { publish } = this.#scan5;
      run.take(publish, buffer, start, end, header, topic, topicAt, TOPIC.length);
      traits.propertyBytes = run.propertyBytes;
      traits.aliased = run.isSettled ? null : run;
      this.#deliver(run.buffer, run.start, run.end, header, count);
    } else {
      this.#deliver(buffer, start, end, header, count);
    }
    return true;
  }

  onAcks(): boolean {
    return false;
  }

  onFrame(): boolean {
    return false;
  }

  #deliver(buffer: Buffer, start: number, end: number, header: number, count: number): void {
    const { none } = Impatience;
    const route = this.#route;
    this.#delivery.deliver(0, 1, none, route, buffer, start, end, header, count, this.#traits);
  }

  /** Acknowledges what was sent, and has what waits sent, to the end. @returns what waited. */
  #drain(window: OutgoingWindow): number {
    let waited = 0;
    for (;;) {
      const { inflight, nextPacketId } = window;
      for (let back = inflight; back > 0; back--) {
        const id = nextPacketId - back;
        window.onPuback(id > 0 ? id : id + PACKET_ID_MAX);
      }
      if (!window.sendable) return waited;
      const waiting = window.queuedMessages;
      const at = this.#arena.reserve(PIECE_BYTES);
      window.fill(this.#arena.buffer, at, at + PIECE_BYTES, 1);
      this.#arena.rewind();
      waited += waiting - window.queuedMessages;
    }
  }
}

/** Times all, in nanoseconds a delivery. */
export async function run(size: MicroSize): Promise<MicroResult[]> {
  const results: MicroResult[] = [];
  for (const each of cases()) {
    const exchange = new Exchange(each);
    await exchange.open(each);
    const count = MESSAGES[size];
    const bytes = framesOf(each, count);
    // Twice, as the first times tell the aliases.
    exchange.bring(bytes);
    exchange.bring(bytes);
    const operations = count * each.subscribers;
    results.push(measure(each.name, size, operations, () => exchange.bring(bytes)));
  }
  return results;
}
