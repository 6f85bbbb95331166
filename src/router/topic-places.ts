/**
 * What a route cache knows of a topic by its hash alone, before it makes a string of its bytes:
 * topics that never come again are then not looked for in maps that hash them once more.
 */
import { ROUTE_CACHE_ENTRIES } from '../base/limits.js';

const YOUNG = 1;
const OLD = 2;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** One a route cache. Each hash has the place that it says itself; some share one. */
export class TopicPlaces {
  /** Hashes of topics asked for lately and not kept. */
  readonly #seenOnce = new Int32Array(ROUTE_CACHE_ENTRIES);
  /** Which generations keep routes of topics with this place: bits. */
  readonly #kept = new Uint8Array(ROUTE_CACHE_ENTRIES);

  /** False when no topic of this hash is kept. */
  mayBeKept(hash: number): boolean {
    return this.#kept[hash & (ROUTE_CACHE_ENTRIES - 1)] !== 0;
  }

  /** Whether no topic of this hash was asked for lately; it has been from now on. */
  isFirstSight(hash: number): boolean {
    const place = hash & (ROUTE_CACHE_ENTRIES - 1);
    if (this.#seenOnce[place] === hash) return false;
    this.#seenOnce[place] = hash;
    return true;
  }

  /** A route of a topic with this hash is kept in the young generation. */
  keep(hash: number): void {
    this.#kept[hash & (ROUTE_CACHE_ENTRIES - 1)] |= YOUNG;
  }

  /** The old generation is thrown away, the young one is the old one now. */
  growOld(): void {
    const kept = this.#kept;
    for (let place = 0; place < kept.length; place++) {
      kept[place] = (kept[place] & YOUNG) !== 0 ? OLD : 0;
    }
  }
}

/** 32-bit FNV-1a of bytes [start, end). */
export function hashOfBytes(buffer: Buffer, start: number, end: number): number {
  let hash = FNV_OFFSET | 0;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ buffer[at], FNV_PRIME);
  return hash;
}

/** That of a topic key's bytes. */
export function hashOfTopic(topicKey: string): number {
  let hash = FNV_OFFSET | 0;
  for (let at = 0; at < topicKey.length; at++) {
    hash = Math.imul(hash ^ topicKey.charCodeAt(at), FNV_PRIME);
  }
  return hash;
}
