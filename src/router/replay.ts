/** How far the retained messages for one session have come, whoever brings them. */
import { SUPERSEDED_BYTES_MAX } from '../base/limits.js';
import type { QoS } from '../protocol/packet.js';
import type { ReplayGuard, Session } from '../sessions/session.js';
import type { RetainedStore } from './retained-store.js';

/** What a topic in a Set takes beside its characters. */
const SUPERSEDED_TOPIC_OVERHEAD_BYTES = 64;

/** Retained messages of one shard that a filter matches. */
export type Matches = ReturnType<RetainedStore['match']>;

/** What one session is being sent; its own state machine: filter by filter, owner by owner. */
export class Replay implements ReplayGuard {
  /** Topics of which a newer message has come live than the replay may bring. */
  readonly #superseded = new Set<string>();
  #supersededBytes = 0;
  /**
   * What an owner has sent since it was last asked may be older than what has come live meanwhile.
   */
  isPartDoubtful = false;
  /** What owners name it by; another one when what was asked for is not wanted any more. */
  id: number;
  readonly session: Session;
  /** Filters still to come, with the QoS granted. A filter subscribed again moves to the end. */
  readonly filters = new Map<string, QoS>();
  /** Of them, those topics that are asked for again, each with the filter subscribed to. */
  readonly again = new Map<string, string>();
  /**
   * Where the next of them is looked for. A new iterator would go over the places of all those that
   * were removed: 300,000 filters took 25 seconds.
   */
  upcoming: Iterator<[filterKey: string, qos: QoS]> = this.filters.entries();
  /** Calls of `start` still to come. */
  expected = 0;
  qos: QoS = 0;
  /** Shards to be asked for the current filter. */
  owners = 0;
  /** The current filter's messages here, when this shard's part is being read. */
  local: Matches | null = null;
  /** The shard that was asked, -1 if none; it has sent a part and waits when `isPartDone`. */
  asked = -1;
  isPartDone = false;
  filterKey = '';
  /** The filter subscribed to that the current one is of. */
  subscribed = '';
  /** What an owner has sent and the session was not given yet: one part at most. */
  readonly arrived: { readonly topicKey: string; readonly frame: Buffer }[] = [];
  /** In the list of those that have a step to take. */
  isReady = false;

  constructor(id: number, session: Session) {
    this.id = id;
    this.session = session;
  }

  /** Whether the current filter has more to come. */
  get isReading(): boolean {
    return this.local !== null || this.asked >= 0 || this.owners !== 0 || this.arrived.length > 0;
  }

  /** Gives the current filter up, but for what its owner may be sending. */
  leaveFilter(): void {
    this.local = null;
    this.asked = -1;
    this.isPartDone = false;
    this.owners = 0;
    this.arrived.length = 0;
  }

  /**
   * Topics beyond a bound are forgotten, all of them: what is read or asked for from here on is at
   * least as new as what has come live, and only a part that is on its way may be older.
   */
  onLive(topicKey: string, isDelivered: boolean): void {
    const bytes = topicKey.length + SUPERSEDED_TOPIC_OVERHEAD_BYTES;
    if (!isDelivered) {
      if (this.#superseded.delete(topicKey)) this.#supersededBytes -= bytes;
      this.isPartDoubtful = true;
    } else if (!this.#superseded.has(topicKey)) {
      if (this.#supersededBytes + bytes > SUPERSEDED_BYTES_MAX) {
        this.#superseded.clear();
        this.#supersededBytes = 0;
        this.isPartDoubtful = true;
      }
      this.#superseded.add(topicKey);
      this.#supersededBytes += bytes;
    }
  }

  /** Whether the session has a newer message of the topic: none is sent twice. */
  isSuperseded(topicKey: string): boolean {
    return this.#superseded.has(topicKey);
  }

  /** Bytes of the topics remembered. */
  get supersededBytes(): number {
    return this.#supersededBytes;
  }
}
