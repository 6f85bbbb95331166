/**
 * The QoS 0 messages of a reader that is behind, where its policy is to lose others than the
 * newest. It is made when the outbox has come over its mark, and gone when all of it has left: a
 * reader that keeps up has none. What a queue holds is shared with other queues, and counts in the
 * shard's total as everything does that waits.
 */
import type { Rights } from '../access/rights.js';
import { PUBLISH, RETAIN } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';
import {
  growthMax,
  hasExpired,
  payloadOffsetOf,
  prepareForm,
  topicKeyOf,
} from './delivery-form.js';
import type { QueuedTotal } from './queued-total.js';
import type { Receiver } from './receiver.js';
import { passed } from './window-form.js';

/** What goes to a socket at a time: the rest may still give way to something newer. */
const PORTION_BYTES = 64 * 1024;

/** Messages of one topic, published together, that wait. */
interface Waiting {
  readonly place: number;
  readonly count: number;
  readonly bytes: number;
  readonly identifiers: readonly number[] | undefined;
  readonly keepsRetain: boolean;
}

/** What one queue may hold. */
export interface SlowQueueLimits {
  readonly maxQueuedMessages: number;
  readonly maxQueuedBytes: number;
}

/** Whom it is for, as far as it matters to what it gets: its session. */
export interface SlowReceiver {
  readonly receiver: Receiver | null;
  readonly rights: Rights | null;
}

/** One for a connection that is behind. */
export class SlowQueue {
  /** Whether it keeps the newest message of each topic alone; else the newest of all. */
  readonly isLatest: boolean;
  readonly #total: QueuedTotal;
  readonly #limits: SlowQueueLimits;
  /** By topic where only the newest counts, else by number: in the order in which they leave. */
  readonly #waiting = new Map<string | number, Waiting>();
  #last = 0;
  #messages = 0;
  #bytes = 0;
  /** Messages among what `take` took out last that had not expired. */
  writtenCount = 0;

  constructor(isLatest: boolean, total: QueuedTotal, limits: SlowQueueLimits) {
    this.isLatest = isLatest;
    this.#total = total;
    this.#limits = limits;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#messages;
  }

  /**
   * Adds messages of one topic: one alone where only the newest of each counts. That takes the
   * place of an older one, and so its turn: a topic that changes all the time does not wait longer
   * for it, nor have others wait.
   * @returns how many messages have given way, or found no room.
   */
  add(
    topicKey: string,
    run: Run,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): number {
    const { count, bytes } = run;
    const { maxQueuedMessages, maxQueuedBytes } = this.#limits;
    const key = this.isLatest ? topicKey : ++this.#last;
    const older = this.#waiting.get(key);
    let lost = older === undefined ? 0 : older.count;
    if (bytes.length > maxQueuedBytes || !this.#total.hasRoomFor(run)) {
      // What is there is not the newest any more.
      if (older !== undefined) this.#remove(key, older);
      return lost + count;
    }
    if (older !== undefined) this.#letGo(older);
    const place = this.#total.hold(run);
    this.#waiting.set(key, { place, count, bytes: bytes.length, identifiers, keepsRetain });
    this.#messages += count;
    this.#bytes += bytes.length;
    for (const [first, oldest] of this.#waiting) {
      const isOver = this.#messages > maxQueuedMessages || this.#bytes > maxQueuedBytes;
      if (!isOver || this.#waiting.size === 1) break;
      lost += oldest.count;
      this.#remove(first, oldest);
    }
    return lost;
  }

  /**
   * Takes messages out, the first that are to leave, and lays them out for their receiver.
   * @param scratch where they lie, if there is room for them. @returns their bytes.
   */
  take({ receiver, rights }: SlowReceiver, scratch: Buffer): Buffer {
    this.writtenCount = 0;
    let target = scratch;
    let used = 0;
    for (const [key, waiting] of this.#waiting) {
      const { place, bytes, count, identifiers } = waiting;
      const bytesMax = bytes + count * growthMax(receiver, identifiers);
      if (used > 0 && used + bytesMax > PORTION_BYTES) break;
      if (bytesMax > scratch.length) target = Buffer.allocUnsafeSlow(bytesMax);
      const run = this.#total.runAt(place);
      // They may be others than when it was kept.
      if (rights?.mayRead(topicKeyOf(run)) === false) passed.denied += count;
      else used = this.#layOut(run, waiting, receiver, target, used);
      this.#remove(key, waiting);
      if (target !== scratch) break;
    }
    return target.subarray(0, used);
  }

  /** Forgets all of it. */
  clear(): void {
    for (const waiting of this.#waiting.values()) this.#letGo(waiting);
    this.#waiting.clear();
  }

  #layOut(
    run: Run,
    { identifiers, keepsRetain, count }: Waiting,
    receiver: Receiver | null,
    target: Buffer,
    at: number,
  ): number {
    const { bytes, header, topicLength, propertyBytes, expiresAt } = run;
    if (hasExpired(expiresAt)) {
      passed.expired += count;
      return at;
    }
    const source = { topicLength, propertyBytes, expiresAt };
    const form = prepareForm(receiver, source, bytes, 0, identifiers, null);
    const offset = payloadOffsetOf(source, header);
    const first = PUBLISH | (keepsRetain ? RETAIN : 0);
    const end = form.writeRun(bytes, 0, bytes.length, offset, target, at, first, 0);
    this.writtenCount += form.writtenCount;
    passed.tooLong += count - form.writtenCount;
    return end;
  }

  #remove(key: string | number, waiting: Waiting): void {
    this.#waiting.delete(key);
    this.#letGo(waiting);
  }

  #letGo({ place, count, bytes }: Waiting): void {
    this.#total.letGo(place);
    this.#messages -= count;
    this.#bytes -= bytes;
  }
}
