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
import { takeDetours } from '../base/copy-bytes.js';
import { ProtocolError, RecordError } from '../base/errors.js';
import { RING_DRAIN_QUANTUM_BYTES, SHARDS_MAX } from '../base/limits.js';
import { putRecord, RecordBacklog } from './backlog.js';
import { DoorbellReader, ringDoorbell } from './doorbell.js';
import { ASSEMBLED_BYTES_MAX } from './fragment-assembly.js';
import type { PeerLinkOptions } from './peer-link-options.js';
import { RingWriter, ringIdOf } from './ring.js';
import { type RecordHandler, RingReader } from './ring-reader.js';
import { KIND_MASK } from './ring-record.js';

export type { RecordHandler } from './ring-reader.js';

/** `Buffer.copy` is V8's own here. */
const IS_COPY_OF_V8 = Number.parseInt(process.versions.node, 10) < 22;

/** A shard's link with all its peers. */
export class PeerLink {
  readonly #shardIndex: number;
  readonly #writer: RingWriter | null;
  readonly #backlog = new RecordBacklog();
  readonly #onUnreadable: PeerLinkOptions['onUnreadable'];
  readonly #hasOtherNews: PeerLinkOptions['hasOtherNews'];
  readonly #doorbell: DoorbellReader | null;
  readonly #doorbellWriteFds: number[];
  readonly #tickets: Int32Array;
  /** Rings read from, without gaps. */
  #readers: RingReader[] = [];
  /** Peers that have not welcomed this shard yet; their rings are not touched. */
  #strangers: RingReader[] = [];
  #isSleeping = false;
  #isDraining = false;
  /** Somebody has looked at the ticket word in the middle of a drain. */
  #isOutrun = false;
  /** See `#oldest`. */
  #oldestUpTo = 0;
  /** What was seen up to this ticket has been handed over. */
  #drainedTo = 0;

  /** @throws Error when the options contradict each other. */
  constructor(options: PeerLinkOptions) {
    const { shardIndex, shardCount, rings } = options;
    invariant(shardCount >= 1 && shardCount <= SHARDS_MAX, `1 to ${SHARDS_MAX} shards`);
    invariant(shardIndex >= 0 && shardIndex < shardCount, 'the shard is one of them');
    this.#shardIndex = shardIndex;
    this.#onUnreadable = options.onUnreadable;
    this.#hasOtherNews = options.hasOtherNews;
    this.#tickets = new Int32Array(options.tickets, 0, 1);
    this.#doorbellWriteFds = [...options.doorbellWriteFds];
    this.#doorbell =
      options.doorbellReadFd >= 0
        ? new DoorbellReader(options.doorbellReadFd, options.onDoorbell)
        : null;
    if (shardCount === 1) {
      this.#writer = null;
      return;
    }
    if (IS_COPY_OF_V8) takeDetours();
    invariant(rings.length === shardCount, 'a ring for each shard');
    let readerMask = 0;
    const ringId = ringIdOf(rings[shardIndex]);
    for (let index = 0; index < shardCount; index++) {
      if (index === shardIndex) continue;
      readerMask |= 1 << index;
      const reader = new RingReader(rings[index], index, shardIndex);
      this.#strangers.push(reader);
      // This shard's ring is new, and every tail in it is 0: they may all begin.
      reader.welcome(shardIndex, ringId);
    }
    this.#writer = new RingWriter(rings[shardIndex], readerMask, this.#tickets);
  }

  /** A record is being handled. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** The peers that are alive, as a bit mask. */
  get liveMask(): number {
    return this.#writer?.readerMask ?? 0;
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

  /** Records wait for room, or somebody does that has asked for it. */
  get isBlocked(): boolean {
    return this.#backlog.bytes > 0 || this.#writer?.isRoomAsked === true;
  }

  /** It is blocked, or the peers have much to do first: the caller pauses who feeds the ring. */
  get isFull(): boolean {
    return this.isBlocked || this.#writer?.isFarAhead === true;
  }

  /** False when records of so many bytes would wait for room now: `isBlocked` while they would. */
  askRoom(bytes: number): boolean {
    return this.#backlog.bytes === 0 && this.#writer?.askRoom(bytes) !== false;
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
    if (writer.checkReaders()) {
      writer.wantRoom();
      isFull = writer.checkReaders() || isFull;
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
   * To be called behind a flush, before anybody outside is told of what was handled: clients by
   * acks and deliveries, the primary by messages.
   */
  tell(): void {
    this.#writer?.tell();
  }

  /**
   * False when everything that anybody outside was told of before this call is handed over: no
   * peer has told anything since the last time. What is on the rings and nobody was told of can
   * have led to nothing, and comes with the end of the turn.
   */
  get hasNews(): boolean {
    if (this.#isDraining) return true;
    for (let index = 0; index < this.#readers.length; index++) {
      if (this.#readers[index].hasTold) return true;
    }
    return this.#strangers.length > 0 && this.#meetStrangers();
  }

  /**
   * A mark behind everything that others have been told of: `isPast(mark)` when all of that is
   * handed over.
   */
  mark(): number {
    if (this.#isDraining) {
      this.#isOutrun = true;
      return Atomics.load(this.#tickets, 0);
    }
    const limit = this.#look();
    this.#noteDrained(limit, this.#oldest(limit));
    return limit;
  }

  /** See `mark`. */
  isPast(mark: number): boolean {
    return !this.#isDraining && ((this.#drainedTo - mark) | 0) >= 0;
  }

  /**
   * Hands the records for this shard to `handler`, in the order of their tickets over all peers,
   * until all up to the newest ticket are that are visible, `limitBytes` are reached (the last
   * record may pass it), or the handler says that its time is over. Newer ones are left: what
   * happened before them may not have been visible when its ring was looked at.
   * @param isLast whether peers that wait for room are woken: once a turn is enough.
   * @returns bytes taken: 0 when nothing was there.
   * @throws whatever the handler throws, but for a record that it cannot read; the record it threw
   *   at is not handed over again.
   */
  drain(handler: RecordHandler, limitBytes: number, isLast = true): number {
    if (this.#isSleeping) this.#wake();
    if (this.#strangers.length > 0) this.#meetStrangers();
    const limit = this.#look();
    let taken = 0;
    this.#isDraining = true;
    try {
      for (;;) {
        const reader = this.#oldest(limit);
        this.#noteDrained(limit, reader);
        if (reader === null || taken >= limitBytes || handler.isSpent) break;
        taken += this.#readFrom(reader, handler, limitBytes - taken);
        if (handler.isLeft) break;
      }
    } finally {
      this.#isDraining = false;
      if (isLast) this.#ringWriters();
    }
    if (this.#isOutrun) {
      // The heads were looked at before that.
      this.#isOutrun = false;
      if (((this.#drainedTo - limit) | 0) >= 0) this.#drainedTo = (limit - 1) | 0;
    }
    return taken;
  }

  /**
   * Loads what was told, the ticket word, and then the heads: what has a ticket up to that of the
   * word and is not seen is nothing that anybody has been told of. The other way round, something
   * newer could be seen, and what led to it not. @returns the newest ticket.
   */
  #look(): number {
    for (let index = 0; index < this.#readers.length; index++) this.#readers[index].seeTold();
    const limit = Atomics.load(this.#tickets, 0);
    for (let index = 0; index < this.#readers.length; index++) this.#readers[index].see();
    return limit;
  }

  /**
   * The peer that has the oldest of what was seen up to this ticket; null: there is none.
   * `#oldestUpTo` is the last ticket before that of another one.
   */
  #oldest(limit: number): RingReader | null {
    let oldest: RingReader | null = null;
    let ticket = 0;
    let upTo = limit;
    for (let index = 0; index < this.#readers.length; index++) {
      const reader = this.#readers[index];
      if (!reader.hasSeen) continue;
      const next = reader.nextTicket;
      if (((next - limit) | 0) > 0) continue;
      if (oldest === null || ((next - ticket) | 0) < 0) {
        if (oldest !== null) upTo = (ticket - 1) | 0;
        oldest = reader;
        ticket = next;
      } else if (((next - upTo) | 0) <= 0) {
        upTo = (next - 1) | 0;
      }
    }
    this.#oldestUpTo = upTo;
    return oldest;
  }

  #noteDrained(limit: number, oldest: RingReader | null): void {
    if (oldest !== null) {
      this.#drainedTo = (oldest.nextTicket - 1) | 0;
      return;
    }
    this.#drainedTo = limit;
    for (let index = 0; index < this.#readers.length; index++) this.#readers[index].noteCaughtUp();
  }

  #readFrom(reader: RingReader, handler: RecordHandler, limitBytes: number): number {
    const quantum = Math.min(RING_DRAIN_QUANTUM_BYTES, limitBytes);
    try {
      return reader.read(handler, quantum, this.#oldestUpTo);
    } catch (error) {
      this.#leaveOut(reader, error);
      // How much was read before is not known. Many of these must not make a turn endless.
      return RING_DRAIN_QUANTUM_BYTES;
    }
  }

  /** Wakes the peers that wait for room. */
  #ringWriters(): void {
    for (let index = 0; index < this.#readers.length; index++) {
      const reader = this.#readers[index];
      if (reader.takeWaitingWriter()) ringDoorbell(this.#doorbellWriteFds[reader.from]);
    }
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
    const isAny = this.#readers.some((reader) => reader.hasRecords());
    if (!isAny && this.#hasOtherNews?.() !== true) return true;
    this.#wake();
    return false;
  }

  /** Has this peer look at shared words, should it sleep. */
  wake(index: number): void {
    if (this.#writer?.takeSleeper(index)) ringDoorbell(this.#doorbellWriteFds[index]!);
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
    const isRead = (writer.readerMask & (1 << index)) !== 0;
    const isKnown = isRead && reader.hasWelcome(this.#shardIndex, writer.ringId);
    if (isKnown) return;
    this.dropPeer(index);
    this.#doorbellWriteFds[index] = doorbellWriteFd;
    this.#strangers.push(reader);
    // It begins with a whole flush.
    this.flush();
    writer.addReader(index);
    if (this.#isSleeping) reader.setSleeping(true);
    reader.welcome(this.#shardIndex, writer.ringId);
    // It may have gone to sleep before the welcome.
    ringDoorbell(doorbellWriteFd);
  }

  /** Closes this shard's end of its doorbell. */
  close(): void {
    this.#doorbell?.close();
  }

  /** Peers that have welcomed this shard meanwhile are read from here on. @returns if there are. */
  #meetStrangers(): boolean {
    const writer = this.#writer;
    if (writer === null) return false;
    const isWelcomed = (reader: RingReader): boolean =>
      writer.isWelcomedBy(reader.from, reader.ringId);
    const welcomed = this.#strangers.filter(isWelcomed);
    if (welcomed.length === 0) return false;
    this.#strangers = this.#strangers.filter((reader) => !welcomed.includes(reader));
    for (const reader of welcomed) reader.begin();
    this.#readers.push(...welcomed);
    return true;
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
