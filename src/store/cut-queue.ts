/**
 * Which segments are written together: a *cut* that with every change has what led to it. A journal
 * takes its ticket and posts its segment before it lets others see anything. So what has led to a
 * segment that is held has been posted before it, with a lower ticket. All that is held, and all
 * that is there in a second look, up to the largest ticket of the first look, leaves nothing out.
 * The second look goes on until a source has nothing more or is past that ticket: it comes to an
 * end however fast others post.
 */
import { STORE_CUT_BYTES_MAX, STORE_FIRST_LOOK_SEGMENTS } from '../base/limits.js';
import type { Segment } from './store-messages.js';

/** Where segments come from: each of one journal, in the order in which they were posted. */
export interface SegmentSource {
  /** The next one; undefined: no more has arrived. */
  receive(): Segment | undefined;
}

interface Held<Source> {
  readonly source: Source;
  readonly segment: Segment;
}

export class CutQueue<Source extends SegmentSource> {
  readonly #sources = new Set<Source>();
  readonly #bytesMax: number;
  #held: Held<Source>[] = [];

  /** @param bytesMax bytes of a cut, or of its only segment. */
  constructor(bytesMax: number = STORE_CUT_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Segments that have arrived and are in no cut. */
  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Takes segments from here too. What posts there may not have seen anything of others before. */
  add(source: Source): void {
    this.#sources.add(source);
  }

  /** Takes what has arrived there, and nothing any more. */
  remove(source: Source): void {
    this.#pull(source, Number.POSITIVE_INFINITY);
    this.#sources.delete(source);
  }

  has(source: Source): boolean {
    return this.#held.some((held) => held.source === source);
  }

  /** A segment that has arrived by another way, before what is still to be received. */
  hold(source: Source, segment: Segment): void {
    this.#held.push({ source, segment });
  }

  /** The next cut, in the order of tickets; empty when nothing has arrived. */
  next(): readonly Held<Source>[] {
    for (const source of this.#sources) this.#pull(source, STORE_FIRST_LOOK_SEGMENTS);
    if (this.#held.length === 0) return [];
    let newest = this.#held[0].segment.ticket;
    for (const { segment } of this.#held) {
      if (isBehind(segment.ticket, newest)) newest = segment.ticket;
    }
    for (const source of this.#sources) this.#pull(source, Number.POSITIVE_INFINITY, newest);
    this.#held.sort((a, b) => (a.segment.ticket - b.segment.ticket) | 0);
    let count = 0;
    let bytes = 0;
    for (const { segment } of this.#held) {
      if (isBehind(segment.ticket, newest)) break;
      bytes += segment.length;
      if (bytes > this.#bytesMax && count > 0) break;
      count++;
    }
    const cut = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return cut;
  }

  /** @param last ticket past which the rest may stay where it is; undefined: none may. */
  #pull(source: Source, countMax: number, last?: number): void {
    for (let count = 0; count < countMax; count++) {
      const segment = source.receive();
      if (segment === undefined) return;
      this.#held.push({ source, segment });
      if (last !== undefined && isBehind(segment.ticket, last)) return;
    }
  }
}

/** Whether ticket `a` was taken after `b`: they wrap. */
function isBehind(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}
