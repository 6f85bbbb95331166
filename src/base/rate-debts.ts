/**
 * Until when clients that have sent too much owe it: in memory that all shards share, so whoever
 * leaves with a debt finds it when it comes again, on whichever shard. It is noted when the
 * connection is closed, and so before the client id is another's.
 *
 * ```
 * words 0, 1   secret that keys are made with: nobody can choose names that meet in one place
 * then, for each place, two words of 64 bits:
 *   0          key of the client, 0: never used
 *   1          when it owes nothing any more, in milliseconds of the clock that all threads share
 * ```
 *
 * A place whose time is past is anybody's. Each word is changed by atomic operations: of two
 * threads that take one place at one moment, one may find the time of the other's client there.
 */
import { createHmac, randomFillSync } from 'node:crypto';
import { RATE_DEBT_MS_MAX, RATE_DEBT_PLACES, RATE_DEBTS_MAX } from './limits.js';

const HEADER_WORDS = 2;
const PLACE_WORDS = 2;

/** One a thread, over the same memory. */
export class RateDebts {
  readonly #words: BigInt64Array;
  readonly #secret: Uint8Array;
  readonly #groups: number;

  /** @param memory from `createMemory`. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new BigInt64Array(memory);
    // A copy: what is shared cannot be a key.
    this.#secret = Uint8Array.from(new Uint8Array(memory, 0, HEADER_WORDS * 8));
    this.#groups = (this.#words.length - HEADER_WORDS) / PLACE_WORDS / RATE_DEBT_PLACES;
  }

  /** Memory in which nobody owes anything. @param places a multiple of RATE_DEBT_PLACES. */
  static createMemory(places = RATE_DEBTS_MAX): SharedArrayBuffer {
    const memory = new SharedArrayBuffer((HEADER_WORDS + places * PLACE_WORDS) * 8);
    const secret = randomFillSync(new Uint8Array(HEADER_WORDS * 8));
    new Uint8Array(memory).set(secret);
    return memory;
  }

  /**
   * A client owes something. Where as many owe as can be noted, who owes least is forgotten.
   * @param owedMs how long, RATE_DEBT_MS_MAX at most. @param now of `sharedMs`.
   */
  note(username: string | null, clientId: string, owedMs: number, now: number): void {
    const key = this.#keyOf(username, clientId);
    const due = BigInt(Math.ceil(now + Math.min(owedMs, RATE_DEBT_MS_MAX)));
    const first = this.#placeOf(key);
    let chosen = first;
    for (let place = first; place < first + RATE_DEBT_PLACES * PLACE_WORDS; place += PLACE_WORDS) {
      if (Atomics.load(this.#words, place) === key) {
        Atomics.store(this.#words, place + 1, due);
        return;
      }
      const dueThere = Atomics.load(this.#words, place + 1);
      if (dueThere < Atomics.load(this.#words, chosen + 1)) chosen = place;
    }
    if (Atomics.load(this.#words, chosen + 1) > due) return;
    Atomics.store(this.#words, chosen + 1, 0n);
    Atomics.store(this.#words, chosen, key);
    Atomics.store(this.#words, chosen + 1, due);
  }

  /** How long a client still owes, in milliseconds; 0: it owes nothing. */
  owedMs(username: string | null, clientId: string, now: number): number {
    const key = this.#keyOf(username, clientId);
    const first = this.#placeOf(key);
    for (let place = first; place < first + RATE_DEBT_PLACES * PLACE_WORDS; place += PLACE_WORDS) {
      if (Atomics.load(this.#words, place) !== key) continue;
      return Math.max(0, Number(Atomics.load(this.#words, place + 1)) - now);
    }
    return 0;
  }

  /** Nobody owes anything from here on: what was owed was so by other rates. */
  clear(): void {
    const end = this.#words.length;
    for (let at = HEADER_WORDS + 1; at < end; at += PLACE_WORDS) Atomics.store(this.#words, at, 0n);
  }

  /** Whoever has the same client id as another user is another client. */
  #keyOf(username: string | null, clientId: string): bigint {
    const name = username === null ? '-' : `+${username}`;
    const digest = createHmac('sha256', this.#secret).update(`${name}\0${clientId}`).digest();
    return digest.readBigInt64LE(0) | 1n;
  }

  #placeOf(key: bigint): number {
    const group = Number(BigInt.asUintN(32, key >> 1n)) % this.#groups;
    return HEADER_WORDS + group * RATE_DEBT_PLACES * PLACE_WORDS;
  }
}
