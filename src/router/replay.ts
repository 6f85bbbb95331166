/** How far the retained messages for one session have come, whoever brings them. */
import { BROUGHT_BYTES_MAX, SUPERSEDED_BYTES_MAX } from '../base/limits.js';
import type { QoS } from '../protocol/packet.js';
import type { ReplayGuard, Session } from '../sessions/session.js';
import { matchesKey } from '../topics/topic.js';
import type { RetainedStore } from './retained-store.js';

/** What a topic in a Set or Map takes beside its characters. */
const TOPIC_OVERHEAD_BYTES = 64;
/** A topic that comes live is looked for among no more filters than these. */
const FILTERS_LOOKED_THROUGH = 64;

/** Filters of a SUBSCRIBE, with the QoS granted. */
export type Filters = readonly (readonly [filterKey: string, qos: QoS])[];

/** What is to be sent of one filter. */
export interface Asked {
  readonly qos: QoS;
  /** Which SUBSCRIBE of this replay has asked, 1 or more. */
  readonly since: number;
}

/** Retained messages of one shard that a filter matches. */
export type Matches = ReturnType<RetainedStore['match']>;

/** Sends what a topic retains on this shard, if anything. */
export type BringOlder = (replay: Replay, topicKey: string, qos: QoS) => void;

/** What one session is being sent; its own state machine: filter by filter, owner by owner. */
export class Replay implements ReplayGuard {
  /**
   * Topics of which a newer message has come live than the replay may bring, each with the last
   * SUBSCRIBE before it.
   */
  readonly #superseded = new Map<string, number>();
  #supersededBytes = 0;
  /** Topics of the current filter that were sent; null when they were too many to be noted. */
  #brought: Set<string> | null = new Set();
  #broughtBytes = 0;
  readonly #bringOlder: BringOlder;
  /** This shard, as a mask. */
  readonly #here: number;
  /**
   * What an owner has sent since it was last asked may be older than what has come live meanwhile.
   */
  isPartDoubtful = false;
  /** What owners name it by; another one when what was asked for is not wanted any more. */
  id: number;
  readonly session: Session;
  /** Filters still to come. A filter subscribed again moves to the end. */
  readonly filters = new Map<string, Asked>();
  /** Of them, those topics that are asked for again, each with the filter subscribed to. */
  readonly again = new Map<string, string>();
  /**
   * Where the next of them is looked for. A new iterator would go over the places of all those that
   * were removed: 300,000 filters took 25 seconds.
   */
  upcoming: Iterator<[filterKey: string, asked: Asked]> = this.filters.entries();
  /** How many SUBSCRIBEs there were. */
  subscribes = 0;
  /** Those that the other shards have not confirmed yet. */
  readonly unconfirmed: { readonly filters: Filters; readonly since: number }[] = [];
  /** What is to be sent of the current filter. */
  asked: Asked = { qos: 0, since: 0 };
  /** Shards to be asked for the current filter. */
  owners = 0;
  /** The current filter's messages here, when this shard's part is being read. */
  local: Matches | null = null;
  /** The shard that was asked, -1 if none; it has sent a part and waits when `isPartDone`. */
  askedShard = -1;
  isPartDone = false;
  filterKey = '';
  /** The filter subscribed to that the current one is of. */
  subscribed = '';
  /** What an owner has sent and the session was not given yet: one part at most. */
  readonly arrived: { readonly topicKey: string; readonly frame: Buffer }[] = [];
  /** In the list of those that have a step to take. */
  isReady = false;

  constructor(id: number, session: Session, shardIndex: number, bringOlder: BringOlder) {
    this.id = id;
    this.session = session;
    this.#here = 1 << shardIndex;
    this.#bringOlder = bringOlder;
  }

  /** The filter that comes next. @param subscribed to, which it is of. */
  enterFilter(filterKey: string, asked: Asked, subscribed: string): void {
    this.filterKey = filterKey;
    this.asked = asked;
    this.subscribed = subscribed;
    this.#brought ??= new Set();
    if (this.#brought.size > 0) this.#brought.clear();
    this.#broughtBytes = 0;
  }

  /** A topic of the current filter was sent. */
  noteBrought(topicKey: string): void {
    this.#broughtBytes += topicKey.length + TOPIC_OVERHEAD_BYTES;
    if (this.#broughtBytes > BROUGHT_BYTES_MAX) this.#brought = null;
    else this.#brought?.add(topicKey);
  }

  /** Whether the current filter has more to come. */
  get isReading(): boolean {
    return (
      this.local !== null || this.askedShard >= 0 || this.owners !== 0 || this.arrived.length > 0
    );
  }

  /** Whether this shard's part of the current filter is still to come, or is coming. */
  get isHereToCome(): boolean {
    return this.local !== null || (this.owners & this.#here) !== 0;
  }

  /** Gives the current filter up, but for what its owner may be sending. */
  leaveFilter(): void {
    this.local = null;
    this.askedShard = -1;
    this.isPartDone = false;
    this.owners = 0;
    this.arrived.length = 0;
  }

  /**
   * The older message comes first, with RETAIN, and then the newer: were it left out, nothing would
   * come as retained [MQTT-3.3.1-6].
   */
  beforeLive(topicKey: string): void {
    const qos = this.#owed(topicKey);
    if (qos >= 0) this.#bringOlder(this, topicKey, qos as QoS);
  }

  /**
   * The highest QoS at which what this shard retains of a topic is still to be sent. -1 when it is
   * not, or when that takes too long to find out.
   */
  #owed(topicKey: string): number {
    const superseded = this.#superseded.get(topicKey) ?? 0;
    const again = this.filters.get(topicKey);
    let owed = again !== undefined && again.since > superseded ? again.qos : -1;
    let left = FILTERS_LOOKED_THROUGH;
    const look = (filterKey: string, { qos, since }: Asked) => {
      if (since > superseded && qos > owed && matchesKey(filterKey, topicKey)) owed = qos;
    };
    if (this.isHereToCome && this.#brought !== null && !this.#brought.has(topicKey)) {
      look(this.filterKey, this.asked);
    }
    // Removed ones cost a look as well, but a Map has never more of them than a few for each other.
    if (this.filters.size <= left) {
      left -= this.filters.size;
      for (const [filterKey, asked] of this.filters) look(filterKey, asked);
    }
    for (const { filters, since } of this.unconfirmed) {
      left -= filters.length;
      if (left < 0) break;
      for (const [filterKey, qos] of filters) {
        if (this.session.subscriptions.has(filterKey)) look(filterKey, { qos, since });
      }
    }
    return owed;
  }

  /**
   * Topics beyond a bound are forgotten, all of them: what is read or asked for from here on is at
   * least as new as what has come live, and only a part that is on its way may be older.
   */
  onLive(topicKey: string, isDelivered: boolean): void {
    const bytes = topicKey.length + TOPIC_OVERHEAD_BYTES;
    if (!isDelivered) {
      if (this.#superseded.delete(topicKey)) this.#supersededBytes -= bytes;
      this.isPartDoubtful = true;
      return;
    }
    if (!this.#superseded.has(topicKey)) {
      if (this.#supersededBytes + bytes > SUPERSEDED_BYTES_MAX) {
        this.#superseded.clear();
        this.#supersededBytes = 0;
        this.isPartDoubtful = true;
      }
      this.#supersededBytes += bytes;
    }
    this.#superseded.set(topicKey, this.subscribes);
  }

  /**
   * Whether a newer message of the topic has come live since the current filter was subscribed to:
   * none is sent twice.
   */
  isSuperseded(topicKey: string): boolean {
    return (this.#superseded.get(topicKey) ?? 0) >= this.asked.since;
  }

  /** Bytes of the topics remembered. */
  get supersededBytes(): number {
    return this.#supersededBytes;
  }
}
