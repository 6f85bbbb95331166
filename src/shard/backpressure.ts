/**
 * Asks publishers to wait when a reader falls behind, so that nothing is dropped for readers that
 * keep reading. A publisher of QoS 0 is not read from; one of QoS 1 or 2 gets its acks later, and
 * stops by its own in-flight limit while its own acks still come in: two clients that feed each
 * other cannot wait for each other. A publisher on another shard is asked through the ring. For how
 * long it waits is its own shard's to say: see patience.ts.
 */

import { RecordError } from '../base/errors.js';
import type { PressureSink } from '../router/delivery-parts.js';
import type { PeerLink } from '../router/peer-link.js';
import { RecordKind } from '../router/records.js';
import { NO_PUBLISHER } from '../router/router.js';
import { type Impatience, Lag, Slowdown } from '../router/slowdown.js';
import type { Outlet } from '../sessions/session.js';
import type { Patience } from './patience.js';

const NO_BYTES = Buffer.alloc(0);
/** Beside a Slowdown: the reader lags; and it kept up until now. */
const LAGGING = 4;
const TURNED = 8;
/** Shard index in the low bits of a feeder's key. */
const SOURCE_FACTOR = 32;
/** Connection ids are below it: above them a key says how many shards of the index have died. */
const ID_FACTOR = 2 ** 32;
/**
 * So many deaths of a shard are told apart: a key stays below 2^53, and whoever was held back for a
 * reader so many deaths ago is not any more.
 */
const LIVES = 2 ** 13;

/** One a shard. */
export class Backpressure implements PressureSink {
  readonly impatient: ReadonlyMap<number, Impatience>;
  readonly #shardIndex: number;
  readonly #link: PeerLink;
  readonly #patience: Patience;
  /** Feeder key -> how many outlets here hold it back. */
  readonly #held = new Map<number, number>();
  /** Per shard: what its feeders' keys begin with. A successor numbers its connections anew. */
  readonly #lives = new Array<number>(SOURCE_FACTOR).fill(0);

  constructor(shardIndex: number, link: PeerLink, patience: Patience) {
    this.#shardIndex = shardIndex;
    this.#link = link;
    this.#patience = patience;
    this.impatient = patience.impatient;
  }

  onFed(outlet: Outlet, source: number, publisherId: number, qos: number): void {
    if (publisherId === NO_PUBLISHER || outlet.isStalled) return;
    const how = qos === 0 || outlet.isOverfull ? Slowdown.stopReading : Slowdown.holdAcks;
    const word = outlet.isLagging ? how | LAGGING : how;
    const key = ((this.#lives[source] + publisherId) * SOURCE_FACTOR + source) * 8 + word;
    outlet.feeders ??= new Set();
    if (outlet.feeders.has(key)) return;
    outlet.feeders.add(key);
    this.#hold(key, false);
  }

  /** The outlet has come to lag: its publishers wait for one that lags from here on. */
  lag(outlet: Outlet): void {
    const { feeders } = outlet;
    if (feeders === null) return;
    outlet.feeders = new Set();
    for (const key of feeders) {
      const lagging = key % 8 < LAGGING ? key + LAGGING : key;
      outlet.feeders.add(lagging);
      if (lagging === key) continue;
      // In this order, so that they do not go on in between.
      this.#hold(lagging, true);
      this.#release(key);
    }
  }

  /** The outlet is light, stalled or closed: whoever waits for it alone may go on. */
  relieve(outlet: Outlet): void {
    const feeders = outlet.feeders;
    if (feeders === null) return;
    outlet.feeders = null;
    for (const key of feeders) this.#release(key);
  }

  /** A peer died: none of its publishers is held back. */
  dropPeer(index: number): void {
    for (const key of [...this.#held.keys()]) {
      if (Math.floor(key / 8) % SOURCE_FACTOR === index) this.#held.delete(key);
    }
    this.#lives[index] = (this.#lives[index] + ID_FACTOR) % (LIVES * ID_FACTOR);
  }

  #hold(key: number, hasTurned: boolean): void {
    const held = this.#held.get(key) ?? 0;
    this.#held.set(key, held + 1);
    if (held === 0 || hasTurned) this.#tell(key, true, hasTurned);
  }

  #release(key: number): void {
    const held = this.#held.get(key) ?? 0;
    if (held > 1) {
      this.#held.set(key, held - 1);
    } else if (held === 1) {
      this.#held.delete(key);
      this.#tell(key, false, false);
    }
  }

  #tell(key: number, isOn: boolean, hasTurned: boolean): void {
    const word = hasTurned ? (key % 8) | TURNED : key % 8;
    const feeder = Math.floor(key / 8);
    const source = feeder % SOURCE_FACTOR;
    const publisherId = Math.floor(feeder / SOURCE_FACTOR) % ID_FACTOR;
    if (source === this.#shardIndex) {
      askFor(this.#patience, source, publisherId, word, isOn);
      return;
    }
    const kind = isOn ? RecordKind.slowDown : RecordKind.goOn;
    this.#link.send(kind, 1 << source, publisherId, word, 0, 0, NO_BYTES, 0, 0);
  }
}

/**
 * Has publisher `id` wait, or no longer, for a reader on shard `from`. @param word a Slowdown and
 * the reader's Lag: as in the records slowDown and goOn. @throws RecordError for what is none.
 */
export function askFor(
  patience: Patience,
  from: number,
  id: number,
  word: number,
  isOn: boolean,
): void {
  const how = word & ~(LAGGING | TURNED);
  if (how !== Slowdown.holdAcks && how !== Slowdown.stopReading) {
    throw new RecordError(`no way to slow down is ${word}`);
  }
  const lagging = (word & TURNED) !== 0 ? Lag.turned : Lag.known;
  patience.slowDown(from, id, how, (word & LAGGING) === 0 ? Lag.none : lagging, isOn);
}
