/** What a session knows of the retained messages that it is being sent: router/replay.ts. */
import type { Grant } from '../topics/grant.js';

/** Retained messages are being replayed to the session. */
export interface ReplayGuard {
  /** A topic's retained message here is about to be replaced by one that comes live. */
  beforeLive(topicKey: string): void;
  /**
   * Whether one of a topic, published with RETAIN, is not to be delivered: the session has
   * subscribed to it, but its SUBACK waits for other shards, and they may leave out a newer one.
   * The newest comes as retained behind the SUBACK.
   */
  isHeldBack(topicKey: string): boolean;
  /** Whether `keepNewer` is to be called for this topic, which another shard owns. */
  wantsNewer(topicKey: string, isLocal: boolean): boolean;
  /**
   * A message was published to be retained.
   * @param frame its PUBLISH as latin1; null: it clears the topic.
   * @param isLocal it was published on this shard.
   */
  keepNewer(topicKey: string, frame: string | null, isLocal: boolean): void;
  /**
   * A newer message of a topic, published with RETAIN, has come live.
   * @param qos that it was delivered at; below 0: it was dropped, and only the replay can bring the
   * topic's newest.
   */
  onLive(topicKey: string, qos: number): void;
  /** Nothing more is to be sent before `release`: a SUBACK comes first. */
  hold(): void;
  release(): void;
  /** Which SUBSCRIBE has asked for a filter that has not begun; 0: none, or it has. */
  unbegunSince(filterKey: string): number;
  /** How far it has come, for another shard. */
  place(): ReplayPlace;
  /** The session has ended, or left the shard. */
  end(): void;
}

/** How far a replay has come whose client is away, beside the filters that have not begun. */
export interface ReplayPlace {
  /**
   * Filters that have begun and topics that are asked for again, first the one that was being read,
   * each with the filter subscribed to, and which SUBSCRIBE has asked.
   */
  readonly begun: readonly BegunFilter[];
  /** Topics of the first that were sent; null: not known. */
  readonly brought: readonly string[] | null;
  /** Topics of which a newer message has come live, each with the last SUBSCRIBE before it. */
  readonly superseded: readonly (readonly [topicKey: string, since: number])[];
  /** How many SUBSCRIBEs there were. */
  readonly subscribes: number;
  /** Of the filters of which SUBSCRIBEs, up to this one, what was sent is to be found on disk. */
  readonly notedTo: number;
  /** What tells that from what is there of other replays; 0: there is nothing. */
  readonly generation: number;
}

/** A filter of a replay that has begun; see ReplayPlace. */
export type BegunFilter = readonly [
  filterKey: string,
  subscribed: string,
  grant: Grant,
  since: number,
];
