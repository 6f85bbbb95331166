/**
 * What other shards retain of the filters of a SUBSCRIBE is asked for before its SUBACK goes out.
 * It then follows the SUBACK at once, so that it comes before whatever is published behind that
 * [MQTT-3.3.1-6]: were it asked for later, a newer message could come live meanwhile, and nothing
 * as retained. What does not come whole and soon is left to the replay (retained-replay.ts).
 *
 * A question lies on the ring behind the filter's announcement, which all have confirmed: so what
 * its owner had not stored when it answered comes here too. Of what comes here meanwhile the newest
 * of a topic is kept, and sent in place of what its owner has answered: it is no older. The one
 * other shard of two is asked at once, and what it has sent before it confirms is in its answer.
 * test/model/replay-model.ts steps through all schedules.
 */
import {
  OPENING_BYTES_MAX,
  OPENING_PART_BYTES_MIN,
  OPENING_TOPIC_BYTES_MAX,
  OPENING_TOTAL_BYTES_MAX,
  OPENINGS_BYTES_MAX,
} from '../base/limits.js';
import type { WordIds } from '../base/word-ids.js';
import { hasWildcard, matchesKey } from '../topics/topic.js';
import type { Arrived } from './arrived-message.js';
import type { PeerLink } from './peer-link.js';
import { RecordKind } from './records.js';
import type { Filters } from './replay-filters.js';
import type { RetainedMessage } from './retained-message.js';
import { type OwnersParts, RetainedOwners } from './retained-owners.js';

/** What a topic in a Map takes beside its characters. */
const TOPIC_OVERHEAD_BYTES = 64;

/** The filters of one SUBSCRIBE whose SUBACK waits. */
export class Opening {
  readonly filters: Filters;
  /** Called once: the SUBACK may go out. */
  readonly ready: () => void;
  /** By filter what has come; null where that is not all. */
  readonly found = new Map<string, Arrived[] | null>();
  /**
   * The newest that has come here of topics that other shards own since they were asked; null: the
   * topic was cleared.
   */
  readonly newer = new Map<string, RetainedMessage | null>();
  /** Questions that are not answered. */
  readonly unanswered = new Set<number>();
  /** What is set aside for it of OPENINGS_BYTES_MAX. */
  bytes = 0;
  newerBytes = 0;
  /** All shards route the filters. */
  isRouted = false;
  isAsked = false;
  /** All of it is left to the replay. */
  isGivenUp = false;
  isReady = false;

  constructor(filters: Filters, ready: () => void) {
    this.filters = filters;
    this.ready = ready;
  }

  /** Whether what comes here of this topic is to be kept. @param isLocal published here. */
  wants(topicKey: string, isLocal: boolean): boolean {
    if (!this.isAsked || this.isGivenUp) return false;
    // From another shard, asked at once: it answers with that, or what it has not routed here.
    if (!this.isRouted && !isLocal) return false;
    return this.filters.some(([filterKey]) => matchesKey(filterKey, topicKey));
  }

  /** Whether all that other shards retain for a filter has come. */
  isWhole(filterKey: string): boolean {
    if (this.isGivenUp || !this.isReady) return false;
    return (this.found.get(filterKey) ?? null) !== null;
  }
}

interface Question {
  readonly opening: Opening;
  readonly filterKey: string;
  readonly owner: number;
  /** How much is wanted. */
  readonly bytesMax: number;
}

/** What they work with, all of one shard. */
export interface OpeningParts extends OwnersParts {
  readonly link: PeerLink;
  /** Asks for another turn. */
  readonly schedule: () => void;
}

/** One a shard. */
export class Openings {
  readonly #parts: OpeningParts;
  readonly #owners: RetainedOwners;
  readonly #ids: WordIds;
  /** Ids in use, of replays too. */
  readonly used: { has(id: number): boolean };
  readonly #questions = new Map<number, Question>();
  #unsent: number[] = [];
  /** Given up: their SUBACKs may go out. */
  #left: Opening[] = [];
  /** Set aside, of OPENINGS_BYTES_MAX. */
  #bytes = 0;

  /** @param ids shared with replays, whose ids are `taken`: owners answer both alike. */
  constructor(parts: OpeningParts, ids: WordIds, taken: { has(id: number): boolean }) {
    this.#parts = parts;
    this.#owners = new RetainedOwners(parts);
    this.#ids = ids;
    this.used = { has: (id) => taken.has(id) || this.#questions.has(id) };
  }

  has(id: number): boolean {
    return this.#questions.has(id);
  }

  /**
   * A session is about to subscribe to filters. @returns null when no other shard is to be asked.
   */
  begin(filters: Filters, ready: () => void): Opening | null {
    // Its successor is to be asked: the replay waits for that.
    if (this.#owners.isAnyAwaited) return null;
    if (!filters.some(([filterKey]) => this.#ownersOf(filterKey) !== 0)) return null;
    const opening = new Opening(filters, ready);
    if (this.#parts.shardCount === 2) this.#ask(opening);
    return opening;
  }

  /** All shards route its filters. */
  onRouted(opening: Opening): void {
    opening.isRouted = true;
    if (!opening.isAsked && !opening.isGivenUp) this.#ask(opening);
    this.#settle(opening);
  }

  /** To be called before a flush, when the filters are announced. */
  flush(): void {
    const { link } = this.#parts;
    const unsent = this.#unsent;
    if (unsent.length > 0) this.#unsent = [];
    for (const id of unsent) {
      const question = this.#questions.get(id);
      if (question === undefined) continue;
      const body = Buffer.from(question.filterKey, 'latin1');
      const { owner, bytesMax } = question;
      link.send(RecordKind.retainedQuery, 1 << owner, id, bytesMax, 0, 0, body, 0, body.length);
    }
    const left = this.#left;
    if (left.length === 0) return;
    this.#left = [];
    for (const opening of left) this.#settle(opening);
  }

  /** An owner has sent a message. */
  onMessage(id: number, found: Arrived): void {
    const { opening, filterKey } = this.#questions.get(id)!;
    opening.found.get(filterKey)?.push(found);
  }

  /** An owner has sent all, or has more than it was asked for. */
  onAnswered(id: number, isAll: boolean): void {
    const { opening, filterKey } = this.#questions.get(id)!;
    if (!isAll) opening.found.set(filterKey, null);
    this.#questions.delete(id);
    opening.unanswered.delete(id);
    this.#settle(opening);
  }

  /** A peer died: nothing is to be had from it; what its successor has is left to the replay. */
  dropPeer(index: number): void {
    const isAll = !this.#owners.isKept;
    for (const [id, { owner }] of this.#questions) if (owner === index) this.onAnswered(id, isAll);
  }

  /**
   * A message was published to be retained, and another shard owns its topic.
   * @param message null: its topic is cleared.
   */
  keepNewer(opening: Opening, topicKey: string, message: RetainedMessage | null): void {
    const older = opening.newer.get(topicKey);
    let bytes = message?.length ?? 0;
    if (older === undefined) bytes += topicKey.length + TOPIC_OVERHEAD_BYTES;
    else bytes -= older?.length ?? 0;
    opening.newerBytes += bytes;
    opening.bytes += bytes;
    this.#bytes += bytes;
    opening.newer.set(topicKey, message);
    if (opening.newerBytes > OPENING_BYTES_MAX || this.#bytes > OPENINGS_BYTES_MAX) {
      this.giveUp(opening);
    }
  }

  /** Leaves all to the replay; the SUBACK goes out when the filters are routed. */
  giveUp(opening: Opening): void {
    if (opening.isGivenUp) return;
    this.end(opening);
    opening.isGivenUp = true;
    if (!opening.isRouted || opening.isReady) return;
    // Not now: its connection may be closing, or be delivered to.
    this.#left.push(opening);
    this.#parts.schedule();
  }

  /** Nothing more is asked or kept for it. */
  end(opening: Opening): void {
    for (const id of opening.unanswered) this.#questions.delete(id);
    opening.unanswered.clear();
    this.#bytes -= opening.bytes;
    opening.bytes = 0;
  }

  /** Other shards that may retain what a filter matches, as a mask. */
  #ownersOf(filterKey: string): number {
    return this.#owners.of(filterKey) & this.#parts.peers();
  }

  #ask(opening: Opening): void {
    opening.isAsked = true;
    const filterKeys = new Set(opening.filters.map(([filterKey]) => filterKey));
    const asked: [filterKey: string, owner: number][] = [];
    for (const filterKey of filterKeys) {
      const owners = this.#ownersOf(filterKey);
      if (owners !== 0) opening.found.set(filterKey, []);
      for (let owner = 0; owners >>> owner !== 0; owner++) {
        if (((owners >>> owner) & 1) === 1) asked.push([filterKey, owner]);
      }
    }
    const wild = asked.filter(([filterKey]) => hasWildcard(filterKey)).length;
    const wildShare = Math.floor(OPENING_TOTAL_BYTES_MAX / Math.max(wild, 1));
    const wildBytes = Math.min(OPENING_BYTES_MAX, Math.max(wildShare, OPENING_PART_BYTES_MIN));
    const bytes = wild * wildBytes + (asked.length - wild) * OPENING_TOPIC_BYTES_MAX;
    if (this.#bytes + bytes > OPENINGS_BYTES_MAX) {
      this.giveUp(opening);
      return;
    }
    opening.bytes = bytes;
    this.#bytes += bytes;
    for (const [filterKey, owner] of asked) {
      const bytesMax = hasWildcard(filterKey) ? wildBytes : OPENING_TOPIC_BYTES_MAX;
      const id = this.#ids.next(this.used);
      this.#questions.set(id, { opening, filterKey, owner, bytesMax });
      opening.unanswered.add(id);
      this.#unsent.push(id);
    }
    this.#parts.schedule();
  }

  #settle(opening: Opening): void {
    if (!opening.isRouted || opening.unanswered.size > 0 || opening.isReady) return;
    opening.isReady = true;
    opening.ready();
  }
}
