/**
 * The write side of one connection. During a turn it notes which bytes of the arena are for its
 * socket; the flush at the end of the turn writes them, together with what the session's window may
 * send, in one system call. What the kernel does not take is copied here and goes out as the socket
 * drains.
 */
import type { CloseReason } from '../base/errors.js';
import {
  KEEPS_UP_AFTER_MS,
  LAGGING_AFTER_MS,
  OUTBOX_CHUNK_BYTES,
  PIN_BYTES_MIN,
  SCRATCH_BYTES,
  UNREAD_REPLY_BYTES_MAX,
} from '../base/limits.js';
import type { ArenaBlock } from '../router/turn-arena.js';
import type { Outlet, Session } from '../sessions/session.js';
import type { SlowQueue } from '../sessions/slow-queue.js';
import type { Transport } from '../transport/transport.js';
import type { OutboxHost, OutboxLimits, OutboxOwner } from './outbox-host.js';

export type { OutboxHost, OutboxLimits, OutboxOwner } from './outbox-host.js';

interface Chunk {
  readonly buffer: Buffer;
  length: number;
  /** Where its bytes lie in the arena, if they were not copied. */
  readonly block: ArenaBlock | null;
  /** How many of its bytes are replies, and the messages that are written with it. */
  replyBytes: number;
  messages: number;
}

/** One for each connection. */
export class Outbox implements Outlet {
  isHeavy = false;
  isOverfull = false;
  isLagging = false;
  isStalled = false;
  slowQueue: SlowQueue | null = null;
  /** So many replies wait that its client is not read from. */
  hasUnreadReplies = false;
  /** Publishers paused for it, as the shard notes them; made by the first. */
  feeders: Set<number> | null = null;
  /** When its client last took bytes or acknowledged, while it is heavy; coarse milliseconds. */
  progressAt = 0;
  session: Session | null = null;
  /** What its client is held to now. */
  limits: OutboxLimits;
  /** When it became heavy, and when it was last known to lag. */
  #heavySince = 0;
  #laggedAt = Number.NEGATIVE_INFINITY;
  readonly #openedAt: number;
  readonly #host: OutboxHost;
  readonly #owner: OutboxOwner;
  readonly #transport: Transport;
  /**
   * The first stretch of the arena that is to be written: mostly the only one. Empty: start = end.
   */
  #firstStart = 0;
  #firstEnd = 0;
  /** Start and end of each further stretch; made by the first. */
  #moreSegments: number[] | null = null;
  #isDirty = false;
  /** What the socket has not taken; the first is with the socket. */
  #chunks: Chunk[] | null = null;
  #pendingBytes = 0;
  /** Bytes of the first chunk that the kernel had not taken when it was last looked at. */
  #untakenBytes = 0;
  /** Bytes of replies in what the socket has not taken. */
  #replyBytes = 0;
  /** Those appended since the last flush. */
  #newReplyBytes = 0;
  /** Messages appended since the last flush. */
  #newMessages = 0;
  #isClosed = false;

  constructor(host: OutboxHost, owner: OutboxOwner, transport: Transport, limits: OutboxLimits) {
    this.limits = limits;
    this.#host = host;
    this.#owner = owner;
    this.#transport = transport;
    this.#openedAt = host.now;
  }

  /** Bytes that wait for the socket. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** True while the socket takes no more. */
  get isBlocked(): boolean {
    return this.#pendingBytes > 0;
  }

  get keepsUp(): boolean {
    // One that has just come has kept up with nothing yet.
    const since = Math.max(this.#laggedAt, this.#openedAt - KEEPS_UP_AFTER_MS / 2);
    return !this.isHeavy && performance.now() - since > KEEPS_UP_AFTER_MS;
  }

  /** Whether the next flush writes messages, not only replies. */
  get bringsMessages(): boolean {
    if (this.#newMessages > 0) return true;
    const window = this.session === null ? null : this.session.window;
    return window !== null && (window.written > 0 || window.sendable);
  }

  append(start: number, end: number, messages = 0): void {
    if (this.#isClosed) return;
    this.#newMessages += messages;
    const more = this.#moreSegments;
    if (this.#firstStart === this.#firstEnd) {
      this.#firstStart = start;
      this.#firstEnd = end;
      this.wake();
    } else if (more !== null) {
      const last = more.length - 1;
      if (more[last] === start) more[last] = end;
      else more.push(start, end);
    } else if (this.#firstEnd === start) {
      this.#firstEnd = end;
    } else {
      this.#moreSegments = [start, end];
    }
  }

  /** Adds an answer to what the client has sent. */
  appendReply(start: number, end: number): void {
    this.#newReplyBytes += end - start;
    this.append(start, end);
  }

  wake(): void {
    if (this.#isDirty || this.#isClosed) return;
    this.#isDirty = true;
    this.#host.onDirty(this);
  }

  /**
   * Writes everything noted, then what the window allows. `arena` is what the segments refer to.
   */
  flush(arena: Buffer): void {
    this.#isDirty = false;
    if (this.#isClosed) return;
    const window = this.session === null ? null : this.session.window;
    const more = this.#moreSegments;
    const start = this.#firstStart;
    const end = this.#firstEnd;
    this.#firstEnd = start;
    this.#moreSegments = null;
    if (more === null && !window?.sendable) this.#write(arena, start, end);
    else this.#flushTogether(arena, start, end, more);
    if (window !== null) {
      this.#newMessages += window.written;
      window.written = 0;
    }
    if (this.slowQueue !== null) this.#drainSlow(this.slowQueue);
    if (this.#pendingBytes > 0) this.#noteInLastChunk();
    else if (this.#newMessages > 0) this.#host.onDelivered(this.#newMessages);
    this.#newMessages = 0;
    this.#newReplyBytes = 0;
    const { session } = this;
    if (session !== null && session.nextDeadline === null) this.#watch(session);
    this.#weigh();
  }

  /** Something waits by its policy. */
  get #hasWaiting(): boolean {
    return this.slowQueue !== null && this.slowQueue.length > 0;
  }

  /** Sends of what waits by its policy as much as the socket takes. */
  #drainSlow(queue: SlowQueue): void {
    while (queue.length > 0 && !this.isBlocked && !this.#isClosed) {
      const bytes = queue.take(this.session ?? NOBODY, this.#host.scratch);
      this.#newMessages += queue.writtenCount;
      this.#write(bytes, 0, bytes.length);
    }
  }

  /** It is behind: its policy takes effect. */
  #applyPolicy(): void {
    const { slowConsumerPolicy: policy } = this.limits;
    if (policy === 'backpressure' || policy === 'disconnect' || this.session === null) return;
    this.#host.onSlowConsumer(this.session.clientId);
    if (policy !== 'drop-newest') {
      this.slowQueue = this.#host.makeSlowQueue(policy === 'latest', this.limits);
    }
    this.stall();
  }

  /** Has the acks of a session looked at while any are due. */
  #watch(session: Session): void {
    const { window } = session;
    if (window === null || window.inflight + window.queuedMessages === 0) return;
    this.#host.onDelivering(session);
  }

  /** Gathers several stretches and the window's frames so that they take one system call. */
  #flushTogether(arena: Buffer, start: number, end: number, more: number[] | null): void {
    const scratch = this.#host.scratch;
    let used = this.#gather(arena, start, end, 0);
    if (more !== null) {
      for (let index = 0; index < more.length; index += 2) {
        used = this.#gather(arena, more[index], more[index + 1], used);
      }
    }
    const window = this.session === null ? null : this.session.window;
    while (window?.sendable && !this.isBlocked && !this.#isClosed) {
      const filled = window.fill(scratch, used, SCRATCH_BYTES, this.#host.stamp);
      if (filled === used && used === 0) {
        this.#writeLargeFrame();
        continue;
      }
      this.#write(scratch, 0, filled);
      used = 0;
    }
    if (used > 0) this.#write(scratch, 0, used);
  }

  /** Adds a stretch to the `used` bytes in the scratch buffer. @returns bytes in it then. */
  #gather(arena: Buffer, start: number, end: number, used: number): number {
    const scratch = this.#host.scratch;
    let at = used;
    if (at + end - start > SCRATCH_BYTES) {
      this.#write(scratch, 0, at);
      at = 0;
    }
    if (end - start > SCRATCH_BYTES) {
      this.#write(arena, start, end);
      return 0;
    }
    arena.copy(scratch, at, start, end);
    return at + end - start;
  }

  /** Sends the window's next frame, which is larger than the scratch buffer. */
  #writeLargeFrame(): void {
    const window = this.session!.window!;
    const frame = Buffer.allocUnsafeSlow(window.nextFrameBytes());
    const end = window.fill(frame, 0, frame.length, this.#host.stamp);
    this.#write(frame, 0, end);
  }

  /** The client acknowledged something: its window has moved. */
  onAcknowledged(): void {
    const window = this.session!.window!;
    if (this.isHeavy) this.progressAt = this.#host.now;
    if (window.sendable && !this.isBlocked) this.wake();
    else if (this.isHeavy) this.#weigh();
  }

  closeConnection(reason: CloseReason): void {
    this.#owner.close(reason);
  }

  /** Forgets what has not been written. */
  close(): void {
    this.#isClosed = true;
    for (const { block } of this.#chunks ?? []) if (block !== null) this.#host.arena.unpin(block);
    this.#chunks = null;
    this.#host.outboxTotal.bytes -= this.#pendingBytes;
    this.#pendingBytes = 0;
    this.#firstEnd = this.#firstStart;
    this.#moreSegments = null;
    const isWatched = this.isHeavy || this.hasUnreadReplies;
    this.hasUnreadReplies = false;
    if (isWatched) this.#relieve();
  }

  /**
   * A look at one whose bytes wait. A chunk may be larger than what a slow reader takes in a long
   * time: each byte of it that the kernel took is progress.
   */
  noteProgress(): void {
    if (this.#pendingBytes === 0) return;
    const untaken = this.#transport.waitingBytes;
    if (untaken < this.#untakenBytes) this.progressAt = this.#host.now;
    this.#untakenBytes = untaken;
  }

  /** A look at one that is heavy. @returns whether it has come to lag since the last. */
  comesToLag(): boolean {
    const isLong = performance.now() - this.#heavySince >= LAGGING_AFTER_MS;
    if (this.isLagging || this.isStalled || !isLong) return false;
    this.isLagging = true;
    return true;
  }

  /** It has not moved for too long: from now on its publishers do not wait for it. */
  stall(): void {
    this.isStalled = true;
    this.#host.onRelieved(this);
  }

  /** Memory is to be spared. */
  shed(): void {
    if (this.isHeavy && !this.isStalled && !this.#isClosed) this.stall();
  }

  #write(buffer: Buffer, start: number, end: number): void {
    if (this.#isClosed || start === end) return;
    let at = start;
    if (this.#pendingBytes === 0) {
      at += this.#transport.writeNow(buffer, start, end);
      this.#host.onSent(at - start);
      if (at === end) return;
    }
    this.#keep(buffer, at, end);
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#chunks ??= [];
    const chunks = this.#chunks;
    const isIdle = this.#pendingBytes === 0;
    this.#pendingBytes += length;
    this.#host.outboxTotal.bytes += length;
    const tail = chunks.length > 1 ? chunks[chunks.length - 1] : null;
    const block = length >= PIN_BYTES_MIN ? this.#host.arena.pin(buffer) : null;
    if (block !== null) {
      chunks.push({
        buffer: buffer.subarray(start, end),
        length,
        block,
        replyBytes: 0,
        messages: 0,
      });
    } else if (tail !== null && tail.buffer.length - tail.length >= length) {
      buffer.copy(tail.buffer, tail.length, start, end);
      tail.length += length;
    } else {
      // The first chunk is written at once and not added to; those behind it gather small pieces.
      const size = isIdle ? length : Math.max(length, OUTBOX_CHUNK_BYTES);
      const copy = Buffer.allocUnsafeSlow(size);
      const chunk: Chunk = { buffer: copy, length, block: null, replyBytes: 0, messages: 0 };
      buffer.copy(chunk.buffer, 0, start, end);
      chunks.push(chunk);
    }
    if (isIdle) this.#writeChunk();
  }

  #writeChunk(): void {
    const chunk = this.#chunks![0];
    if (this.#transport.isDestroyed) return;
    this.#untakenBytes = chunk.length;
    this.#transport.write(chunk.buffer.subarray(0, chunk.length), () => this.#onChunkWritten());
  }

  #onChunkWritten(): void {
    const chunk = this.#chunks?.shift();
    if (chunk === undefined) return;
    if (chunk.block !== null) this.#host.arena.unpin(chunk.block);
    this.#pendingBytes -= chunk.length;
    this.#host.outboxTotal.bytes -= chunk.length;
    this.#replyBytes -= chunk.replyBytes;
    this.#host.onSent(chunk.length);
    if (chunk.messages > 0) this.#host.onDelivered(chunk.messages);
    this.progressAt = this.#host.now;
    if (this.hasUnreadReplies) this.#checkReplies();
    if (this.#pendingBytes > 0) {
      this.#writeChunk();
    } else {
      this.#chunks = null;
      if (this.session?.window?.sendable || this.slowQueue !== null) this.wake();
    }
    if (this.isHeavy) this.#weigh();
  }

  /** After a flush: what was in it has left, or is in doubt until the last chunk has. */
  #noteInLastChunk(): void {
    const chunks = this.#chunks!;
    const last = chunks[chunks.length - 1];
    last.messages += this.#newMessages;
    last.replyBytes += this.#newReplyBytes;
    this.#replyBytes += this.#newReplyBytes;
    if (this.#newReplyBytes > 0) this.#checkReplies();
  }

  #checkReplies(): void {
    if (!this.hasUnreadReplies && this.#replyBytes > UNREAD_REPLY_BYTES_MAX) {
      this.hasUnreadReplies = true;
      this.progressAt = this.#host.now;
      this.#host.onHeavy(this);
      this.#owner.onUnreadReplies(true);
    } else if (this.hasUnreadReplies && this.#replyBytes <= UNREAD_REPLY_BYTES_MAX >> 1) {
      this.hasUnreadReplies = false;
      this.#host.onRelieved(this);
      this.#owner.onUnreadReplies(false);
    }
  }

  #weigh(): void {
    const window = this.session === null ? null : this.session.window;
    const load = this.#pendingBytes + (window === null ? 0 : window.queuedBytes);
    this.isOverfull = load > this.limits.outboxBytes * OVERFULL_FACTOR;
    const isShed =
      this.#pendingBytes > 0 &&
      (this.#pendingBytes > this.limits.outboxBytesMax || this.#host.shedsQos0);
    if (!this.isHeavy) {
      if (load <= this.limits.outboxBytes && !isShed) return;
      this.isHeavy = true;
      this.#heavySince = performance.now();
      this.isLagging = this.#heavySince - this.#laggedAt < KEEPS_UP_AFTER_MS;
      this.progressAt = this.#host.now;
      this.#host.onHeavy(this);
      this.#applyPolicy();
    } else if (load <= this.limits.outboxBytes >> 1 && !isShed && !this.#hasWaiting) {
      this.#relieve();
      return;
    }
    if (isShed && !this.isStalled) this.stall();
  }

  #relieve(): void {
    const now = performance.now();
    if (this.isHeavy && now - this.#heavySince >= LAGGING_AFTER_MS) this.#laggedAt = now;
    this.isHeavy = false;
    this.isStalled = false;
    this.slowQueue?.clear();
    this.slowQueue = null;
    this.isOverfull = false;
    this.isLagging = false;
    this.#host.onRelieved(this);
  }
}

/** Its session has been taken from it: nothing that follows will be read. */
const NOBODY = { receiver: null, rights: null };
/**
 * A publisher that goes on sending QoS 1 or 2 without acks is no longer read from at this many
 * marks.
 */
const OVERFULL_FACTOR = 16;
