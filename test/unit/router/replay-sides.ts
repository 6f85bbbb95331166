/** Replays on two shards whose links are queues; the turns are taken by the test. */
import assert from 'node:assert/strict';
import { Counters } from '../../../src/base/counters.js';
import { RETAINED_PART_BYTES } from '../../../src/base/limits.js';
import type { QoS } from '../../../src/protocol/packet.js';
import { encodePublish, frameEnd } from '../../../src/protocol/publish-frame.js';
import { ClientDrops } from '../../../src/router/client-drops.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import type { ReplayRows } from '../../../src/router/replay-notes.js';
import { RetainedInMemory } from '../../../src/router/retained-in-memory.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { RetainedReplays } from '../../../src/router/retained-replay.js';
import { RetainedStore } from '../../../src/router/retained-store.js';
import { retainedOwnerOf } from '../../../src/router/route.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Session } from '../../../src/sessions/session.js';
import { createTopicsProvider } from '../../../src/topics/provider.js';
import { makeOutlet } from '../../support/outlet.js';
import { parsePublish } from '../../support/packets.js';

export const LIMITS = { maxInflight: 100, maxQueuedMessages: 100, maxQueuedBytes: 1_000_000 };
const SHARE = { maxRetainedMessages: 10_000, maxRetainedBytes: 10_000_000 };

interface Sent {
  readonly kind: number;
  readonly mask: number;
  readonly words: readonly number[];
  readonly body: Buffer;
}

/** One shard's replays and what they work with. */
export class Side {
  readonly index: number;
  readonly sent: Sent[] = [];
  readonly link = { backlogBytes: 0, send: this.#send.bind(this) };
  readonly arena: TurnArena = new TurnArena(() => this.arena.rewind());
  readonly store: RetainedStore;
  readonly counters = new Counters();
  readonly drops = new ClientDrops();
  readonly replays: RetainedReplays;
  peers: number;
  /** A turn was asked for. */
  isScheduled = false;

  /** @param rows where it is noted what kept sessions are owed. */
  constructor(index: number, store: RetainedStore, rows: ReplayRows | null = null) {
    this.index = index;
    this.store = store;
    this.peers = 3 & ~(1 << index);
    this.replays = new RetainedReplays({
      shardIndex: index,
      shardCount: 2,
      arena: this.arena,
      link: this.link as unknown as PeerLink,
      retained: store,
      counters: this.counters,
      queuedTotal: new QueuedTotal(),
      drops: this.drops,
      peers: () => this.peers,
      rows,
      clock: { now: 1 },
      schedule: () => {
        this.isScheduled = true;
      },
    });
  }

  retain(topic: string, payload: string, qos: QoS = 0): void {
    const header = 0x31 | (qos << 1);
    const frame = encodePublish(topic, Buffer.from(payload), header, 1);
    this.store.store(topic, frame, 0, frame.length, header);
  }

  #send(
    kind: number,
    mask: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const body = Buffer.from(bytes.subarray(start, end));
    this.sent.push({ kind, mask, words: [word0, word1, word2, word3], body });
  }

  receive(from: number, { kind, words, body }: Sent): void {
    const [word0, word1, word2, word3] = words;
    if (kind === RecordKind.retainedQuery) {
      const { answers } = this.replays;
      if (word1 > 0) answers.onWholeQuery(from, word0, body.toString('latin1'), word1);
      else answers.onQuery(from, word0, body.toString('latin1'));
    } else if (kind === RecordKind.retainedMessage) {
      this.replays.onMessage(word0, word1, word2, word3, body, 0, body.length);
    } else if (kind === RecordKind.retainedPart) {
      this.replays.onPart(word0, word1 === 1);
    } else {
      this.replays.answers.onMore(from, word0, word1 === 1);
    }
  }

  /** A turn: what has come, then the work. */
  turn(from: Side): void {
    this.isScheduled = false;
    for (const message of from.sent.splice(0)) this.receive(from.index, message);
    this.replays.pump();
    this.replays.beforeFlush();
  }
}

/** A connected session that notes what it gets: `topic=payload/qos`, `!` for RETAIN. */
export class Reader {
  readonly session: Session;
  readonly got: string[] = [];
  readonly outlet = makeOutlet({
    append: (start, end) => this.#take(this.#side.arena.buffer, start, end),
    wake: () => this.#fill(),
  });
  readonly #side: Side;

  /** @param expiryMs default 0. @param session default: a new one. */
  constructor(side: Side, expiryMs = 0, session: Session | null = null) {
    this.#side = side;
    const queues = new AbsentQueues();
    this.session = session ?? new Session('reader', expiryMs, 4, 1, LIMITS, queues);
    this.session.attach(this.outlet);
  }

  #fill(): void {
    const { window } = this.session;
    if (window === null) return;
    const target = Buffer.alloc(RETAINED_PART_BYTES * 2);
    while (window.sendable) this.#take(target, 0, window.fill(target, 0, target.length, 1));
  }

  #take(buffer: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at = frameEnd(buffer, at)) {
      const frame = buffer.subarray(at, frameEnd(buffer, at));
      const { topic, payload, qos, retain } = parsePublish(frame);
      this.got.push(`${topic}=${payload.slice(0, 9)}/${qos}${retain ? '!' : ''}`);
    }
  }
}

/** Topics of which the given shard keeps the retained message. */
export function topicsOf(shard: number, count: number): string[] {
  const topics: string[] = [];
  for (let number = 0; topics.length < count; number++) {
    if (retainedOwnerOf(`t/${number}`, 2) === shard) topics.push(`t/${number}`);
  }
  return topics;
}

export type Filters = [filterKey: string, qos: QoS][];

/** A SUBSCRIBE that the other shards have not confirmed. */
export function expectSubscribed({ replays }: Side, { session }: Reader, filters: Filters): void {
  for (const [filterKey, qos] of filters) session.addSubscription(filterKey, qos);
  replays.expect(session, filters, () => {});
}

/** Two shards, 0 and 1. @param rows of the first: where it notes what kept sessions are owed. */
export async function makeSides(
  rows: ReplayRows | null = null,
): Promise<[here: Side, there: Side]> {
  const [here, there] = await Promise.all(
    [0, 1].map(async (index) => {
      const topics = await createTopicsProvider<Session, RetainedMessage>('mem');
      return new Side(
        index,
        new RetainedStore(new RetainedInMemory(topics), new Counters(), SHARE),
        index === 0 ? rows : null,
      );
    }),
  );
  return [here!, there!];
}

/** Turns of both until nobody asks for one. @returns how many. */
export function settleBoth(here: Side, there: Side, turnsMax = 1_000): number {
  let turns = 0;
  while (here.isScheduled || there.isScheduled || here.sent.length + there.sent.length > 0) {
    assert.ok(turns++ < turnsMax, 'comes to an end');
    here.turn(there);
    there.turn(here);
  }
  return turns;
}
