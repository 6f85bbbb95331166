/**
 * What is written first is to be handled first, though it comes to another shard: a client writes a
 * SUBSCRIBE, and another connection a PUBLISH at once, without waiting for the SUBACK. Two shards
 * wake for them, and the system runs their threads in whichever order it likes. MQTT allows that
 * the message is lost then, but nobody expects it who knows brokers of one thread.
 *
 * So a shard that has just woken, before it handles a message that may be meant for a newcomer,
 * waits until those that have woken too, or are about to, have come round. Nobody waits for a shard
 * that has more to do than that, nor for longer than WAKING_WAIT_MS_MAX, nor for one that waits: of
 * two that begin to, one at least sees that the other does, as each says so before it looks.
 *
 * Each shard has a word that it alone writes, which says where it is and in which wake, and one
 * with the descriptor of its event loop: when that has something to do, the shard is about to wake.
 */
import { preciseMs } from '../base/clock.js';
import { findReadable } from '../base/libc.js';
import { SHARDS_MAX } from '../base/limits.js';
import { WAKING_WAIT_MS_MAX } from '../base/turn-limits.js';
import { RING_LINE_BYTES, RING_LINE_WORDS } from './ring-layout.js';

/** Where a shard is, in the low bits of its word. */
const Phase = {
  /** It has nothing to do, and sleeps or is about to. */
  idle: 0,
  /** It has woken, and not come round yet. */
  waking: 1,
  /** It goes on: what it reads now is more than what it has woken for. */
  busy: 2,
  /** It waits for others that wake. */
  waiting: 3,
} as const;
type Phase = (typeof Phase)[keyof typeof Phase];

const PHASE_MASK = 3;
/** The rest of the word counts wakes, and wraps. */
const WAKE = 4;
/** Behind it in the shard's line: its event loop's descriptor, and 1; 0 when that is not known. */
const EVENT_LOOP_WORD = 1;
/** How many wait for it. */
const AWAITED_WORD = 2;

/** Memory for the words of all shards, made by the primary: it outlives them. */
export function createWakes(): SharedArrayBuffer {
  return new SharedArrayBuffer(SHARDS_MAX * RING_LINE_BYTES);
}

/** Blocks the thread while words[at] is `word`, until it is notified; tests do something else. */
export type WaitForWord = (words: Int32Array, at: number, word: number, ms: number) => unknown;

/** One a shard. */
export class Wakes {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #live: () => number;
  readonly #wait: WaitForWord;
  readonly #clock: () => number;
  #phase: Phase = Phase.busy;
  #wake: number;
  /** In this wake it has waited already. */
  #hasWaited = false;
  /** Not before: at most half of its time is spent so. */
  #waitsFrom = 0;
  /** By peer: the wake that is waited for. */
  readonly #awaited = new Int32Array(SHARDS_MAX);
  /** Event loops that are looked at together, and whose they are. */
  readonly #eventLoops = new Int32Array(SHARDS_MAX);
  readonly #sleepers = new Int32Array(SHARDS_MAX);

  /**
   * @param live mask of the other shards that are alive.
   * @param clock milliseconds with their fractions.
   */
  constructor(
    memory: SharedArrayBuffer,
    shardIndex: number,
    live: () => number,
    wait: WaitForWord = Atomics.wait,
    clock: () => number = preciseMs,
  ) {
    this.#clock = clock;
    this.#words = new Int32Array(memory);
    this.#at = shardIndex * RING_LINE_WORDS;
    this.#live = live;
    this.#wait = wait;
    // One that has died has left it somewhere.
    this.#wake = Atomics.load(this.#words, this.#at) & ~PHASE_MASK;
    this.setEventLoop(-1);
    this.#enter(Phase.busy);
  }

  /** @param fd what its event loop waits on, -1 where that is not known. */
  setEventLoop(fd: number): void {
    Atomics.store(this.#words, this.#at + EVENT_LOOP_WORD, fd + 1);
  }

  /** Something was read. @returns whether this shard has just woken for it, and not waited yet. */
  onRead(): boolean {
    if (this.#phase === Phase.idle) this.#enter(Phase.waking);
    return this.#phase === Phase.waking && !this.#hasWaited;
  }

  /** What it has woken for is handled, and the other shards can see what came of it. */
  onCameRound(): void {
    if (this.#phase !== Phase.busy) this.#enter(Phase.busy);
  }

  /** Nothing is left to do. */
  onIdle(): void {
    // A shard without others never waits.
    if (this.#live() === 0) return;
    this.#wake = (this.#wake + WAKE) | 0;
    this.#hasWaited = false;
    this.#enter(Phase.idle);
  }

  /** Waits for other shards that wake now: not at all, where none does. */
  awaitOthers(): void {
    this.#hasWaited = true;
    const from = this.#clock();
    if (from < this.#waitsFrom) return;
    this.#enter(Phase.waiting);
    const now = this.#awaitUntil(from, from + WAKING_WAIT_MS_MAX);
    this.#waitsFrom = now + (now - from);
    this.#enter(Phase.waking);
  }

  /** @returns the time when all have come round that wake now, `end` at the latest. */
  #awaitUntil(from: number, end: number): number {
    const words = this.#words;
    const live = this.#live();
    for (let peer = 0; live >>> peer !== 0; peer++) {
      this.#awaited[peer] = Atomics.load(words, peer * RING_LINE_WORDS) & ~PHASE_MASK;
    }
    let now = from;
    while (now < end) {
      const peer = this.#findWaking(live);
      if (peer < 0) break;
      const at = peer * RING_LINE_WORDS;
      Atomics.add(words, at + AWAITED_WORD, 1);
      const word = Atomics.load(words, at);
      if (this.#isAwaited(peer, word)) this.#wait(words, at, word, end - now);
      Atomics.sub(words, at + AWAITED_WORD, 1);
      now = this.#clock();
    }
    return now;
  }

  /** It may not have come round: it is waking, or sleeps and its event loop is to be looked at. */
  #isAwaited(peer: number, word: number): boolean {
    const phase = word & PHASE_MASK;
    const isOpen = phase === Phase.waking || phase === Phase.idle;
    return isOpen && (word & ~PHASE_MASK) === this.#awaited[peer];
  }

  /** One of `live` that wakes or is about to, and has not come round; -1: there is none. */
  #findWaking(live: number): number {
    const words = this.#words;
    let count = 0;
    for (let peer = 0; live >>> peer !== 0; peer++) {
      if (((live >>> peer) & 1) === 0) continue;
      const at = peer * RING_LINE_WORDS;
      const word = Atomics.load(words, at);
      if (!this.#isAwaited(peer, word)) continue;
      if ((word & PHASE_MASK) === Phase.waking) return peer;
      const fd = Atomics.load(words, at + EVENT_LOOP_WORD) - 1;
      if (fd < 0) continue;
      this.#eventLoops[count] = fd;
      this.#sleepers[count++] = peer;
    }
    const found = count === 0 ? -1 : findReadable(this.#eventLoops, count);
    return found < 0 ? -1 : this.#sleepers[found]!;
  }

  /** Whoever waits looks again, but when what it waits for has only begun. */
  #enter(phase: Phase): void {
    const words = this.#words;
    this.#phase = phase;
    Atomics.store(words, this.#at, this.#wake | phase);
    if (phase === Phase.waking || Atomics.load(words, this.#at + AWAITED_WORD) === 0) return;
    Atomics.notify(words, this.#at);
  }
}
