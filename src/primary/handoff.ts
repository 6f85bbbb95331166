/**
 * The two ways of giving an accepted socket to a shard, behind one interface.
 *
 * - *descriptor*: the descriptor is duplicated, the primary closes its own, and the shard makes a
 *   socket of the duplicate. Each descriptor has one owner at any time; a descriptor with two
 *   owners is closed under one of them sooner or later, when its number is somebody else's already
 *   (nodejs/node#30507).
 * - *socket*: the runtime itself moves the socket (Node.js 26, and 24 from 24.21 on).
 *
 * The first is taken wherever the C library can be called: measured on Node 26, when both still
 * made a socket in the primary, it cost that 28 us a connection and the second 40 us; it makes none
 * now, and lets the shard choose the buffer that its socket reads into.
 */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { MessageChannel, type Transferable } from 'node:worker_threads';
import { errorCode } from '../base/error-code.js';
import { closeDescriptor, createPipe, duplicateDescriptor } from '../base/libc.js';
import type { CountedAt } from '../shard/adoption.js';
import type { ToShard } from '../shard/control.js';
import type { Accepted } from './accepted.js';

/** Sends a message to a shard. False when the shard is down: the message is lost. */
export type PostToShard = (
  shardIndex: number,
  message: ToShard,
  transfer?: readonly Transferable[],
) => boolean;

/** One way of handing sockets over. */
export interface Handoff {
  readonly kind: 'descriptor' | 'socket';
  /**
   * Gives a connection just accepted to a shard; it is not the caller's any more.
   * @param counted the listener it came by, and where it is counted.
   * @returns false when the shard is down; the connection is closed then.
   * @throws LibcError with code EMFILE when descriptors have run out; the connection is the
   * caller's still.
   */
  hand(shardIndex: number, accepted: Accepted, counted: CountedAt): boolean;
  /**
   * A shard's thread is gone: closes the connections that were given to it and that it never took,
   * which would hang otherwise. @returns how many they were.
   */
  reclaim(shardIndex: number): number;
}

/** How many sockets a shard has taken since it started. It may lag behind. */
export type TakenBy = (shardIndex: number) => number;

/**
 * Chooses the way that works here, by trying.
 * @throws Error in one line, when none does.
 */
export function chooseHandoff(post: PostToShard, takenBy: TakenBy): Handoff {
  try {
    const { readFd, writeFd } = createPipe();
    const duplicate = duplicateDescriptor(readFd);
    for (const fd of [readFd, writeFd, duplicate]) closeDescriptor(fd);
  } catch (error) {
    if (canTransferSockets()) return new SocketHandoff(post);
    throw error;
  }
  return new DescriptorHandoff(post, takenBy);
}

/** True when this runtime can move a socket to another thread. */
export function canTransferSockets(): boolean {
  const { port1, port2 } = new MessageChannel();
  try {
    transferSocket(new Socket(), (socket, transfer) => port1.postMessage(socket, transfer));
    return true;
  } catch (error) {
    // A runtime that can complains about this socket, which has no connection, and not about
    // sockets as such.
    return errorCode(error) === 'ERR_WORKER_HANDLE_NOT_TRANSFERABLE';
  } finally {
    port1.close();
    port2.close();
  }
}

/** A descriptor on its way to a shard. */
interface Handed {
  readonly fd: number;
  /** The inode of the socket: what tells it from a later file under the same number. */
  readonly inode: number;
}

/** What one shard was given and may not have taken yet. */
interface InTransit {
  handed: Handed[];
  /** All that it was ever given, since it was last reclaimed. */
  total: number;
}

export class DescriptorHandoff implements Handoff {
  readonly kind = 'descriptor';
  readonly #post: PostToShard;
  readonly #takenBy: TakenBy;
  readonly #inTransit = new Map<number, InTransit>();

  constructor(post: PostToShard, takenBy: TakenBy) {
    this.#post = post;
    this.#takenBy = takenBy;
  }

  hand(shardIndex: number, accepted: Accepted, counted: CountedAt): boolean {
    const original = accepted.fd;
    if (original < 0) {
      // The client is gone already.
      accepted.close();
      return true;
    }
    const fd = duplicateDescriptor(original);
    accepted.close();
    const { ino: inode } = fstatSync(fd);
    if (!this.#post(shardIndex, { kind: 'descriptor', fd, ...counted })) {
      closeDescriptor(fd);
      return false;
    }
    const transit = this.#transitTo(shardIndex);
    transit.handed.push({ fd, inode });
    transit.total++;
    // Looked at now and then only: to forget late costs a few bytes.
    if ((transit.total & 0xff) === 0) this.#forgetTaken(shardIndex, transit);
    return true;
  }

  reclaim(shardIndex: number): number {
    const transit = this.#inTransit.get(shardIndex);
    if (transit === undefined) return 0;
    this.#inTransit.delete(shardIndex);
    let reclaimed = 0;
    for (const { fd, inode } of transit.handed) {
      // Taken sockets were closed with their thread; their numbers may be in use again, for
      // something else.
      if (inodeOf(fd) !== inode) continue;
      closeDescriptor(fd);
      reclaimed++;
    }
    return reclaimed;
  }

  #transitTo(shardIndex: number): InTransit {
    let transit = this.#inTransit.get(shardIndex);
    if (transit === undefined) {
      transit = { handed: [], total: 0 };
      this.#inTransit.set(shardIndex, transit);
    }
    return transit;
  }

  /** Descriptors arrive in order: all but the last so many are taken. */
  #forgetTaken(shardIndex: number, transit: InTransit): void {
    const waiting = Math.max(0, transit.total - this.#takenBy(shardIndex));
    if (waiting < transit.handed.length) {
      transit.handed = waiting === 0 ? [] : transit.handed.slice(-waiting);
    }
  }
}

export class SocketHandoff implements Handoff {
  readonly kind = 'socket';
  readonly #post: PostToShard;

  constructor(post: PostToShard) {
    this.#post = post;
  }

  hand(shardIndex: number, accepted: Accepted, counted: CountedAt): boolean {
    const socket = accepted.toSocket();
    // A client that resets the connection meanwhile is no affair of anybody.
    socket.on('error', ignore);
    let isPosted = false;
    try {
      transferSocket(socket, (moved, transfer) => {
        const message = { kind: 'socket', socket: moved, ...counted } as const;
        isPosted = this.#post(shardIndex, message, transfer);
      });
    } catch (error) {
      // The client is gone already.
      if (errorCode(error) !== 'ERR_WORKER_HANDLE_NOT_TRANSFERABLE') throw error;
      isPosted = true;
    }
    if (!socket.destroyed) socket.destroy();
    return isPosted;
  }

  /** A message that nobody received is destroyed with its sockets: there is nothing to do. */
  reclaim(): number {
    return 0;
  }
}

function ignore(): void {}

/** The types of Node 20 do not know sockets as transferable. */
function transferSocket(
  socket: Socket,
  post: (socket: Socket, transfer: readonly Transferable[]) => void,
): void {
  const transferable: unknown = socket;
  post(socket, [transferable as Transferable]);
}

function inodeOf(fd: number): number {
  try {
    return fstatSync(fd).ino;
  } catch {
    return -1;
  }
}
