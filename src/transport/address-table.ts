/**
 * Connections of each address, over all shards, and how many came lately: a table in memory that
 * the primary shares with the shards. The primary counts what it accepts, for the shard that it is
 * given to; a shard counts down what it closes, and up where only it learns the address.
 *
 * ```
 * word 0   random seed of the hash: nobody can choose addresses that meet in one place
 * word 1   connections let in without being counted, since there was no place for their address
 * word 2   the rate of all addresses together, as the word of a place has that of one
 * then, for each place (an even number of words):
 *   0, 1   key of the address (address-key.ts), 0: never used
 *   2      its rate: when it will have had its due, in microseconds of the shared clock, mod 2^32
 *   3 + i  its connections with shard i
 * ```
 *
 * Each word is changed by atomic operations, none by a lock, as a thread may end at any of them. A
 * place without connections whose rate is in the past says nothing and is anybody's. Two threads
 * that change a place for two addresses at one moment may count one connection for the other's
 * address; it is counted down where it was counted up.
 */
import { randomInt } from 'node:crypto';
import { ADDRESS_PLACES, ADDRESSES_COUNTED_MAX } from '../base/limits.js';
import { aheadOf, dueAfterOneMore } from './connect-rate.js';

const SEED = 0;
const UNCOUNTED = 1;
const TOTAL_RATE = 2;
const HEADER_WORDS = 4;
const RATE = 2;
const COUNTS = 3;

/** There is no place for one more address. */
export const NO_PLACE = -1;

export class AddressTable {
  readonly #words: Int32Array;
  readonly #keys: BigInt64Array;
  readonly #shardCount: number;
  readonly #placeWords: number;
  readonly #groups: number;

  /** @param memory from `createMemory` for as many shards. */
  constructor(memory: SharedArrayBuffer, shardCount: number) {
    this.#words = new Int32Array(memory);
    this.#keys = new BigInt64Array(memory);
    this.#shardCount = shardCount;
    this.#placeWords = placeWords(shardCount);
    const places = (this.#words.length - HEADER_WORDS) / this.#placeWords;
    this.#groups = places / ADDRESS_PLACES;
  }

  /** Memory of an empty table. Pages of it that are not used take none. */
  static createMemory(shardCount: number, places = ADDRESSES_COUNTED_MAX): SharedArrayBuffer {
    const words = HEADER_WORDS + places * placeWords(shardCount);
    const memory = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
    new Int32Array(memory)[SEED] = randomInt(2 ** 32);
    return memory;
  }

  /** Connections let in without being counted. */
  get uncounted(): number {
    return Atomics.load(this.#words, UNCOUNTED) >>> 0;
  }

  /**
   * The place of an address, taken for it if it has none.
   * @param now microseconds of the shared clock.
   * @returns NO_PLACE if all that it may have are used; that is counted.
   */
  placeOf(key: bigint, now: number): number {
    const group = this.#groupOf(key) * ADDRESS_PLACES;
    for (let place = group; place < group + ADDRESS_PLACES; place++) {
      if (Atomics.load(this.#keys, this.#keyAt(place)) === key) return place;
    }
    for (let place = group; place < group + ADDRESS_PLACES; place++) {
      const at = this.#keyAt(place);
      const former = Atomics.load(this.#keys, at);
      if (former !== 0n && !this.#isIdle(place, now)) continue;
      const found = Atomics.compareExchange(this.#keys, at, former, key);
      // Another thread may have taken it for the same address at this moment.
      if (found === former || found === key) return place;
    }
    Atomics.add(this.#words, UNCOUNTED, 1);
    return NO_PLACE;
  }

  /** Connections of the address that has this place. */
  connections(place: number): number {
    const at = this.#wordAt(place) + COUNTS;
    let sum = 0;
    for (let shard = 0; shard < this.#shardCount; shard++) {
      sum += Atomics.load(this.#words, at + shard);
    }
    return sum;
  }

  /** One connection more with this shard. */
  add(place: number, shardIndex: number): void {
    Atomics.add(this.#words, this.#wordAt(place) + COUNTS + shardIndex, 1);
  }

  /** One that was added is closed. */
  remove(place: number, shardIndex: number): void {
    Atomics.sub(this.#words, this.#wordAt(place) + COUNTS + shardIndex, 1);
  }

  /**
   * Takes one of the connections that the address may make at this rate.
   * @returns false when it has made as many.
   */
  takeRate(place: number, perSecond: number, now: number): boolean {
    return this.#take(this.#wordAt(place) + RATE, perSecond, now);
  }

  /** The same of all addresses together. */
  takeTotalRate(perSecond: number, now: number): boolean {
    return this.#take(TOTAL_RATE, perSecond, now);
  }

  #take(at: number, perSecond: number, now: number): boolean {
    for (;;) {
      const due = Atomics.load(this.#words, at);
      const next = dueAfterOneMore(due, perSecond, now);
      if (next === null) return false;
      if (Atomics.compareExchange(this.#words, at, due, next) === due) return true;
    }
  }

  /** A shard's thread is gone, and its connections with it. */
  forgetShard(shardIndex: number): void {
    const places = this.#groups * ADDRESS_PLACES;
    for (let place = 0; place < places; place++) {
      const at = this.#wordAt(place);
      // Nothing is written to a page that was never used.
      if (this.#words[at + COUNTS + shardIndex] === 0) continue;
      Atomics.store(this.#words, at + COUNTS + shardIndex, 0);
    }
  }

  #isIdle(place: number, now: number): boolean {
    if (this.connections(place) !== 0) return false;
    return aheadOf(Atomics.load(this.#words, this.#wordAt(place) + RATE), now) === 0;
  }

  /** The group of places that the key may have, by a hash that only this table has. */
  #groupOf(key: bigint): number {
    const seed = this.#words[SEED];
    const low = Number(BigInt.asIntN(32, key));
    const high = Number(BigInt.asIntN(32, key >> 32n));
    return (mixed(mixed(low ^ seed) ^ high ^ (seed >>> 7)) >>> 0) % this.#groups;
  }

  #wordAt(place: number): number {
    return HEADER_WORDS + place * this.#placeWords;
  }

  #keyAt(place: number): number {
    return this.#wordAt(place) >> 1;
  }
}

/** Words of a place: an even number, so that each key lies where 64 bits may be changed at once. */
function placeWords(shardCount: number): number {
  return 2 * Math.ceil((COUNTS + shardCount) / 2);
}

/** The finalizer of MurmurHash3: each bit of the result depends on each of the word. */
function mixed(word: number): number {
  let hash = word;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
