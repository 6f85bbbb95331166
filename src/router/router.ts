/**
 * The one path of application messages: a run comes in (from a connection of this shard, from
 * another shard's ring, or made here for a will), and goes to the local sessions whose filters
 * match and to the shards that have others.
 */
import { MATCH_STEPS_PER_SHARE } from '../base/turn-limits.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import { checkRun } from '../protocol/run-check.js';
import { propertyBytesOf } from '../protocol/v5/index.js';
import type { ClientDrops } from './client-drops.js';
import { Delivery } from './delivery.js';
import type { DeliveryParts, PressureSink } from './delivery-parts.js';
import { MadeRuns } from './made-runs.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import { findRetained, takeRetained } from './retained-message.js';
import type { RetainedStore } from './retained-store.js';
import type { Route, RouteCache } from './route.js';
import { PLAIN_RUN, type RunTraits } from './run-traits.js';
import { AWAITS_DURABLE, COUNT_SHIFT, expiryOf, highExpiry, lowExpiry } from './run-words.js';
import type { Impatience } from './slowdown.js';

const QOS_SHIFT = 1;
const QOS_BITS = 3;
const RETAIN = 1;
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

/** Of a shard that has a store. */
export interface DurableSink {
  /** As much waits for the disk as may. */
  readonly isFull: boolean;
  /** A marked run was sent to these shards; those of `kept` keep it in their stores. */
  onSent(shards: number, kept: number): void;
  /** The run is journaled until they have it: its packet ids are. */
  readonly isPending: boolean;
  pend(run: Run): void;
  /** Has what is published and journaled in it be one thing on disk. */
  inOnePiece(publish: () => void): void;
}

/** What a router works with; all of one shard. */
export interface RouterParts extends DeliveryParts {
  readonly routes: RouteCache;
  readonly link: PeerLink;
  readonly retained: RetainedStore;
}

/** Routes runs for one shard. */
export class Router {
  /** What is made here. */
  readonly made: MadeRuns;
  readonly #shardIndex: number;
  readonly #routes: RouteCache;
  readonly #link: PeerLink;
  readonly #retained: RetainedStore;
  readonly #pressure: PressureSink;
  readonly delivery: Delivery;
  /** Null: nothing is kept on disk. Set once, before anything is published. */
  durable: DurableSink | null = null;
  /** Of the run that is being read from a ring, or made here. */
  readonly #traits: RunTraits = { ...PLAIN_RUN };

  constructor(parts: RouterParts) {
    this.#shardIndex = parts.shardIndex;
    this.#routes = parts.routes;
    this.#link = parts.link;
    this.#retained = parts.retained;
    this.#pressure = parts.pressure;
    this.delivery = new Delivery(parts);
    this.made = new MadeRuns(
      parts,
      (run, route, done) => this.#publishMade(run, route, done),
      ({ header }, route) => this.durable?.isFull === true && isKept(route, header),
    );
  }

  /** Whose messages were dropped. */
  get drops(): ClientDrops {
    return this.delivery.drops;
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
   * @param traits of the run, until this returns. Default: those of 3.x.
   */
  publish(
    publisherId: number,
    route: Route,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
    traits: Readonly<RunTraits> = PLAIN_RUN,
  ): void {
    let { shardMask, keptMask } = route;
    const { impatient } = this.#pressure;
    const impatience = impatient.size > 0 ? (impatient.get(publisherId) ?? 0) : 0;
    let flags = impatience << IMPATIENCE_SHIFT;
    if ((header & RETAIN) !== 0) {
      if (route.retainedOwner === this.#shardIndex) {
        bringOlder(route, this.#shardIndex, (header >> QOS_SHIFT) & QOS_BITS);
        this.#retained.store(route.topicKey, buffer, start, end, header, traits);
      } else {
        keepNewer(route, this.#shardIndex, true, buffer, start, end, header, traits);
        const owner = 1 << route.retainedOwner;
        if ((shardMask & owner) === 0) flags |= OWNER_STORES_ONLY;
        shardMask |= owner;
        keptMask |= owner;
      }
    }
    if (shardMask !== 0) {
      if (keptMask !== 0 && this.durable !== null && (header & QOS_MASK) !== 0) {
        flags |= AWAITS_DURABLE;
        this.durable.onSent(shardMask, keptMask);
        if (this.durable.isPending) {
          const { propertyBytes, expiresAt } = traits;
          const bytes = buffer.subarray(start, end);
          const topicLength = route.topicKey.length;
          this.durable.pend({ bytes, header, topicLength, count, propertyBytes, expiresAt });
        }
      }
      this.#send(shardMask, publisherId, flags, route, buffer, start, end, header, count, traits);
    }
    if (route.subscribers.length !== 0) {
      this.delivery.deliver(
        this.#shardIndex,
        publisherId,
        impatience as Impatience,
        route,
        buffer,
        start,
        end,
        header,
        count,
        traits,
      );
    }
  }

  #send(
    shardMask: number,
    publisherId: number,
    flags: number,
    { topicKey }: Route,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
    { propertyBytes, expiresAt }: Readonly<RunTraits>,
  ): void {
    const { length } = topicKey;
    const word1 = header | flags;
    const link = this.#link;
    if (propertyBytes === 0) {
      const kind = RecordKind.run;
      link.send(kind, shardMask, publisherId, word1, length, count, buffer, start, end);
      return;
    }
    const first = word1 | highExpiry(expiresAt);
    const second = length | ((count - 1) << COUNT_SHIFT);
    const third = lowExpiry(expiresAt);
    link.send(RecordKind.run5, shardMask, publisherId, first, second, third, buffer, start, end);
  }

  /**
   * Routes a run made here: a will, a message of the embedding program. See MadeRuns.
   * @param done called when that is done; what it journals is durable with the run, or not at all.
   */
  publishRun(run: Run, topicKey: string, done: (() => void) | null = null): void {
    this.made.publish(run, topicKey, done);
  }

  /** @returns false when the ring has no room for it. */
  #publishMade(run: Run, route: Route, done: (() => void) | null): boolean {
    if (!this.hasRoomFor(route, run.header, run.bytes.length)) return false;
    const { durable } = this;
    if (done === null || durable === null) {
      this.#publishNow(run, route);
      done?.();
      return true;
    }
    durable.inOnePiece(() => {
      this.#publishNow(run, route);
      done();
    });
    return true;
  }

  #publishNow({ bytes, header, count, propertyBytes, expiresAt }: Run, route: Route): void {
    const traits = this.#traits;
    traits.propertyBytes = propertyBytes;
    traits.expiresAt = expiresAt;
    this.publish(NO_PUBLISHER, route, bytes, 0, bytes.length, header, count, traits);
  }

  /**
   * A run record of 3.x from another shard's ring; see RecordKind.run for the words.
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
    const at = checkRun(buffer, start, end, header, topicLength, count);
    return this.#onRun(
      source,
      publisherId,
      word1,
      at,
      topicLength,
      count,
      buffer,
      start,
      end,
      PLAIN_RUN,
    );
  }

  /** The same of 5.0; see RecordKind.run5. */
  onRun5Record(
    source: number,
    publisherId: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): number {
    const header = word1 & 0xff;
    const topicLength = word2 & 0xffff;
    const count = (word2 >>> COUNT_SHIFT) + 1;
    const traits = this.#traits;
    const topicAt = checkRun(buffer, start, end, header, topicLength, count);
    traits.propertyBytes = propertyBytesOf(buffer, start, topicAt, topicLength, header);
    traits.expiresAt = expiryOf(word1, word3);
    return this.#onRun(
      source,
      publisherId,
      word1,
      topicAt,
      topicLength,
      count,
      buffer,
      start,
      end,
      traits,
    );
  }

  #onRun(
    source: number,
    publisherId: number,
    word1: number,
    topicStart: number,
    topicLength: number,
    count: number,
    buffer: Buffer,
    start: number,
    end: number,
    traits: Readonly<RunTraits>,
  ): number {
    const header = word1 & 0xff;
    const route = this.#routes.findWithin(buffer, topicStart, topicLength, MATCH_STEPS_PER_SHARE);
    if (route === null) return -1;
    if ((header & RETAIN) !== 0 && route.retainedOwner === this.#shardIndex) {
      const isStoredOnly = (word1 & OWNER_STORES_ONLY) !== 0;
      if (!isStoredOnly) bringOlder(route, source, (header >> QOS_SHIFT) & QOS_BITS);
      this.#retained.store(route.topicKey, buffer, start, end, header, traits);
      // Who has subscribed here meanwhile gets it as retained, with what else is.
      if (isStoredOnly) return 0;
    } else if ((header & RETAIN) !== 0) {
      keepNewer(route, source, false, buffer, start, end, header, traits);
    }
    if (route.subscribers.length !== 0) {
      const impatience = ((word1 >>> IMPATIENCE_SHIFT) & IMPATIENCE_BITS) as Impatience;
      this.delivery.deliver(
        source,
        publisherId,
        impatience,
        route,
        buffer,
        start,
        end,
        header,
        count,
        traits,
      );
    }
    return route.subscribers.length;
  }
}

/** Whether a message is kept on disk, here or elsewhere, before it is acknowledged. */
export function isKept({ isKept: isQueued }: Route, header: number): boolean {
  return (header & QOS_MASK) !== 0 && (isQueued || (header & RETAIN) !== 0);
}

/**
 * Who is being sent what is retained gets the topic's older message before it is replaced; who is
 * away only where the newer will come too.
 */
function bringOlder(
  { subscribers, grants, topicKey }: Route,
  source: number,
  publishedQos: number,
): void {
  for (let index = 0; index < subscribers.length; index++) {
    const { replay, sourceMask, outlet } = subscribers[index];
    if (replay === null || ((sourceMask >>> source) & 1) === 0) continue;
    const comes = outlet !== null || Math.min(publishedQos, grants[index] & QOS_BITS) > 0;
    if (comes) replay.beforeLive(topicKey);
  }
}

/** Whose SUBACK waits for what another shard retains gets the newest: it may not be there yet. */
function keepNewer(
  { subscribers, topicKey }: Route,
  source: number,
  isLocal: boolean,
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  traits: Readonly<RunTraits>,
): void {
  let frame: string | null | undefined;
  for (let index = 0; index < subscribers.length; index++) {
    const { replay, sourceMask } = subscribers[index]!;
    if (replay === null || ((sourceMask >>> source) & 1) === 0) continue;
    if (!replay.wantsNewer(topicKey, isLocal)) continue;
    if (frame === undefined) {
      const at = findRetained(topicKey, buffer, start, end, header, traits);
      frame = at < 0 ? null : takeRetained(buffer, at, end, traits);
    }
    replay.keepNewer(topicKey, frame, isLocal);
  }
}
