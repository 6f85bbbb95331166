/** In which form runs reach subscribers of either version, each with what is its own. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OpenOutlet } from '../../../bench/support/open-outlet.js';
import { Counters } from '../../../src/base/counters.js';
import { CanonicalRun } from '../../../src/connection/canonical-run.js';
import { RETAIN } from '../../../src/protocol/fixed-header.js';
import { FrameScan, type FrameSink } from '../../../src/protocol/frame-scan.js';
import { decodeProperties, FrameScan5, Sender } from '../../../src/protocol/v5/index.js';
import { Delivery } from '../../../src/router/delivery.js';
import type { GroupRun } from '../../../src/router/group-link.js';
import { type Route, RouteCache } from '../../../src/router/route.js';
import { PLAIN_RUN, type RunTraits } from '../../../src/router/run-traits.js';
import { Impatience } from '../../../src/router/slowdown.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { AbsentQueues } from '../../../src/sessions/absent-queues.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import { Receiver } from '../../../src/sessions/receiver.js';
import { Session } from '../../../src/sessions/session.js';
import { makeGrant } from '../../../src/topics/grant.js';
import { createTopicsProvider, type TopicsProvider } from '../../../src/topics/provider.js';
import { packetEnd, parsePublish, publish } from '../../support/packets.js';
import { parsePublish5, prop, publish5 } from '../../support/packets5.js';

const TOPICS = ['a', 'b/c', 'a/longer/topic'];
const PUBLISHER_ALIAS = 9;
const LONG_PAYLOAD = 200;
const QOS = [0, 1, 2] as const;
const NO_LIMITS = { maxInflight: 1_000, maxQueuedMessages: 1_000, maxQueuedBytes: 1e6 };

/** A client that has subscribed to all topics. */
interface Client {
  readonly version: 4 | 5;
  readonly qos: 0 | 1 | 2;
  readonly topicAliasMaximum: number;
  readonly isSmall: boolean;
  readonly identifier: number;
  readonly maxInflight: number;
  readonly endsWithConnection: boolean;
  readonly retainAsPublished: boolean;
}

/** A run that is published. */
interface Publication {
  readonly version: 4 | 5;
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly hasAlias: boolean;
  readonly names: readonly string[];
  readonly expires: boolean;
  readonly payloads: readonly string[];
}

/** What a client should see of a message. */
interface Seen {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly expires: boolean;
  /** But for its alias and its expiry. */
  readonly properties: object;
}

const client: fc.Arbitrary<Client> = fc.record({
  version: fc.constantFrom(4, 5),
  qos: fc.constantFrom(...QOS),
  topicAliasMaximum: fc.constantFrom(0, 1, 2, 10),
  isSmall: fc.boolean(),
  identifier: fc.constantFrom(0, 0, 300),
  maxInflight: fc.integer({ min: 1, max: 12 }),
  endsWithConnection: fc.boolean(),
  retainAsPublished: fc.boolean(),
});

const publication: fc.Arbitrary<Publication> = fc.record({
  version: fc.constantFrom(4, 5, 5),
  topic: fc.constantFrom(...TOPICS),
  qos: fc.constantFrom(...QOS),
  retain: fc.constantFrom(false, false, true),
  hasAlias: fc.constantFrom(false, true, true),
  names: fc.array(fc.constantFrom('x', 'yy'), { maxLength: 2 }),
  expires: fc.constantFrom(false, false, true),
  payloads: fc.array(fc.constantFrom('', '1', 'two', '3'.repeat(LONG_PAYLOAD)), {
    minLength: 1,
    maxLength: 6,
  }),
});

/** Takes what a session is sent, acknowledges it all, and knows the aliases it was told. */
class Peer extends OpenOutlet {
  readonly seen: Seen[] = [];
  readonly session: Session;
  readonly #client: Client;
  readonly #arena: TurnArena;
  readonly #aliases = new Map<number, string>();
  #unread: Buffer[] = [];
  #lastId = 0;

  constructor(of: Client, total: QueuedTotal, arena: TurnArena) {
    super();
    this.#client = of;
    this.#arena = arena;
    const { version, maxInflight, topicAliasMaximum, isSmall, endsWithConnection } = of;
    const limits = { ...NO_LIMITS, maxInflight };
    const expiryMs = endsWithConnection ? 0 : Number.POSITIVE_INFINITY;
    this.session = new Session('client', expiryMs, version, 1, limits, new AbsentQueues(total));
    if (version === 5) {
      const maximumPacketSize = isSmall ? LONG_PAYLOAD : Number.POSITIVE_INFINITY;
      this.session.receiver = new Receiver({ topicAliasMaximum, maximumPacketSize });
    }
    this.session.attach(this);
  }

  get grant(): number {
    const { version, qos, retainAsPublished, identifier } = this.#client;
    return version === 4 ? qos : makeGrant(qos, false, retainAsPublished, identifier);
  }

  override append(start: number, end: number): void {
    this.#unread.push(Buffer.from(this.#arena.buffer.subarray(start, end)));
  }

  /** Reads and acknowledges until nothing waits. */
  drain(): void {
    const { window } = this.session;
    for (;;) {
      const bytes = Buffer.concat(this.#unread);
      this.#unread = [];
      this.#read(bytes);
      if (!window?.sendable) return;
      const target = Buffer.alloc(4_096);
      this.#unread.push(target.subarray(0, window.fill(target, 0, target.length, 1)));
    }
  }

  #read(bytes: Buffer): void {
    let rest = bytes;
    for (let end = packetEnd(rest); rest.length > 0 && end !== undefined; end = packetEnd(rest)) {
      this.#take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    assert.equal(rest.length, 0, 'whole packets');
  }

  #take(packet: Buffer): void {
    const { version, isSmall } = this.#client;
    if (version === 5 && isSmall) assert.ok(packet.length <= LONG_PAYLOAD, 'no longer than taken');
    const { payload, qos, retain, packetId, ...told } =
      version === 5 ? parsePublish5(packet) : { block: '', ...parsePublish(packet) };
    const block = Buffer.from(told.block, 'hex');
    const { topicAlias, messageExpiryInterval, ...properties } = decodeProperties(
      block,
      0,
      block.length,
    );
    const topic = this.#topicOf(told.topic, topicAlias);
    const expires = messageExpiryInterval !== undefined;
    this.seen.push({ topic, payload, qos, retain, expires, properties });
    if (qos === 0) return;
    assert.ok(packetId > this.#lastId, 'packet ids of their own');
    this.#lastId = packetId;
    const { window } = this.session;
    if (qos === 1) window!.onPuback(packetId);
    else assert.ok(window!.onPubrec(packetId) && window!.onPubcomp(packetId));
  }

  #topicOf(topic: string, alias: number | undefined): string {
    if (alias === undefined) return topic;
    assert.ok(alias <= this.#client.topicAliasMaximum, `alias ${alias}`);
    if (topic !== '') this.#aliases.set(alias, topic);
    assert.ok(this.#aliases.has(alias), `alias ${alias} was told`);
    return this.#aliases.get(alias)!;
  }

  /** What it should have seen of some publications. */
  expected(publications: readonly Publication[]): Seen[] {
    const { version, qos: granted, isSmall, retainAsPublished, identifier } = this.#client;
    const own = identifier === 0 ? {} : { subscriptionIdentifiers: [identifier] };
    return publications.flatMap(({ topic, qos, retain, names, expires, payloads, ...of }) => {
      const userProperties = names.map((name) => [name, 'v']);
      const theirs = of.version === 5 && names.length > 0 ? { userProperties } : {};
      return payloads
        .filter((payload) => version === 4 || !isSmall || payload.length < LONG_PAYLOAD)
        .map((payload) => ({
          topic,
          payload,
          qos: Math.min(qos, granted),
          retain: version === 5 && retainAsPublished && retain,
          expires: version === 5 && of.version === 5 && expires,
          properties: version === 5 ? { ...own, ...theirs } : {},
        }));
    });
  }
}

function userProperties(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => prop.pair(name, 'v')));
}

function bytesOf(run: Publication): Buffer {
  const { version, topic, qos, retain, hasAlias, names, expires, payloads } = run;
  const frames = payloads.map((payload, index) => {
    const fields = { topic, payload, qos, retain, ...(qos > 0 && { packetId: index + 1 }) };
    if (version === 4) return publish(fields);
    const alias = hasAlias ? [prop.uint16(0x23, PUBLISHER_ALIAS)] : [];
    const expiry = expires ? [prop.uint32(0x02, 60)] : [];
    const properties = Buffer.concat([...expiry, userProperties(names), ...alias]);
    return publish5({ ...fields, topic: hasAlias ? '' : topic, properties });
  });
  return Buffer.concat(frames);
}

/** Topic, properties and payload of each frame of a run. */
function canonicalFrames({ buffer, start, end, propertyBytes }: GroupRun): string[] {
  const texts: string[] = [];
  for (let at = start; at < end; ) {
    const rest = buffer.subarray(at, end);
    const packet = rest.subarray(0, packetEnd(rest));
    const { topic, payload, block } =
      propertyBytes === 0 ? { block: '', ...parsePublish(packet) } : parsePublish5(packet);
    texts.push(`${topic} ${block} ${payload}`);
    at += packet.length;
  }
  return texts;
}

function asCanonical({ version, topic, names, payloads }: Publication): string[] {
  const block = version === 5 ? userProperties(names).toString('hex') : '';
  return payloads.map((payload) => `${topic} ${block} ${payload}`);
}

/** What delivers on one shard, and who has subscribed there to everything. */
class Shard implements FrameSink {
  readonly total = new QueuedTotal();
  readonly arena: TurnArena = new TurnArena(() => this.arena.rewind());
  /** What its one group was given. */
  readonly grouped: string[] = [];
  readonly #delivery = new Delivery({
    shardIndex: 0,
    arena: this.arena,
    pressure: { impatient: new Map(), onFed: () => {}, relieve: () => {} },
    counters: new Counters(),
    queuedTotal: this.total,
    clock: { now: 1 },
  });
  readonly #scan = new FrameScan(1_000_000);
  readonly #scan5 = new FrameScan5(1_000_000, Sender.client);
  readonly #run = new CanonicalRun();
  readonly #routes: RouteCache;
  readonly peers: readonly Peer[];
  #version: 4 | 5 = 4;
  #route!: Route;

  static async of(clients: readonly Client[]): Promise<Shard> {
    const topics = await createTopicsProvider<Session, never>('mem');
    return new Shard(clients, topics);
  }

  private constructor(clients: readonly Client[], topics: TopicsProvider<Session, never>) {
    this.peers = clients.map((each) => new Peer(each, this.total, this.arena));
    for (const peer of this.peers) topics.subscribe('#', peer.session, peer.grant);
    const group = new Session('', 0, 5, 1, NO_LIMITS, new AbsentQueues(this.total));
    group.isGroup = true;
    group.sourceMask = 0;
    topics.subscribe('#', group, 2);
    this.#delivery.groups = {
      deliverToGroup: (_, run) => this.grouped.push(...canonicalFrames(run)),
    };
    this.#routes = new RouteCache(topics as never, 1);
  }

  publish(run: Publication): void {
    this.#version = run.version;
    this.#route = this.#routes.findKey(run.topic);
    const bytes = bytesOf(run);
    (run.version === 4 ? this.#scan : this.#scan5).scan(bytes, 0, bytes.length, this);
    // Nobody may refer to what was read.
    bytes.fill(0xff);
    this.arena.rewind();
  }

  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    _topicStart: number,
    _topicLength: number,
    header: number,
    count: number,
  ): boolean {
    const route = this.#route;
    const run = this.#run;
    const topic = Buffer.from(route.topicKey);
    if (this.#version === 4) {
      this.#deliver(buffer, start, end, header, count, PLAIN_RUN);
      return true;
    }
    run.take(this.#scan5.publish, buffer, start, end, header, topic, 0, topic.length);
    // As what is retained is.
    if ((header & RETAIN) !== 0) run.settle();
    const { propertyBytes, expiresAt, isSettled } = run;
    const traits = { propertyBytes, expiresAt, own: null, aliased: isSettled ? null : run };
    this.#deliver(run.buffer, run.start, run.end, header, count, traits);
    return true;
  }

  #deliver(
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
    traits: Readonly<RunTraits>,
  ): void {
    const { none } = Impatience;
    this.#delivery.deliver(0, 1, none, this.#route, buffer, start, end, header, count, traits);
  }

  onAcks(): boolean {
    return false;
  }

  onFrame(): boolean {
    return false;
  }
}

test('every client gets every message in its own form', async () => {
  const exchanges = fc.asyncProperty(
    fc.array(client, { minLength: 1, maxLength: 5 }),
    fc.array(publication, { minLength: 1, maxLength: 8 }),
    async (clients, runs) => {
      const shard = await Shard.of(clients);
      for (const run of runs) {
        shard.publish(run);
        for (const peer of shard.peers) peer.drain();
      }
      for (const peer of shard.peers) assert.deepEqual(peer.seen, peer.expected(runs));
      assert.deepEqual(shard.grouped, runs.flatMap(asCanonical), 'what anybody may be given');
      assert.equal(shard.total.bytes, 0, 'nothing is kept for ever');
    },
  );
  await fc.assert(exchanges, { numRuns: 300 });
});

test('what waits for a client of 3.1.1 has properties when it comes back with 5.0', async () => {
  const kept: Client = {
    version: 4,
    qos: 1,
    topicAliasMaximum: 0,
    isSmall: false,
    identifier: 0,
    maxInflight: 2,
    endsWithConnection: false,
    retainAsPublished: false,
  };
  const shard = await Shard.of([kept]);
  const names = ['x', 'yy'];
  const flags = { retain: false, hasAlias: true, expires: false } as const;
  shard.publish({ version: 5, topic: 'a', qos: 1, names, payloads: ['1', '2', '3'], ...flags });
  const { session } = shard.peers[0]!;
  session.detach();
  const window = session.window!;
  window.receiver = new Receiver();
  window.limits = { ...NO_LIMITS, maxInflight: 3 };
  window.beginResend();
  const target = Buffer.alloc(1_000);
  let rest = target.subarray(0, window.fill(target, 0, target.length, 1));
  const seen: string[] = [];
  while (rest.length > 0) {
    const length = packetEnd(rest)!;
    const { payload, block } = parsePublish5(rest.subarray(0, length));
    seen.push(`${payload} ${block}`);
    rest = rest.subarray(length);
  }
  const block = userProperties(names).toString('hex');
  assert.deepEqual(seen, [`1 ${block}`, `2 ${block}`, `3 ${block}`]);
});
