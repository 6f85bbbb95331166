/** What a shard is told about its peers. */

/** What a shard is told about its peers when it starts. */
export interface PeerLinkOptions {
  readonly shardIndex: number;
  /** 1 to SHARDS_MAX. With 1 there are no peers, and nothing here does anything. */
  readonly shardCount: number;
  /** Ring i is written by shard i. This shard's own must be new. */
  readonly rings: readonly SharedArrayBuffer[];
  /** The word that all of them take their tickets from. */
  readonly tickets: SharedArrayBuffer;
  /** Read end of this shard's doorbell, owned by the link from here on; -1: none. */
  readonly doorbellReadFd: number;
  /** Write ends by shard; they stay the primary's. */
  readonly doorbellWriteFds: readonly number[];
  /** Called when the doorbell has rung. The shard then takes a turn. */
  readonly onDoorbell: () => void;
  /**
   * Told of each record that is not what its kind says: it is left out. Without, `drain` throws.
   * @param from the shard that sent it.
   */
  readonly onUnreadable?: (from: number, kind: number, error: Error) => void;
  /** Peers have said something beside the rings, which a shard that goes to sleep would not see. */
  readonly hasOtherNews?: () => boolean;
}
