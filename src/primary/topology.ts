/**
 * What shards share and who may touch it: a ring, a doorbell pipe and a block of counters for each
 * shard, and one word of tickets. The primary makes them all and owns the write ends of the pipes;
 * a shard owns the read end of its own from the moment it reads it.
 *
 * A descriptor number that is closed may be given out again at once, to a client's socket. So the
 * write end of a dead shard's pipe is *retired*, not closed, until everybody who knew the number
 * has let go of it: each peer by welcoming the successor, or by its thread being gone.
 */
import { fstatSync } from 'node:fs';
import { createCounterBlock, retireCounters } from '../base/counters.js';
import { closeDescriptor, createPipe, type Pipe } from '../base/libc.js';
import { createMemoryWord } from '../base/memory-level.js';
import { RateDebts } from '../base/rate-debts.js';
import { createRing } from '../router/ring.js';
import { createTickets } from '../router/ring-layout.js';
import { createWakes } from '../router/wakes.js';
import type { ShardStart } from '../shard/control.js';
import { AddressTable } from '../transport/address-table.js';
import { ListenerCounts } from '../transport/listener-counts.js';

/** What the topology needs of the operating system. */
export interface PipeSystem {
  /** @throws Error when no descriptors are left. */
  createPipe(): Pipe;
  /** What tells this open pipe from any other file: undefined if `fd` is not open. */
  identityOf(fd: number): number | bigint | undefined;
  close(fd: number): void;
}

const pipeSystem: PipeSystem = {
  createPipe,
  identityOf(fd) {
    try {
      return fstatSync(fd, { bigint: true }).ino;
    } catch {
      return undefined;
    }
  },
  close: closeDescriptor,
};

/** The part of a shard's task data that comes from here. */
export type SharedParts = Pick<
  ShardStart,
  | 'rings'
  | 'tickets'
  | 'wakes'
  | 'addresses'
  | 'listenerCounts'
  | 'rateDebts'
  | 'memoryLevel'
  | 'doorbellReadFd'
  | 'doorbellWriteFds'
  | 'counters'
>;

/** Stands for the pipe of a shard without peers: nobody wakes it. */
const NO_PIPE: Pipe = { readFd: -1, writeFd: -1 };
/** A user of a retired write end that will never let go: a thread that could not be ended. */
const STUCK = -1;

/** One shard's things. */
interface Seat {
  readonly ring: SharedArrayBuffer;
  readonly pipe: Pipe;
  readonly pipeIdentity: number | bigint | undefined;
  readonly counters: SharedArrayBuffer;
}

/** The write end of a former doorbell, and the shards that may still write to it. */
interface RetiredDoorbell {
  readonly shardIndex: number;
  readonly writeFd: number;
  readonly users: Set<number>;
}

export class Topology {
  /** Whole size of a ring, 0 with one shard: a ring needs a reader. */
  readonly #ringBytes: number;
  readonly #pipes: PipeSystem;
  readonly #seats: Seat[] = [];
  /** It outlives every shard: the order of tickets goes on. */
  readonly #tickets = createTickets();
  /** Who has just woken: likewise. */
  readonly #wakes = createWakes();
  /** What the process uses of its memory. */
  readonly memoryLevel: SharedArrayBuffer = createMemoryWord();
  /** Connections by address: likewise, a dead shard's are given back. */
  readonly addresses: SharedArrayBuffer;
  /** Connections by listener: likewise. */
  readonly listenerCounts: SharedArrayBuffer;
  /** What clients owe that have sent too much: likewise. */
  readonly rateDebts: SharedArrayBuffer = RateDebts.createMemory();
  #retired: RetiredDoorbell[] = [];
  /** What dead shards had counted. */
  readonly #retiredCounters = createCounterBlock();
  #isClosed = false;

  /**
   * @param shardCount 1 to SHARDS_MAX.
   * @param ringBytes size of each ring's data area, a power of two.
   * @throws Error when the system gives no pipe; nothing stays open.
   */
  constructor(shardCount: number, ringBytes: number, pipes: PipeSystem = pipeSystem) {
    this.#ringBytes = shardCount === 1 ? 0 : ringBytes;
    this.#pipes = pipes;
    this.addresses = AddressTable.createMemory(shardCount);
    this.listenerCounts = ListenerCounts.createMemory(shardCount);
    try {
      while (this.#seats.length < shardCount) this.#seats.push(this.#createSeat());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What shard `shardIndex` is to be started with. */
  partsFor(shardIndex: number): SharedParts {
    const { pipe, counters } = this.#seats[shardIndex];
    return {
      rings: this.#seats.map((seat) => seat.ring),
      tickets: this.#tickets,
      wakes: this.#wakes,
      memoryLevel: this.memoryLevel,
      addresses: this.addresses,
      listenerCounts: this.listenerCounts,
      rateDebts: this.rateDebts,
      doorbellReadFd: pipe.readFd,
      doorbellWriteFds: this.#seats.map((seat) => seat.pipe.writeFd),
      counters,
    };
  }

  /** The counters of a shard as it runs now. */
  countersOf(shardIndex: number): SharedArrayBuffer {
    return this.#seats[shardIndex].counters;
  }

  /** All counters there are: the shards' and what dead shards left. */
  allCounters(): SharedArrayBuffer[] {
    return [...this.#seats.map((seat) => seat.counters), this.#retiredCounters];
  }

  /** Write ends retired and not closed yet. */
  get retiredCount(): number {
    return this.#retired.length;
  }

  /**
   * Gives a dead shard's place new things. Its thread must be gone, or `threadStuck` have been said
   * of it.
   * @param users shards that know the former write end and may write to it still.
   * @throws Error when the system gives no pipe; the former things stay then.
   */
  replace(
    shardIndex: number,
    users: Iterable<number>,
  ): { ring: SharedArrayBuffer; doorbellWriteFd: number } {
    const former = this.#seats[shardIndex];
    const seat = this.#createSeat();
    this.#seats[shardIndex] = seat;
    retireCounters(former.counters, this.#retiredCounters);
    this.#retired.push({ shardIndex, writeFd: former.pipe.writeFd, users: new Set(users) });
    this.#closeUnused();
    return { ring: seat.ring, doorbellWriteFd: seat.pipe.writeFd };
  }

  /**
   * `peer` has welcomed the successor of `shardIndex`: of the retired write ends it knew, the
   * oldest is let go.
   */
  welcomed(shardIndex: number, peer: number): void {
    const oldest = this.#retired.find(
      (doorbell) => doorbell.shardIndex === shardIndex && doorbell.users.has(peer),
    );
    oldest?.users.delete(peer);
    this.#closeUnused();
  }

  /**
   * The thread of this dead shard has ended: it writes to nobody, and its read end is nobody's if
   * still open.
   */
  threadGone(shardIndex: number): void {
    this.#closeReadEnd(this.#seats[shardIndex]);
    for (const doorbell of this.#retired) doorbell.users.delete(shardIndex);
    this.#closeUnused();
  }

  /** The thread of this dead shard does not end: what it may write to stays open until `close`. */
  threadStuck(shardIndex: number): void {
    for (const doorbell of this.#retired) {
      if (doorbell.users.delete(shardIndex)) doorbell.users.add(STUCK);
    }
  }

  /** Closes all descriptors; the counters stay readable. Every shard's thread must be gone. */
  close(): void {
    if (this.#isClosed) return;
    for (const doorbell of this.#retired) this.#closeWriteEnd(doorbell.writeFd);
    this.#retired = [];
    for (const seat of this.#seats) {
      this.#closeReadEnd(seat);
      this.#closeWriteEnd(seat.pipe.writeFd);
    }
    this.#isClosed = true;
  }

  #createSeat(): Seat {
    const isAlone = this.#ringBytes === 0;
    const ring = isAlone ? new SharedArrayBuffer(0) : createRing(this.#ringBytes);
    const counters = createCounterBlock();
    if (isAlone) return { ring, pipe: NO_PIPE, pipeIdentity: undefined, counters };
    const pipe = this.#pipes.createPipe();
    return { ring, pipe, pipeIdentity: this.#pipes.identityOf(pipe.readFd), counters };
  }

  /**
   * A shard that died before it read its doorbell has left the read end open. The number alone
   * proves nothing, it may be somebody else's by now; that it still names this very pipe does.
   */
  #closeReadEnd({ pipe, pipeIdentity }: Seat): void {
    if (pipeIdentity !== undefined && this.#pipes.identityOf(pipe.readFd) === pipeIdentity) {
      this.#pipes.close(pipe.readFd);
    }
  }

  #closeWriteEnd(fd: number): void {
    if (fd >= 0) this.#pipes.close(fd);
  }

  #closeUnused(): void {
    this.#retired = this.#retired.filter((doorbell) => {
      if (doorbell.users.size > 0) return true;
      this.#closeWriteEnd(doorbell.writeFd);
      return false;
    });
  }
}
