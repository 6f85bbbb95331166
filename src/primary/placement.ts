/** Which shard gets a new connection: the one with the fewest, ties in turn. */

/** What the shards say of themselves, through their shared counters; both may lag behind. */
export interface ShardLoads {
  /**
   * Sockets that the shard has taken since it started; each counts, even one that failed at once.
   */
  taken(shardIndex: number): number;
  /** Connections that it has open now. */
  open(shardIndex: number): number;
  /** Its event loop keeps everyone waiting for too long: it is to be given nothing more. */
  isLate(shardIndex: number): boolean;
}

/** No place for a connection: no shard is live, or all that are keep everyone waiting. */
export const NONE_LIVE = -1;
export const ALL_LATE = -2;

export class Placement {
  readonly #loads: ShardLoads;
  /** By shard: may it be given connections. */
  readonly #isLive: boolean[];
  /** By shard: what it had taken when it became live, and the connections given to it since. */
  readonly #placed: number[];
  /** Where the search begins, so that equals take turns. */
  #next = 0;

  /** No shard is live at first. */
  constructor(shardCount: number, loads: ShardLoads) {
    this.#loads = loads;
    this.#isLive = new Array<boolean>(shardCount).fill(false);
    this.#placed = new Array<number>(shardCount).fill(0);
  }

  /** A shard that becomes live has nothing on its way yet; one that died gets nothing more. */
  setLive(shardIndex: number, isLive: boolean): void {
    this.#isLive[shardIndex] = isLive;
    this.#placed[shardIndex] = isLive ? this.#loads.taken(shardIndex) : 0;
  }

  /**
   * Chooses a live shard that is not late, and counts the connection as its own.
   * @returns NONE_LIVE or ALL_LATE when there is none.
   */
  place(): number {
    const shardCount = this.#isLive.length;
    let chosen: number = NONE_LIVE;
    let fewest = Number.POSITIVE_INFINITY;
    for (let step = 0; step < shardCount; step++) {
      const shardIndex = (this.#next + step) % shardCount;
      if (!this.#isLive[shardIndex]) continue;
      if (this.#loads.isLate(shardIndex)) {
        if (chosen === NONE_LIVE) chosen = ALL_LATE;
        continue;
      }
      const load = this.load(shardIndex);
      if (load < fewest) {
        fewest = load;
        chosen = shardIndex;
      }
    }
    if (chosen >= 0) {
      this.#next = (chosen + 1) % shardCount;
      this.#placed[chosen]++;
    }
    return chosen;
  }

  /** The connection just placed has not reached the shard. */
  takeBack(shardIndex: number): void {
    if (this.#isLive[shardIndex]) this.#placed[shardIndex]--;
  }

  /** Connections of a shard: those it has open, and those on their way to it. */
  load(shardIndex: number): number {
    const onTheirWay = this.#placed[shardIndex] - this.#loads.taken(shardIndex);
    return this.#loads.open(shardIndex) + Math.max(0, onTheirWay);
  }

  /** Connections of all live shards. */
  totalLoad(): number {
    let total = 0;
    for (let shardIndex = 0; shardIndex < this.#isLive.length; shardIndex++) {
      if (this.#isLive[shardIndex]) total += this.load(shardIndex);
    }
    return total;
  }
}
