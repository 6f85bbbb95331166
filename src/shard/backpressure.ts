/**
 * Slows publishers down when a reader falls behind, so that nothing is dropped for readers that
 * keep reading. A publisher of QoS 0 is not read from; one of QoS 1 or 2 gets its acks later, and
 * stops by its own in-flight limit while its own acks still come in: two clients that feed each
 * other cannot wait for each other. A publisher on another shard is slowed down by that shard,
 * which is told through the ring.
 */

import type { PeerLink } from '../router/peer-link.js';
import { RecordKind } from '../router/records.js';
import type { PressureSink } from '../router/router.js';
import { NO_PUBLISHER } from '../router/router.js';
import { type Publisher, Slowdown } from '../router/slowdown.js';
import type { Outlet } from '../sessions/session.js';

const NO_BYTES = Buffer.alloc(0);
/** Shard index in the low bits of a feeder's key. */
const SOURCE_FACTOR = 32;
/** Connection ids are below it: above them a key says how many shards of the index have died. */
const ID_FACTOR = 2 ** 32;

/** One a shard. */
export class Backpressure implements PressureSink {
  readonly #shardIndex: number;
  readonly #link: PeerLink;
  readonly #publishers: (id: number) => Publisher | undefined;
  /** Feeder key -> how many outlets here hold it back. */
  readonly #held = new Map<number, number>();
  /** Per shard: what its feeders' keys begin with. A successor numbers its connections anew. */
  readonly #lives = new Array<number>(SOURCE_FACTOR).fill(0);
  /** Publishers here -> shards that hold them back. */
  readonly #shards = new Map<number, number>();

  constructor(
    shardIndex: number,
    link: PeerLink,
    publishers: (id: number) => Publisher | undefined,
  ) {
    this.#shardIndex = shardIndex;
    this.#link = link;
    this.#publishers = publishers;
  }

  onFed(outlet: Outlet, source: number, publisherId: number, qos: number): void {
    if (publisherId === NO_PUBLISHER || outlet.isStalled) return;
    const how = qos === 0 || outlet.isOverfull ? Slowdown.stopReading : Slowdown.holdAcks;
    const key = ((this.#lives[source] + publisherId) * SOURCE_FACTOR + source) * 4 + how;
    outlet.feeders ??= new Set();
    if (outlet.feeders.has(key)) return;
    outlet.feeders.add(key);
    const held = this.#held.get(key) ?? 0;
    this.#held.set(key, held + 1);
    if (held === 0) this.#tell(key, true);
  }

  /** The outlet is light, stalled or closed: whoever waits for it alone may go on. */
  relieve(outlet: Outlet): void {
    const feeders = outlet.feeders;
    if (feeders === null) return;
    outlet.feeders = null;
    for (const key of feeders) {
      const held = this.#held.get(key) ?? 0;
      if (held > 1) {
        this.#held.set(key, held - 1);
      } else if (held === 1) {
        this.#held.delete(key);
        this.#tell(key, false);
      }
    }
  }

  /** Shard `from` has or no longer has a reader that this shard's publisher must wait for. */
  slowDown(from: number, publisherId: number, how: Slowdown, isOn: boolean): void {
    const publisher = this.#publishers(publisherId);
    if (publisher === undefined) return;
    const key = publisherId * 4 + how;
    const before = this.#shards.get(key) ?? 0;
    const shards = isOn ? before | (1 << from) : before & ~(1 << from);
    if (shards === 0) this.#shards.delete(key);
    else this.#shards.set(key, shards);
    publisher.slowDown(how, shards);
  }

  /** A publisher here is gone. */
  forget(publisherId: number): void {
    this.#shards.delete(publisherId * 4 + Slowdown.holdAcks);
    this.#shards.delete(publisherId * 4 + Slowdown.stopReading);
  }

  /** A peer died: it holds nobody back, and none of its publishers is held back. */
  dropPeer(index: number): void {
    for (const key of [...this.#shards.keys()]) {
      this.slowDown(index, Math.floor(key / 4), (key % 4) as Slowdown, false);
    }
    for (const key of [...this.#held.keys()]) {
      if (Math.floor(key / 4) % SOURCE_FACTOR === index) this.#held.delete(key);
    }
    this.#lives[index] += ID_FACTOR;
  }

  #tell(key: number, isOn: boolean): void {
    const how = (key % 4) as Slowdown;
    const feeder = Math.floor(key / 4);
    const source = feeder % SOURCE_FACTOR;
    const publisherId = Math.floor(feeder / SOURCE_FACTOR) % ID_FACTOR;
    if (source === this.#shardIndex) {
      this.slowDown(source, publisherId, how, isOn);
      return;
    }
    const kind = isOn ? RecordKind.slowDown : RecordKind.goOn;
    this.#link.send(kind, 1 << source, publisherId, how, 0, 0, NO_BYTES, 0, 0);
  }
}
