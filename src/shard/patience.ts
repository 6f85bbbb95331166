/**
 * How long publishers of this shard wait for slow readers. Without end only while all readers of
 * what they publish are slow: where others keep up, a few seconds of a minute in all, whoever the
 * slow ones are and however often they reconnect. Then a publisher is impatient: it goes on, its
 * runs say so, and slow readers lose its QoS 0 messages, until what they ask of it in a minute has
 * fallen to half of that.
 *
 * Readers that lag are apart from those that kept up so far and are behind for a moment: a
 * publisher that does not wait for the first still waits for the others, which must not lose
 * anything for it.
 */
import {
  LAGGING_AFTER_MS,
  READERS_LOOK_MS,
  SLOW_READERS_MINUTE_MS,
  SLOW_READERS_WAIT_MS,
  SWEEP_MS,
} from '../base/limits.js';
import type { PeerLink } from '../router/peer-link.js';
import { RecordKind } from '../router/records.js';
import type { RouteCache } from '../router/route.js';
import { Impatience, Lag, type Publisher, Slowdown } from '../router/slowdown.js';

const NO_BYTES = Buffer.alloc(0);
const WAYS = [Slowdown.holdAcks, Slowdown.stopReading] as const;
const SLICES = 12;
const SLICE_MS = SLOW_READERS_MINUTE_MS / SLICES;
/** What was found of other readers counts for so long: two looks, and the way there and back. */
const OTHERS_KNOWN_MS = 3 * READERS_LOOK_MS;

/** Milliseconds spent within the last minute; a thirteenth slice is the one that is leaving it. */
export class LastMinute {
  readonly #slices = new Float64Array(SLICES + 1);
  #slice = 0;

  /** Adds what was spent up to `now`. */
  add(now: number, ms: number): void {
    this.#moveTo(now);
    this.#slices[this.#slice % this.#slices.length] += ms;
  }

  /** All that was spent in the minute before `now`, and up to a slice longer. */
  sum(now: number): number {
    this.#moveTo(now);
    return this.#slices.reduce((sum, ms) => sum + ms, 0);
  }

  #moveTo(now: number): void {
    const slice = Math.floor(now / SLICE_MS);
    const passed = Math.min(slice - this.#slice, this.#slices.length);
    for (let back = 0; back < passed; back++)
      this.#slices[(slice - back) % this.#slices.length] = 0;
    this.#slice = slice;
  }
}

/** A publisher that slow readers have asked to wait. */
class Asked {
  readonly publisher: Publisher;
  /** Shards with readers that lag and ask, by Slowdown; and with others that do. */
  readonly lagging = [0, 0, 0];
  readonly others = [0, 0, 0];
  impatience: Impatience = Impatience.none;
  /** For how long readers that lag have asked while others kept up. */
  readonly asked = new LastMinute();
  /** The part of it for which readers asked that had kept up until then. */
  readonly turned = new LastMinute();
  /** When it was asked last. */
  askedAt: number;
  lookedAt = Number.NEGATIVE_INFINITY;
  othersSeenAt = Number.NEGATIVE_INFINITY;
  /** Since when readers that lag ask; -1: none does. */
  since = -1;
  /** Of them, when it turns out that others keep up. */
  askedMs = 0;
  turnedMs = 0;

  constructor(publisher: Publisher, now: number) {
    this.publisher = publisher;
    this.askedAt = now;
  }

  get isAskedByLagging(): boolean {
    return this.lagging.some((shards) => shards !== 0);
  }

  get isAskedByOthers(): boolean {
    return this.others.some((shards) => shards !== 0);
  }

  /** Counts the time up to now for which it is asked. */
  count(now: number): void {
    if (this.since >= 0) this.askedMs += now - this.since;
    this.since = this.isAskedByLagging ? now : -1;
    if (this.since >= 0) this.askedAt = now;
  }

  /** Decides for which readers it waits. */
  decide(now: number): void {
    const isShared = now - this.othersSeenAt <= OTHERS_KNOWN_MS;
    if (isShared) {
      this.asked.add(now, this.askedMs);
      this.turned.add(now, this.turnedMs);
    }
    const isKept = !isShared && this.isAskedByLagging;
    this.askedMs = isKept ? Math.min(this.askedMs, SLOW_READERS_WAIT_MS) : 0;
    this.turnedMs = isKept ? Math.min(this.turnedMs, SLOW_READERS_WAIT_MS) : 0;
    const isImpatient = this.impatience !== Impatience.none;
    const bound = isImpatient ? SLOW_READERS_WAIT_MS / 2 : SLOW_READERS_WAIT_MS - SWEEP_MS;
    if (this.asked.sum(now) < bound || (!isShared && this.isAskedByLagging)) {
      this.impatience = Impatience.none;
    } else {
      const isAll = this.turned.sum(now) >= SLOW_READERS_WAIT_MS / 2;
      this.impatience = isAll ? Impatience.withAll : Impatience.withLagging;
    }
  }

  /** Has the publisher wait in this way, or no longer. */
  tell(how: Slowdown): void {
    let shards = 0;
    if (this.impatience === Impatience.none) shards = this.lagging[how];
    if (this.impatience !== Impatience.withAll) shards |= this.others[how];
    this.publisher.slowDown(how, shards);
  }
}

/** What it works with, all of one shard. */
export interface PatienceParts {
  readonly link: PeerLink;
  readonly routes: RouteCache;
  readonly publishers: (id: number) => Publisher | undefined;
  /** Asks for another turn. */
  readonly schedule: () => void;
  /** Milliseconds that do not go back, exact. */
  readonly clock: () => number;
}

/** The publishers of one shard that are asked to wait. */
export class Patience {
  /** Impatience of publishers by their ids, where there is any: their runs say so. */
  readonly impatient = new Map<number, Impatience>();
  readonly #parts: PatienceParts;
  readonly #asked = new Map<number, Asked>();

  constructor(parts: PatienceParts) {
    this.#parts = parts;
  }

  /**
   * Shard `from` has or no longer has a reader that wants publisher `id` to wait. @param lag of the
   * reader when it begins, at least whether it lags when it ends.
   */
  slowDown(from: number, id: number, how: Slowdown, lag: Lag, isOn: boolean): void {
    const asked = this.#asked.get(id) ?? this.#begin(id, isOn);
    if (asked === undefined) return;
    const shards = lag === Lag.none ? asked.others : asked.lagging;
    if (isOn) shards[how] |= 1 << from;
    else shards[how] &= ~(1 << from);
    asked.tell(how);
    asked.count(this.#parts.clock());
    if (!isOn || lag !== Lag.turned) return;
    // It has been waited for until it was known to lag.
    asked.askedMs += LAGGING_AFTER_MS;
    asked.turnedMs += LAGGING_AFTER_MS;
  }

  /** A publisher is gone. */
  forget(id: number): void {
    this.#asked.delete(id);
    this.impatient.delete(id);
  }

  /** A peer died: nobody waits for its readers. */
  dropPeer(index: number): void {
    for (const id of [...this.#asked.keys()]) {
      for (const how of WAYS) {
        this.slowDown(index, id, how, Lag.none, false);
        this.slowDown(index, id, how, Lag.known, false);
      }
    }
  }

  /** Looks at every publisher that waits or has waited lately; to be called every SWEEP_MS. */
  onTick(): void {
    if (this.#asked.size === 0) return;
    const now = this.#parts.clock();
    for (const [id, asked] of this.#asked) this.#look(id, asked, now);
  }

  /** A shard with publisher `id` asks: does anybody here keep up with this topic? */
  onReadersQuery(from: number, id: number, topicKey: string): void {
    if (!this.#hasReaderThatKeepsUp(topicKey)) return;
    const { link } = this.#parts;
    link.send(RecordKind.readersKeepUp, 1 << from, id, 0, 0, 0, NO_BYTES, 0, 0);
  }

  /** The answer to such a question asked here. */
  onReadersKeepUp(id: number): void {
    const asked = this.#asked.get(id);
    if (asked !== undefined) asked.othersSeenAt = this.#parts.clock();
  }

  #begin(id: number, isOn: boolean): Asked | undefined {
    const publisher = isOn ? this.#parts.publishers(id) : undefined;
    if (publisher === undefined) return undefined;
    const asked = new Asked(publisher, this.#parts.clock());
    this.#asked.set(id, asked);
    return asked;
  }

  #look(id: number, asked: Asked, now: number): void {
    asked.count(now);
    if (asked.askedMs > 0 && now - asked.lookedAt >= READERS_LOOK_MS) {
      asked.lookedAt = now;
      this.#lookForOthers(id, asked, now);
    }
    const before = asked.impatience;
    asked.decide(now);
    if (asked.impatience !== before) {
      if (asked.impatience === Impatience.none) this.impatient.delete(id);
      else this.impatient.set(id, asked.impatience);
      for (const how of WAYS) {
        if ((asked.lagging[how] | asked.others[how]) !== 0) asked.tell(how);
      }
    }
    if (now - asked.askedAt > SLOW_READERS_MINUTE_MS + SLICE_MS && !asked.isAskedByOthers) {
      this.forget(id);
    }
  }

  /** Whether anybody keeps up with what it has published lately: here at once, elsewhere later. */
  #lookForOthers(id: number, asked: Asked, now: number): void {
    const { routes, link, schedule } = this.#parts;
    for (const { topicKey } of asked.publisher.recentRoutes()) {
      if (this.#hasReaderThatKeepsUp(topicKey)) {
        asked.othersSeenAt = now;
        return;
      }
      const { shardMask } = routes.findKey(topicKey);
      if (shardMask === 0) continue;
      const body = Buffer.from(topicKey, 'latin1');
      link.send(RecordKind.readersQuery, shardMask, id, 0, 0, 0, body, 0, body.length);
      schedule();
    }
  }

  #hasReaderThatKeepsUp(topicKey: string): boolean {
    const { subscribers } = this.#parts.routes.findKey(topicKey);
    return subscribers.some(({ outlet }) => outlet?.keepsUp === true);
  }
}
