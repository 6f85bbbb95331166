/**
 * Shards without threads: the real router, interest, registry and takeover of each, joined by
 * queues that a test empties record by record in any order it likes. What one shard tells another
 * stays in order, as on a ring; nothing else does.
 */
import { Counters } from '../../../src/base/counters.js';
import { Deadlines } from '../../../src/base/deadlines.js';
import { HANDOVER_PIECE_COST_BYTES } from '../../../src/base/handover-limits.js';
import type { ConnectRequest } from '../../../src/connection/connect-request.js';
import { ConnectionState } from '../../../src/connection/connection.js';
import { TurnShare } from '../../../src/connection/turn-share.js';
import { Directory } from '../../../src/primary/directory.js';
import type { QoS } from '../../../src/protocol/packet.js';
import { Interest } from '../../../src/router/interest.js';
import { Members } from '../../../src/router/members.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RetainedInMemory } from '../../../src/router/retained-in-memory.js';
import type { RetainedMessage } from '../../../src/router/retained-message.js';
import { RetainedStore } from '../../../src/router/retained-store.js';
import { RouteCache } from '../../../src/router/route.js';
import { Router } from '../../../src/router/router.js';
import { TurnArena } from '../../../src/router/turn-arena.js';
import { DelayedWills } from '../../../src/sessions/delayed-wills.js';
import { MemoryStore } from '../../../src/sessions/memory-store.js';
import { QueuedTotal } from '../../../src/sessions/queued-total.js';
import type { Outlet, Session } from '../../../src/sessions/session.js';
import type { ToPrimary, ToShard } from '../../../src/shard/control.js';
import { DeadPeers } from '../../../src/shard/dead-peers.js';
import { PrimaryLine } from '../../../src/shard/primary-line.js';
import { ShardRecords } from '../../../src/shard/records-in.js';
import { SessionRegistry } from '../../../src/shard/session-registry.js';
import type { Shard } from '../../../src/shard/shard.js';
import { Takeover } from '../../../src/shard/takeover.js';
import type { TopicsProvider } from '../../../src/topics/provider.js';
import { makeOutlet } from '../../support/outlet.js';
import { readFrames, runOf } from '../sessions/frames.js';

const LIMITS = { maxInflight: 4, maxQueuedMessages: 10_000, maxQueuedBytes: 1_000_000 };
/** A filter or a run a piece, two pieces ahead. */
const SIZES = { pieceBytes: HANDOVER_PIECE_COST_BYTES + 1, bytesAhead: 600 };
const TOPIC = 'a/b';
/** What the client subscribes to: two of them match what is published. */
export const FILTERS: readonly [string, QoS][] = [
  ['a/+', 1],
  ['x/1', 1],
  ['a/b', 1],
  ['x/2', 1],
];
const EXPIRY_MS = 60_000;
export const CLIENT_ID = 'moving';

interface Message {
  readonly kind: number;
  readonly words: readonly [number, number, number, number];
  readonly body: Buffer;
}

/** The moving client: what it has got, and what it has not acknowledged. */
export class ModelClient {
  /** By publisher: the next message expected. */
  readonly expected: number[];
  readonly unacknowledged = new Map<number, string>();
  /** Whether messages may be missing: a shard has died, or the session has begun anew. */
  isLossAllowed = false;
  /** Whether it has connected with a clean session. */
  hasBeenClean = false;
  /** Whether its session may be gone: discarded, or lost with a shard. */
  mayBeginAnew = false;
  #sessions = 0;
  connection: ModelConnection | null = null;
  /** All connections that the server takes for open. */
  readonly open = new Set<ModelConnection>();

  constructor(publishers: number) {
    this.expected = new Array<number>(publishers).fill(0);
  }

  /** @throws Error for a message that is lost, doubled or out of order. */
  receive(bytes: Buffer): void {
    for (const { type, dup, packetId, payload } of readFrames(bytes)) {
      if (type !== 'publish' || packetId === 0) throw new Error(`unexpected ${type} ${packetId}`);
      const known = this.unacknowledged.get(packetId);
      if (dup) {
        if (known !== payload) throw new Error(`sent again: ${payload}, but got ${known} before`);
        continue;
      }
      if (known !== undefined) throw new Error(`packet id ${packetId} is in use`);
      this.unacknowledged.set(packetId, payload);
      const [publisher, number] = payload.split(':').map(Number);
      const expected = this.expected[publisher];
      const isRight = this.isLossAllowed ? number >= expected : number === expected;
      if (!isRight) throw new Error(`publisher ${publisher}: ${number} instead of ${expected}`);
      this.expected[publisher] = number + 1;
    }
  }

  /** The server knows nothing: what a slow ring still brings the last session may have had. */
  beginSession(): void {
    this.unacknowledged.clear();
    this.#sessions++;
    if (this.#sessions === 1) return;
    if (!this.mayBeginAnew) throw new Error('the session is gone');
    // Until its filters are routed everywhere, what comes has gaps.
    this.isLossAllowed = true;
    this.expected.fill(0);
  }

  acknowledge(): void {
    const window = this.connection?.session?.window;
    const packetId = this.unacknowledged.keys().next().value;
    if (window == null || packetId === undefined) return;
    if (!window.onPuback(packetId)) throw new Error(`nobody waits for packet id ${packetId}`);
    this.unacknowledged.delete(packetId);
    this.connection?.outlet.wake();
  }
}

/** As much of a Connection as a takeover sees. */
export class ModelConnection {
  readonly clientId = CLIENT_ID;
  readonly profile = LIMITS;
  state: ConnectionState = ConnectionState.connecting;
  session: Session | null = null;
  readonly shard: ModelShard;
  readonly client: ModelClient;
  readonly outlet: Outlet;
  readonly #target = Buffer.alloc(65_536);

  constructor(shard: ModelShard, client: ModelClient) {
    this.shard = shard;
    this.client = client;
    this.outlet = makeOutlet({
      append: (start, end) => this.#receive(shard.arena.buffer.subarray(start, end)),
      wake: () => this.#pump(),
      closeConnection: () => this.close(),
    });
  }

  attach(session: Session, _request: ConnectRequest, sessionPresent: boolean): boolean {
    const { client } = this;
    // When a claimer dies, the next in line may begin before the holder has read of the release.
    // Nor does who discards the session wait until the holder has read of it.
    const isLateAllowed = client.isLossAllowed || client.hasBeenClean;
    if (client.open.size > 0 && !isLateAllowed) throw new Error('two connections');
    client.connection = this;
    client.open.add(this);
    this.state = ConnectionState.open;
    this.session = session;
    session.attach(this.outlet);
    if (!sessionPresent) {
      client.beginSession();
      this.shard.registry.subscribe(session, FILTERS, () => {});
    }
    session.window?.beginResend();
    this.#pump();
    return true;
  }

  refuse(): void {
    this.state = ConnectionState.closed;
  }

  close(): void {
    if (this.client.connection === this) this.client.connection = null;
    this.client.open.delete(this);
    this.state = ConnectionState.closed;
    const { session } = this;
    this.session = null;
    session?.detach();
    if (session !== null) this.shard.registry.leave(session);
  }

  #pump(): void {
    const window = this.session?.window;
    while (window?.sendable) {
      const end = window.fill(this.#target, 0, this.#target.length, 1);
      this.#receive(this.#target.subarray(0, end));
    }
  }

  #receive(bytes: Buffer): void {
    if (this.client.connection === this) this.client.receive(bytes);
  }
}

/** One shard: everything that takes part in a takeover is the real thing. */
export class ModelShard {
  readonly index: number;
  /** To and from each other shard; null: it is dead, or not welcomed. */
  readonly out: (Message[] | null)[];
  readonly inbox: (Message[] | null)[];
  readonly toPrimary: ToPrimary[] = [];
  readonly fromPrimary: ToShard[] = [];
  /** Peers that have not welcomed this one yet. */
  welcomesDue = 0;
  /** Whether a turn's end is due. */
  isScheduled = false;
  readonly topics: TopicsProvider<Session, RetainedMessage>;
  readonly store = new MemoryStore<Session>();
  readonly routes: RouteCache;
  readonly interest: Interest;
  readonly router: Router;
  readonly registry: SessionRegistry;
  readonly queuedTotal = new QueuedTotal();
  readonly takeover: Takeover;
  readonly deadPeers: DeadPeers;
  readonly line: PrimaryLine;
  readonly arena = new TurnArena(() => this.arena.rewind());
  /** While it is above 0, hand-overs wait. */
  readonly link: { backlogBytes: number; readonly isBlocked: boolean; readonly isFull: boolean };
  /** Of the sessions whose client is away. */
  readonly deadlines = new Deadlines<Session>(0, (session) => this.registry.end(session));
  #now = 0;
  /** By so many milliseconds a look at the clock finds it later, and where it stands. */
  msPerLook = 0;
  #clockMs = 0;
  readonly #records: ShardRecords;

  constructor(index: number, count: number, topics: TopicsProvider<Session, RetainedMessage>) {
    this.index = index;
    this.topics = topics;
    this.out = Array.from({ length: count }, (_, peer) => (peer === index ? null : []));
    this.inbox = new Array<Message[] | null>(count).fill(null);
    this.link = {
      backlogBytes: 0,
      get isBlocked() {
        return this.backlogBytes > 0;
      },
      get isFull() {
        return this.backlogBytes > 0;
      },
    };
    const link = Object.assign(this.link, {
      send: this.#send.bind(this),
      addWork() {},
      askRoom: () => true,
      hasNews: false,
      mark: () => 0,
      isPast: () => true,
    }) as unknown as PeerLink;
    const schedule = () => {
      this.isScheduled = true;
    };
    const port = { postMessage: (message: ToPrimary) => this.toPrimary.push(message) };
    this.line = new PrimaryLine(port as never, 'silent', schedule);
    this.routes = new RouteCache(topics, count);
    this.interest = new Interest(link, index, count);
    const counters = new Counters();
    const { queuedTotal, routes } = this;
    const wills = new DelayedWills((run, key, _, published) =>
      this.router.publishRun(run, key, published),
    );
    const { deadlines } = this;
    const own = { routes, link, topics, counters, queuedTotal, deadlines, wills };
    const shared = { shardIndex: index, ...own };
    const pressure = { impatient: new Map(), onFed() {}, relieve() {} };
    const share = { maxRetainedMessages: 1, maxRetainedBytes: 1_000 };
    const retained = new RetainedStore(new RetainedInMemory(topics), counters, share);
    const { arena, line, interest, store } = this;
    const limits = LIMITS;
    this.router = new Router({ ...shared, arena, retained, pressure, clock: { now: 1 } });
    const onAbsent = (session: Session) => this.deadlines.set(session, this.#now, EXPIRY_MS);
    const afterMade = (done: () => void) => this.router.made.whenPublished(done);
    const members = new Members({
      onLongIdentity() {},
      ...shared,
      shardCount: count,
      interest,
      delivery: this.router.delivery,
      pressure,
      rows: null,
      absentQueues: () => this.registry.absentQueues,
      strategy: 'round-robin',
      rightsOf: () => null,
      makeSession: () => this.registry.makeGroupSession(),
      schedule,
    });
    const kept = { store, interest, limits, line, afterMade, schedule, onAbsent, members };
    const clock = () => {
      this.#clockMs += this.msPerLook;
      return this.#clockMs;
    };
    this.registry = new SessionRegistry({ ...shared, ...kept, rows: null, clock });
    const { registry } = this;
    const sizes = SIZES;
    const replays = { expectMoved() {}, restore() {}, recall() {} };
    const access = { admit() {}, mayLeaveWill: () => true };
    const whenDurable = (done: () => void) => done();
    const whenKept = (_shards: number, done: () => void) => done();
    const onClaimed = (session: Session) => session.cancelDeadline();
    const waits = { afterMade, whenDurable, whenKept, onClaimed };
    const moved = { registry, interest, replays, access, ...waits };
    this.takeover = new Takeover({ ...shared, ...moved, line, schedule, sizes });
    this.deadPeers = new DeadPeers({ topics, routes: this.routes, schedule });
    const { router, takeover } = this;
    const turn = { flushWhenFull() {} };
    const parts = {
      topics,
      routes,
      link,
      interest,
      router,
      takeover,
      turn,
      share: new TurnShare(1, () => 0),
    };
    this.#records = new ShardRecords(parts as unknown as Shard);
  }

  /** So much time passes that every session ends whose client is away. */
  expire(): void {
    this.#now += 2 * EXPIRY_MS;
    this.deadlines.advance(this.#now);
    this.isScheduled = true;
  }

  /** The end of a turn. */
  endTurn(): void {
    this.isScheduled = false;
    if (this.router.made.goOn()) this.isScheduled = true;
    this.registry.onTurn();
    this.deadPeers.onTurn();
    this.interest.flush();
    if (this.interest.sendPieces()) this.isScheduled = true;
    if (this.takeover.sendPieces()) this.isScheduled = true;
    if (!this.link.isFull) this.registry.onRingRoom();
    this.line.flush();
    this.arena.rewind();
  }

  receiveFrom(peer: number): void {
    const message = this.inbox[peer]?.shift();
    if (message === undefined) return;
    const { kind, words, body } = message;
    this.#records.onRecord(peer, kind, ...words, body, 0, body.length);
    this.isScheduled = true;
  }

  publish(payloads: readonly string[]): void {
    this.router.publishRun(runOf(payloads), TOPIC);
    this.isScheduled = true;
  }

  sayWelcomed(index: number): void {
    this.toPrimary.push({ kind: 'peer-welcomed', shardIndex: index });
  }

  dropPeer(index: number): void {
    this.inbox[index] = null;
    this.out[index] = null;
    if (this.deadPeers.drop(index)) this.sayWelcomed(index);
    this.routes.invalidateAll();
    this.interest.dropPeer(index);
    this.takeover.dropPeer(index);
    this.takeover.letGo(index);
    this.isScheduled = true;
  }

  #send(
    kind: number,
    shardMask: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const body = Buffer.from(bytes.subarray(start, end));
    for (let peer = 0; peer < this.out.length; peer++) {
      if (((shardMask >>> peer) & 1) === 0) continue;
      this.out[peer]?.push({ kind, words: [word0, word1, word2, word3], body });
    }
  }
}

/** The shards, their primary, one client that moves, and a publisher on each shard. */
export class ModelNet {
  readonly shards: (ModelShard | null)[];
  readonly directory: Directory;
  readonly client: ModelClient;
  readonly published: number[];
  /** Which records are not read for now. */
  isHeldBack: (from: number, to: number, kind: number) => boolean = () => false;
  /** All that were ever made. */
  readonly connections: ModelConnection[] = [];
  readonly #makeTopics: () => TopicsProvider<Session, RetainedMessage>;

  constructor(count: number, makeTopics: () => TopicsProvider<Session, RetainedMessage>) {
    this.#makeTopics = makeTopics;
    this.published = new Array<number>(count).fill(0);
    this.client = new ModelClient(count);
    this.shards = this.published.map((_, index) => new ModelShard(index, count, makeTopics()));
    for (const shard of this.shards) {
      for (const peer of this.shards) shard!.inbox[peer!.index] = peer!.out[shard!.index];
    }
    this.directory = new Directory({
      grant: (to, claim, from) => this.#post(to, { kind: 'granted', claim, from }),
      refuse: (to, claim, reason) => this.#post(to, { kind: 'refused', claim, reason }),
      release: (holder, clientId, claim, to, newClaim, discard) =>
        this.#post(holder, { kind: 'release', clientId, claim, to, newClaim, discard }),
    });
  }

  /** Live shards that clients are sent to. */
  get ready(): ModelShard[] {
    return this.shards.filter((shard) => shard?.welcomesDue === 0) as ModelShard[];
  }

  publish(shard: ModelShard, count: number): void {
    const { index } = shard;
    const payloads = Array.from({ length: count }, () => `${index}:${this.published[index]++}`);
    shard.publish(payloads);
  }

  connect(shard: ModelShard, cleanSession = false): ModelConnection {
    const connection = new ModelConnection(shard, this.client);
    if (cleanSession) {
      this.client.hasBeenClean = true;
      this.client.mayBeginAnew = true;
    }
    const sessionExpiryMs = cleanSession ? 0 : Number.POSITIVE_INFINITY;
    const own = { cleanStart: cleanSession, sessionExpiryMs, clientId: CLIENT_ID };
    const request = { ...own, protocolVersion: 4, will: null } as unknown as ConnectRequest;
    this.connections.push(connection);
    shard.takeover.claim(connection as never, request);
    return connection;
  }

  /** Whether the ring of a shard has room for hand-overs. */
  setRingFull(shard: ModelShard, isFull: boolean): void {
    shard.link.backlogBytes = isFull ? 1 : 0;
    shard.isScheduled = true;
  }

  /** Everything that could happen next without anybody outside doing anything. */
  steps(): (() => void)[] {
    const steps: (() => void)[] = [];
    for (const shard of this.shards) {
      if (shard === null) continue;
      if (shard.isScheduled) steps.push(() => shard.endTurn());
      if (shard.toPrimary.length > 0) steps.push(() => this.#toPrimary(shard));
      if (shard.fromPrimary.length > 0) steps.push(() => this.#fromPrimary(shard));
      shard.inbox.forEach((queue, peer) => {
        if (queue === null || queue.length === 0) return;
        if (this.isHeldBack(peer, shard.index, queue[0].kind)) return;
        steps.push(() => shard.receiveFrom(peer));
      });
    }
    return steps;
  }

  /** Lets all happen that is under way. */
  settle(): void {
    for (let steps = this.steps(); steps.length > 0; steps = this.steps()) steps[0]();
  }

  /** A shard dies, as the primary sees it: peers first, then the directory. */
  die(index: number): void {
    const dead = this.shards[index]!;
    this.client.mayBeginAnew = true;
    this.shards[index] = null;
    for (const connection of this.client.open) if (connection.shard === dead) connection.close();
    for (const peer of this.shards)
      peer?.fromPrimary.push({ kind: 'peer-dead', shardIndex: index });
    this.directory.shardDied(index);
  }

  /** A successor of a dead shard; clients come to it when all peers have welcomed it. */
  replace(index: number): void {
    const successor = new ModelShard(index, this.shards.length, this.#makeTopics());
    this.shards[index] = successor;
    for (const peer of this.shards) {
      if (peer === null || peer === successor) continue;
      successor.welcomesDue++;
      const message = { kind: 'peer-new', shardIndex: index, doorbellWriteFd: -1 } as const;
      peer.fromPrimary.push({ ...message, ring: new SharedArrayBuffer(0) });
    }
  }

  #post(to: number, message: ToShard): void {
    this.shards[to]?.fromPrimary.push(message);
  }

  #toPrimary(shard: ModelShard): void {
    const message = shard.toPrimary.shift()!;
    if (message.kind === 'claims') this.directory.claim(message.claims);
    else if (message.kind === 'settled') this.directory.settle(message.claims);
    else if (message.kind === 'dropped') this.directory.drop(message.claims);
    else if (message.kind === 'peer-welcomed') this.shards[message.shardIndex]!.welcomesDue--;
  }

  #fromPrimary(shard: ModelShard): void {
    const message = shard.fromPrimary.shift()!;
    shard.isScheduled = true;
    if (message.kind === 'granted') shard.takeover.onGranted(message.claim, message.from);
    else if (message.kind === 'refused') shard.takeover.onRefused(message.claim, message.reason);
    else if (message.kind === 'release') shard.takeover.onRelease(message);
    else if (message.kind === 'peer-dead') shard.dropPeer(message.shardIndex);
    else if (message.kind === 'peer-new') {
      const { shardIndex } = message;
      shard.deadPeers.whenForgotten(shardIndex, () => this.#welcome(shard, shardIndex));
    }
  }

  #welcome(shard: ModelShard, index: number): void {
    const successor = this.shards[index]!;
    shard.inbox[index] = successor.out[shard.index];
    shard.out[index] = [];
    successor.inbox[shard.index] = shard.out[index];
    shard.takeover.welcomePeer(index);
    shard.interest.welcomePeer(
      index,
      shard.topics.localFilters(),
      () => shard.takeover.onPeerTold(index),
      () => shard.sayWelcomed(index),
    );
  }
}
