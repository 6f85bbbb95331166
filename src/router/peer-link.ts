/**
 * Everything a shard needs to talk with its peers: it writes one ring that they all read, and reads
 * theirs.
 *
 * A turn of a shard: `drain` until it says 0, the shard's own work with `send`, one `flush`. With
 * nothing left to do, `sleep`: false means that something has come meanwhile, true that the
 * doorbell will ring for the next thing. The doorbell also rings when there is room again for a
 * backlog: a shard whose backlog did not empty sleeps like any other, and flushes when it is woken.
 * It may ring for nothing.
 *
 * `send` and `flush` may be called from a record handler; `drain`, `dropPeer` and `replacePeer` may
 * not.
 */
import { invariant } from '../base/assert.js';
import { ProtocolError, RecordError } from '../base/errors.js';
import { RING_DRAIN_QUANTUM_BYTES, SHARDS_MAX } from '../base/limits.js';
import { putRecord, RecordBacklog } from './backlog.js';
import { DoorbellReader, ringDoorbell } from './doorbell.js';
import { ASSEMBLED_BYTES_MAX } from './fragment-assembly.js';
import { type RecordHandler, RingReader, RingWriter } from './ring.js';
import { KIND_MASK } from './ring-record.js';

export type { RecordHandler } from './ring.js';

/** What a shard is told about its peers when it starts. */
export interface PeerLinkOptions {
  readonly shardIndex: number;
  /** 1 to SHARDS_MAX. With 1 there are no peers, and nothing here does anything. */
  readonly shardCount: number;
  /** Ring i is written by shard i. This shard's own must be new. */
  readonly rings: readonly SharedArrayBuffer[];
  /** Read end of this shard's doorbell, owned by the link from here on; -1: none. */
  readonly doorbellReadFd: number;
  /** Write ends by shard; they stay the primary's. */
  readonly doorbellWriteFds: readonly number[];
  /** Called when the doorbell has rung. The shard then takes a turn. */
  readonly onDoorbell: () => void;
  /**
   * Told of each record that is not what its kind says: it is left out. Without, `drain` throws.
   * @param from the shard that sent it.
   */
  readonly onUnreadable?: (from: number, kind: number, error: Error) => void;
}

/** A shard's link with all its peers. */
export class PeerLink {
  readonly #shardIndex: number;
  readonly #writer: RingWriter | null;
  readonly #backlog = new RecordBacklog();
  readonly #onUnreadable: PeerLinkOptions['onUnreadable'];
  readonly #doorbell: DoorbellReader | null;
  readonly #doorbellWriteFds: number[];
  /** Rings read from, without gaps: round robin goes through them. */
  #readers: RingReader[] = [];
  /** Peers that have not welcomed this shard yet; their rings are not touched. */
  #strangers: RingReader[] = [];
  /** Where in #readers the next drain begins. */
  #nextReader = 0;
  #isSleeping = false;

  /** @throws Error when the options contradict each other. */
  constructor(options: PeerLinkOptions) {
    const { shardIndex, shardCount, rings } = options;
    invariant(shardCount >= 1 && shardCount <= SHARDS_MAX, `1 to ${SHARDS_MAX} shards`);
    invariant(shardIndex >= 0 && shardIndex < shardCount, 'the shard is one of them');
    this.#shardIndex = shardIndex;
    this.#onUnreadable = options.onUnreadable;
    this.#doorbellWriteFds = [...options.doorbellWriteFds];
    this.#doorbell =
      options.doorbellReadFd >= 0
        ? new DoorbellReader(options.doorbellReadFd, options.onDoorbell)
        : null;
    if (shardCount === 1) {
      this.#writer = null;
      return;
    }
    invariant(rings.length === shardCount, 'a ring for each shard');
    let readerMask = 0;
    for (let index = 0; index < shardCount; index++) {
      if (index === shardIndex) continue;
      readerMask |= 1 << index;
      const reader = new RingReader(rings[index], index, shardIndex);
      this.#strangers.push(reader);
      // This shard's ring is new, and every tail in it is 0: they may all begin.
      reader.welcome(shardIndex);
    }
    this.#writer = new RingWriter(rings[shardIndex], readerMask);
  }

  /** Bytes that wait for room. */
  get backlogBytes(): number {
    return this.#backlog.bytes;
  }

  /** A place behind everything sent so far: see `isOnRing`. */
  get sentPlace(): number {
    return this.#backlog.place;
  }

  /** Whether all that was sent before this place is on the ring, seen after a `flush`. */
  isOnRing(place: number): boolean {
    return this.#backlog.isPast(place);
  }

  /**
   * Records wait for room, or the peers have much to do before they come to what is sent next: the
   * caller pauses the connections that feed the ring.
   */
  get isFull(): boolean {
    return this.#backlog.bytes > 0 || this.#writer?.isFarAhead === true;
  }

  /** What was sent last takes the peers so much longer than its bytes say (`workOfRecord`). */
  addWork(work: number): void {
    this.#writer?.addWork(work);
  }

  /**
   * Sends one record to every live shard that `shardMask` names; seen there after `flush`. Never
   * fails: what finds no room is copied and waits. Records from one shard arrive in the order they
   * were sent.
   * @param kind 1 to 255. @param word0 to word3: 32 bits each.
   * @throws Error when the record is larger than any packet.
   */
  send(
    kind: number,
    shardMask: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const writer = this.#writer;
    if (writer === null) return;
    const mask = shardMask & writer.readerMask;
    if (mask === 0) return;
    if (kind < 1 || kind > KIND_MASK) invariant(false, 'the kind of a record is 1 to 255');
    const total = end - start;
    if (total > ASSEMBLED_BYTES_MAX)
      invariant(false, 'no record is larger than the largest packet');
    let from = start;
    if (this.#backlog.bytes === 0) {
      const reached = putRecord(
        writer,
        kind,
        mask,
        total,
        word0,
        word1,
        word2,
        word3,
        bytes,
        start,
        end,
      );
      if (reached === end) return;
      if (reached > start) from = reached;
    }
    this.#backlog.push(kind, mask, total, word0, word1, word2, word3, bytes, from, end);
  }

  /**
   * Puts on the ring what waited and has room, lets the peers see it all, and wakes those that
   * sleep.
   */
  flush(): void {
    const writer = this.#writer;
    if (writer === null) return;
    let isFull = false;
    if (this.#backlog.bytes > 0 && !this.#backlog.moveTo(writer)) {
      // Asked for before the second look, so that room made in between is either seen or rung for.
      writer.wantRoom();
      isFull = !this.#backlog.moveTo(writer);
    }
    if (writer.checkLead()) {
      writer.wantRoom();
      isFull = writer.checkLead() || isFull;
    }
    const touched = writer.touchedMask;
    if (!writer.publish() && !isFull) return;
    for (let index = 0; index < this.#doorbellWriteFds.length; index++) {
      const bit = 1 << index;
      if ((writer.readerMask & bit) === 0) continue;
      // A sleeper that nothing is for sleeps on, until what it has to step over fills half the
      // ring.
      const isConcerned =
        isFull || (touched & bit) !== 0 || writer.lagBytes(index) > writer.capacityBytes >> 1;
      if (isConcerned && writer.takeSleeper(index)) ringDoorbell(this.#doorbellWriteFds[index]);
    }
  }

  /**
   * Hands the records for this shard to `handler`: peer by peer in turn, at most a quantum each,
   * until nothing is left, `limitBytes` are reached (the last record may pass it), or the handler
   * says that its time is over.
   * @returns bytes taken: 0 when nothing was there.
   * @throws whatever the handler throws, but for a record that it cannot read; the record it threw
   *   at is not handed over again.
   */
  drain(handler: RecordHandler, limitBytes: number): number {
    if (this.#isSleeping) this.#wake();
    if (this.#strangers.length > 0) this.#meetStrangers();
    const readers = this.#readers;
    let taken = 0;
    let idleReaders = 0;
    while (idleReaders < readers.length && taken < limitBytes && !handler.isSpent) {
      if (this.#nextReader >= readers.length) this.#nextReader = 0;
      const reader = readers[this.#nextReader++];
      let read = 0;
      try {
        read = reader.read(handler, Math.min(RING_DRAIN_QUANTUM_BYTES, limitBytes - taken));
      } catch (error) {
        // How much was read before is not known. Many of these must not make a turn endless.
        read = RING_DRAIN_QUANTUM_BYTES;
        this.#leaveOut(reader, error);
      } finally {
        if (reader.takeWaitingWriter()) ringDoorbell(this.#doorbellWriteFds[reader.from]);
      }
      taken += read;
      idleReaders = read > 0 ? 0 : idleReaders + 1;
    }
    return taken;
  }

  /**
   * Says to every peer that this shard sleeps, and looks once more.
   * @returns false when there is something to drain: the shard is awake then.
   */
  sleep(): boolean {
    if (this.#writer === null) return true;
    if (this.#strangers.length > 0) this.#meetStrangers();
    this.#isSleeping = true;
    for (const reader of this.#readers) reader.setSleeping(true);
    for (const reader of this.#strangers) reader.setSleeping(true);
    for (const reader of this.#readers) {
      if (reader.hasRecords()) {
        this.#wake();
        return false;
      }
    }
    return true;
  }

  /** Whether this peer has shown something that is not handed over. */
  hasUnread(index: number): boolean {
    if (this.#strangers.length > 0) this.#meetStrangers();
    return this.#readers.some((reader) => reader.from === index && reader.hasRecords());
  }

  /**
   * A peer has died: its ring is not read any more, a record of it that was half here is thrown
   * away, its tail holds up nothing, and what waited for it is not for its successor. What it has
   * shown is to be handed over before (`hasUnread`). Flush afterwards: there may be room now.
   */
  dropPeer(index: number): void {
    const writer = this.#writer;
    if (writer === null || index === this.#shardIndex) return;
    this.#readers = this.#readers.filter((reader) => reader.from !== index);
    this.#strangers = this.#strangers.filter((reader) => reader.from !== index);
    writer.removeReader(index);
    this.#backlog.forgetReader(index);
  }

  /**
   * The successor of a peer that died, with its new ring: read from its begin; it reads this
   * shard's ring from what is sent next. A second call with the same ring changes nothing.
   */
  replacePeer(index: number, ring: SharedArrayBuffer, doorbellWriteFd: number): void {
    const writer = this.#writer;
    if (writer === null || index === this.#shardIndex) return;
    const reader = new RingReader(ring, index, this.#shardIndex);
    const isKnown = (writer.readerMask & (1 << index)) !== 0 && reader.hasWelcome(this.#shardIndex);
    if (isKnown) return;
    this.dropPeer(index);
    this.#doorbellWriteFds[index] = doorbellWriteFd;
    this.#strangers.push(reader);
    writer.addReader(index);
    if (this.#isSleeping) reader.setSleeping(true);
    reader.welcome(this.#shardIndex);
    // It may have gone to sleep before the welcome.
    ringDoorbell(doorbellWriteFd);
  }

  /** Closes this shard's end of its doorbell. */
  close(): void {
    this.#doorbell?.close();
  }

  /** Peers that have welcomed this shard meanwhile are read from here on. */
  #meetStrangers(): void {
    const writer = this.#writer;
    if (writer === null) return;
    const isWelcomed = (reader: RingReader): boolean => writer.isWelcomedBy(reader.from);
    const welcomed = this.#strangers.filter(isWelcomed);
    if (welcomed.length === 0) return;
    this.#strangers = this.#strangers.filter((reader) => !welcomed.includes(reader));
    for (const reader of welcomed) reader.begin();
    this.#readers.push(...welcomed);
  }

  /** @throws `error` when it is not the record's fault. */
  #leaveOut(reader: RingReader, error: unknown): void {
    const isUnreadable = error instanceof RecordError || error instanceof ProtocolError;
    if (!isUnreadable || this.#onUnreadable === undefined) throw error;
    this.#onUnreadable(reader.from, reader.lastKind, error);
  }

  #wake(): void {
    this.#isSleeping = false;
    for (const reader of this.#readers) reader.setSleeping(false);
    for (const reader of this.#strangers) reader.setSleeping(false);
  }
}
