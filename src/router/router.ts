/**
 * The one path of application messages: a run comes in (from a connection of this shard, from
 * another shard's ring, or made here for a will), and goes to the local sessions whose filters
 * match and to the shards that have others.
 */
import type { Counters } from '../base/counters.js';
import { Counter } from '../base/counters.js';
import { MATCH_STEPS_PER_SHARE } from '../base/turn-limits.js';
import { copyRunAsQos0, copyRunWithHeader, frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { checkFrames, checkRun } from '../protocol/run-check.js';
import type { WindowLimits } from '../sessions/outgoing-window.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import { framesEnd } from '../sessions/run-queue.js';
import { ALL_SOURCES, type Outlet, type Session } from '../sessions/session.js';
import { ClientDrops } from './client-drops.js';
import { layOutWindow } from './lay-out-window.js';
import { MadeRuns } from './made-runs.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import type { RetainedStore } from './retained-store.js';
import type { Route, RouteCache } from './route.js';
import { Impatience } from './slowdown.js';
import type { TurnArena } from './turn-arena.js';

const QOS_SHIFT = 1;
const QOS_BITS = 3;
const RETAIN = 1;
const PUBLISH_QOS0 = 0x30;
/**
 * Bit of a run record's second word: the publisher's shard knew of no subscription at the owner of
 * the retained message, which gets the run for its store alone.
 */
const OWNER_STORES_ONLY = 0x1_0000;
/** Where its publisher's Impatience stands there. */
const IMPATIENCE_SHIFT = 17;
const IMPATIENCE_BITS = 3;

/** Publisher id of messages that no connection waits for: wills, the embedding program's. */
export const NO_PUBLISHER = 0;

/** Told when a run reached an outlet that is over its mark, so that its publisher can be paused. */
export interface PressureSink {
  /** Publishers here that do not wait for slow readers. */
  readonly impatient: ReadonlyMap<number, Impatience>;
  onFed(outlet: Outlet, source: number, publisherId: number, qos: number): void;
}

/** What a router works with; all of one shard. */
export interface RouterParts {
  readonly shardIndex: number;
  readonly routes: RouteCache;
  readonly arena: TurnArena;
  readonly link: PeerLink;
  readonly retained: RetainedStore;
  readonly pressure: PressureSink;
  readonly counters: Counters;
  readonly limits: WindowLimits;
  readonly queuedTotal: QueuedTotal;
  /** Coarse time in milliseconds. */
  readonly clock: { readonly now: number };
}

/** Routes runs for one shard. */
export class Router {
  /** Whose messages were dropped. */
  readonly drops = new ClientDrops();
  /** What is made here. */
  readonly made: MadeRuns;
  readonly #shardIndex: number;
  readonly #routes: RouteCache;
  readonly #arena: TurnArena;
  readonly #link: PeerLink;
  readonly #retained: RetainedStore;
  readonly #pressure: PressureSink;
  readonly #counters: Counters;
  readonly #limits: WindowLimits;
  readonly #queuedTotal: QueuedTotal;
  readonly #clock: RouterParts['clock'];
  /** Of the publisher of the run that is being delivered. */
  #impatience: Impatience = Impatience.none;
  /** The run that is being delivered lies in shared memory. */
  #isFromRing = false;
  /**
   * Where in the arena a session was given the whole run that is being delivered; -1: nowhere. A
   * flush in between delivers no run, so it is always this one's.
   */
  #copyAt = -1;
  /** The arena's rewinds then: after another, other bytes are there. */
  #copyRewinds = 0;

  constructor(parts: RouterParts) {
    this.#shardIndex = parts.shardIndex;
    this.#routes = parts.routes;
    this.#arena = parts.arena;
    this.#link = parts.link;
    this.#retained = parts.retained;
    this.#pressure = parts.pressure;
    this.#counters = parts.counters;
    this.#limits = parts.limits;
    this.#queuedTotal = parts.queuedTotal;
    this.#clock = parts.clock;
    this.made = new MadeRuns(parts, ({ bytes, header, count }, route) => {
      if (!this.hasRoomFor(route, header, bytes.length)) return false;
      this.publish(NO_PUBLISHER, route, bytes, 0, bytes.length, header, count);
      return true;
    });
  }

  /** False: runs of so many bytes wait for the ring, else whoever got them here would be ahead. */
  hasRoomFor({ shardMask, retainedOwner }: Route, header: number, bytes: number): boolean {
    const isStoredElsewhere = (header & RETAIN) !== 0 && retainedOwner !== this.#shardIndex;
    return (shardMask === 0 && !isStoredElsewhere) || this.#link.askRoom(bytes);
  }

  /**
   * Routes a run that entered the server at this shard.
   * @param header first byte of its frames, DUP cleared.
   * @param publisherId id of the connection to pause when a reader falls behind, or NO_PUBLISHER.
   */
  publish(
    publisherId: number,
    route: Route,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
  ): void {
    let shardMask = route.shardMask;
    const { impatient } = this.#pressure;
    const impatience = impatient.size > 0 ? (impatient.get(publisherId) ?? 0) : 0;
    let flags = impatience << IMPATIENCE_SHIFT;
    if ((header & RETAIN) !== 0) {
      if (route.retainedOwner === this.#shardIndex) {
        bringOlder(route, this.#shardIndex, (header >> QOS_SHIFT) & QOS_BITS);
        this.#retained.store(route.topicKey, buffer, start, end, header);
      } else {
        const owner = 1 << route.retainedOwner;
        if ((shardMask & owner) === 0) flags |= OWNER_STORES_ONLY;
        shardMask |= owner;
      }
    }
    if (shardMask !== 0) {
      const word1 = header | flags;
      const topicLength = route.topicKey.length;
      this.#link.send(
        RecordKind.run,
        shardMask,
        publisherId,
        word1,
        topicLength,
        count,
        buffer,
        start,
        end,
      );
    }
    if (route.subscribers.length !== 0) {
      this.#impatience = impatience;
      this.#deliver(this.#shardIndex, publisherId, route, buffer, start, end, header, count);
    }
  }

  /** Routes a run made here: a will, a message of the embedding program. See MadeRuns. */
  publishRun(run: Run, topicKey: string): void {
    this.made.publish(run, topicKey);
  }

  /**
   * A run record from another shard's ring; see RecordKind.run for the words.
   * @returns how many subscribers it was for; -1 when finding them takes longer than a share of a
   * turn: nothing is delivered, and the search goes on when the record comes again.
   * @throws RecordError for one that is none; ProtocolError for a topic that is none.
   */
  onRunRecord(
    source: number,
    publisherId: number,
    word1: number,
    topicLength: number,
    count: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): number {
    const header = word1 & 0xff;
    const topicStart = checkRun(buffer, start, end, header, topicLength, count);
    const route = this.#routes.findWithin(buffer, topicStart, topicLength, MATCH_STEPS_PER_SHARE);
    if (route === null) return -1;
    if ((header & RETAIN) !== 0 && route.retainedOwner === this.#shardIndex) {
      const isStoredOnly = (word1 & OWNER_STORES_ONLY) !== 0;
      if (!isStoredOnly) bringOlder(route, source, (header >> QOS_SHIFT) & QOS_BITS);
      this.#retained.store(route.topicKey, buffer, start, end, header);
      // Who has subscribed here meanwhile gets it as retained, with what else is.
      if (isStoredOnly) return 0;
    }
    if (route.subscribers.length !== 0) {
      this.#impatience = ((word1 >>> IMPATIENCE_SHIFT) & IMPATIENCE_BITS) as Impatience;
      this.#deliver(source, publisherId, route, buffer, start, end, header, count);
    }
    return route.subscribers.length;
  }

  #deliver(
    source: number,
    publisherId: number,
    route: Route,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
  ): void {
    const subscribers = route.subscribers;
    const grantedQos = route.grantedQos;
    const publishedQos = (header >> QOS_SHIFT) & QOS_BITS;
    const arena = this.#arena;
    let at = -1;
    let atEnd = 0;
    let rewinds = 0;
    let run: Run | null = null;
    this.#isFromRing = source !== this.#shardIndex;
    this.#copyAt = -1;
    for (let index = 0; index < subscribers.length; index++) {
      const session = subscribers[index];
      if (session.sourceMask !== ALL_SOURCES && ((session.sourceMask >>> source) & 1) === 0)
        continue;
      const isRetained = (header & RETAIN) !== 0;
      if (isRetained && session.replay?.isHeldBack(route.topicKey) === true) continue;
      const qos = Math.min(publishedQos, grantedQos[index]);
      let isDelivered = true;
      if (qos === 0 && session.outlet === null) continue;
      if (qos === 0) {
        // What is laid out for QoS 1 and 2 meanwhile may have filled the arena and begun it anew.
        if (at < 0 || rewinds !== arena.rewinds) {
          at = this.#layOut(publishedQos, buffer, start, end, header);
          atEnd = arena.position;
          rewinds = arena.rewinds;
        }
        isDelivered = this.#deliverBytes(session, session.outlet!, at, atEnd, count);
      } else {
        let from = start;
        let left = count;
        const direct = Math.min(count, directRoom(session));
        if (direct > 0) {
          const isWhole = direct === count;
          from = this.#deliverDirect(session, buffer, start, end, qos as 1 | 2, direct, isWhole);
          left -= direct;
        }
        if (left > 0) {
          // Sessions that take it whole share one copy.
          if (run === null || left < count || run.count < count) {
            // It is kept, and would be met again when nobody knows where it came from.
            if (this.#isFromRing) checkFrames(buffer, from, end, left);
            if (run !== null) this.#queuedTotal.delivered(run);
            const topicLength = route.topicKey.length;
            run = this.#queuedTotal.copyRun(buffer, from, end, header & ~RETAIN, topicLength, left);
          }
          isDelivered = this.#deliverRun(session, run, qos as 1 | 2);
        }
      }
      if (isRetained) session.replay?.onLive(route.topicKey, isDelivered);
      const outlet = session.outlet;
      if (outlet?.isHeavy) this.#pressure.onFed(outlet, source, publisherId, publishedQos);
    }
    if (run !== null) this.#queuedTotal.delivered(run);
  }

  /** Lays a run into the arena as QoS 0 frames without RETAIN [MQTT-3.3.1-9]. */
  #layOut(
    publishedQos: number,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
  ): number {
    const arena = this.#arena;
    if (header === PUBLISH_QOS0) return arena.copy(buffer, start, end);
    const at = arena.reserve(end - start);
    if (publishedQos === 0) {
      copyRunWithHeader(buffer, start, end, arena.buffer, at, PUBLISH_QOS0);
    } else {
      arena.shrink(copyRunAsQos0(buffer, start, end, arena.buffer, at));
    }
    return at;
  }

  /** @returns false when they were dropped. */
  #deliverBytes(
    session: Session,
    outlet: Outlet,
    at: number,
    atEnd: number,
    count: number,
  ): boolean {
    if (outlet.isStalled || (this.#impatience !== 0 && !this.#isWaitedFor(outlet))) {
      this.drops.note(session, count);
      this.#counters.add(Counter.droppedSlowConsumer, count);
      return false;
    }
    outlet.append(at, atEnd, count);
    return true;
  }

  /** The last `dropped` messages of a run found no room in a queue. */
  #countDropped(session: Session, run: Run, dropped: number): void {
    this.drops.note(session, dropped);
    const { maxQueuedBytes } = this.#limits;
    const refused = this.#queuedTotal.takeRefused();
    let oversize = 0;
    if (run.bytes.length > maxQueuedBytes) {
      let at = framesEnd(run.bytes, 0, run.count - dropped);
      while (at < run.bytes.length) {
        const next = frameEnd(run.bytes, at);
        if (next - at > maxQueuedBytes) oversize++;
        at = next;
      }
    }
    this.#counters.add(Counter.droppedOversize, oversize);
    this.#counters.add(Counter.droppedTotalBytes, refused);
    this.#counters.add(Counter.droppedQueueFull, dropped - oversize - refused);
  }

  /** Whether the publisher waits when this outlet is over its mark. */
  #isWaitedFor(outlet: Outlet): boolean {
    if (this.#impatience === Impatience.none || !outlet.isHeavy) return true;
    return this.#impatience === Impatience.withLagging && !outlet.isLagging;
  }

  /**
   * Sends messages at once, past the queue: the ordinary case of a client that keeps up and whose
   * session needs no copy to send again. What one session was given whole of a ring is the source
   * for the next: V8 copies out of shared memory word by word, several times slower.
   * @returns where the messages behind them begin.
   */
  #deliverDirect(
    session: Session,
    buffer: Buffer,
    start: number,
    end: number,
    qos: 1 | 2,
    count: number,
    isWhole: boolean,
  ): number {
    const arena = this.#arena;
    const at = arena.reserve(end - start);
    const window = session.openWindow();
    const now = this.#clock.now;
    const isCopied = this.#copyAt >= 0 && this.#copyRewinds === arena.rewinds;
    const source = isCopied ? arena.buffer : buffer;
    const first = isCopied ? this.#copyAt : start;
    const last = first + end - start;
    const from = window.sendDirect(source, first, last, count, isWhole, qos, arena.buffer, at, now);
    arena.shrink(at + from - first);
    if (this.#isFromRing && isWhole) {
      this.#copyAt = at;
      this.#copyRewinds = arena.rewinds;
    }
    session.outlet!.append(at, arena.position, count);
    return start + from - first;
  }

  /**
   * Queues a run, and lays out at once what the window allows: behind what was published before at
   * another QoS, before what is published next.
   * @returns false when the last of it were dropped.
   */
  #deliverRun(session: Session, run: Run, qos: 1 | 2): boolean {
    const dropped = session.enqueue(
      run,
      qos,
      false,
      session.outlet !== null && this.#isWaitedFor(session.outlet),
    );
    if (dropped > 0) this.#countDropped(session, run, dropped);
    layOutWindow(session, this.#arena, run.bytes.length, this.#clock.now);
    return dropped === 0;
  }
}

/**
 * Who is being sent what is retained gets the topic's older message before it is replaced; who is
 * away only where the newer will come too.
 */
function bringOlder(
  { subscribers, grantedQos, topicKey }: Route,
  source: number,
  publishedQos: number,
): void {
  for (let index = 0; index < subscribers.length; index++) {
    const { replay, sourceMask, outlet } = subscribers[index];
    if (replay === null || ((sourceMask >>> source) & 1) === 0) continue;
    const comes = outlet !== null || Math.min(publishedQos, grantedQos[index]) > 0;
    if (comes) replay.beforeLive(topicKey);
  }
}

/** How many messages a session takes past its queue. */
function directRoom(session: Session): number {
  const { outlet } = session;
  return outlet === null || outlet.isBlocked ? 0 : session.openWindow().directRoom;
}
