/**
 * What a segment is made of: changes one after the other, in the order in which they were made.
 *
 * A change is its kind (1 byte) and then, in this order, of what stands in its line below:
 *
 *     number   session or position: 8 bytes, a double, little-endian
 *     count    4 bytes, little-endian
 *     text     its bytes as a count, then they
 *     bytes    likewise
 *
 * What is to stand on disk as it is, is written here as it will stand there: the store thread then
 * copies it once.
 */
export const Change = {
  /** number, client id (text, UTF-8), head (bytes, msgpack). */
  putSession: 1,
  /** number, client id (text, UTF-8). */
  dropSession: 2,
  /** number, filter key (text, latin1), grant (count). */
  putSubscription: 3,
  /** number, filter key (text, latin1). */
  removeSubscription: 4,
  /** A run (bytes, see stored-run.ts): what the changes `queue` behind it speak of. */
  run: 5,
  /** Session (number), position (number), entry (bytes, see stored-entry.ts). */
  queue: 6,
  /** Session (number), position (number). */
  left: 7,
  /** Session (number), position (number), count. */
  received: 8,
  /** Session (number), packet id (count). */
  incoming: 9,
  /** Session (number), packet id (count). */
  released: 10,
  /** A retained message (bytes, see stored-retained.ts). */
  retain: 11,
  /** Topic key (text, latin1). */
  clear: 12,
  /** Session (number), position (number). */
  gone: 13,
  /** Session (number), position (number), count. */
  given: 14,
  /**
   * The run is on its way to other shards: shard that it is from (1 byte), number of shards
   * (1 byte), shards that it is for (count, a bit each), and for each of these, from the lowest bit
   * on, its place among the marked runs that it is sent (count).
   */
  pend: 15,
  /** Shard (1 byte) has handled so many (count) marked runs of a shard (1 byte). */
  handled: 16,
  /** Row of a run that was on its way (number), shards that have it now (count, a bit each). */
  arrived: 17,
  /**
   * What a shard (1 byte), of so many (1 byte), retains in all: messages (number), and their bytes
   * (number).
   */
  totals: 18,
  /**
   * Session (number), kind (1 byte: ReplayRow), generation of the replay (count), filter key or
   * topic key (text, latin1), and of which SUBSCRIBE it is (count).
   */
  putReplay: 19,
  /** Session (number), kind (1 byte), generation (count), filter or topic key (text, latin1). */
  removeReplay: 20,
  /** Session (number), generation (count). */
  endReplay: 21,
} as const;
export type Change = (typeof Change)[keyof typeof Change];
