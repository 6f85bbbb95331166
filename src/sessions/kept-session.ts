/**
 * What of a session is on disk, and how it is found there after a crash: what is in a store from
 * before is not looked at until it is needed, since most clients of a large store are away.
 */
import { PACKET_ID_MAX } from '../base/limits.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import { POSITION_MAX } from '../store/keys.js';
import type { QueueEnds, StoreReader } from '../store/store-reader.js';
import type { StoredEntry } from '../store/stored-entry.js';
import { IncomingQos2 } from './incoming-qos2.js';
import { AWAITING_PUBACK, AWAITING_PUBCOMP, AWAITING_PUBREC } from './inflight.js';
import {
  KeptQueue,
  type KeptQueueHost,
  type MovedQueue,
  packetIdAt,
  type QueueJournal,
} from './kept-queue.js';
import { GIVEN_AWAY } from './membership.js';
import type { OutgoingWindow } from './outgoing-window.js';
import type { Session } from './session.js';

const QOS1 = 0x02;

/** What is read of a store. */
export type KeptReader = Pick<
  StoreReader,
  'session' | 'subscriptions' | 'ends' | 'entries' | 'received' | 'given' | 'incoming' | 'renew'
>;

/** What a session is journaled in beside its queue. */
export interface SessionJournal extends QueueJournal {
  incoming(session: number, packetId: number): void;
  released(session: number, packetId: number): void;
}

/** Of a shard. */
export interface KeptSessionHost extends KeptQueueHost {
  readonly journal: SessionJournal;
  readonly reader: KeptReader;
  /** See KeptSessions. */
  watch(session: Session): void;
}

/** What another shard goes on with, as plain data. */
export interface MovedKept extends MovedQueue {
  readonly number: number;
  /** See KeptSession. */
  readonly lookedTo: number;
}

/** What of a session's row says how its queue is found. */
export interface StoredQueue {
  /** How many of its oldest messages may have been sent. */
  readonly mayBeSent: number;
  /**
   * While its client was here: how many messages may have been in flight at a time, from the oldest
   * on that was not acknowledged; 0: it was away. Rows of former builds have none.
   */
  readonly inflightMax?: number;
  /** Position at least: packet ids of earlier ones may be in use where it was. */
  readonly next: number;
  /** See KeptSession; rows of former builds have none. */
  readonly lookedTo?: number;
}

/** In place of a session's number. */
export const NO_NUMBER = -1;
/** It is known where its messages are. */
const FOUND = -1;

/** One a session that outlives its connection. */
export class KeptSession {
  readonly queue: KeptQueue;
  /** It has what a session is given that is on its way: see KeptSessions.beginTail. */
  isTail = false;
  /** Number of an empty one: see KeptSessions.endTail. */
  emptyTail = NO_NUMBER;
  /**
   * Runs that were on their way to shards that are gone have been looked at for it, wherever it
   * was, up to this row of them (store/pending-runs.ts): what of them was for it, it has been given
   * or had before, and may have acknowledged since. They may stay on disk for others a while.
   */
  lookedTo = 0;
  readonly #host: KeptSessionHost;
  /**
   * How many of the oldest messages on disk may have been sent; FOUND: the window knows, or there
   * are none.
   */
  #mayBeSent: number = FOUND;
  /** See StoredQueue; 0 when it is known how many were sent. */
  #inflightMax = 0;
  #hasEnds = true;
  /** Until the ends of its queue are known: positions before this one have been given. */
  #nextFrom = 0;

  /** One without anything. @param number in the store, which no other session has had. */
  constructor(host: KeptSessionHost, number: number) {
    this.#host = host;
    this.queue = new KeptQueue(host, number);
  }

  /** One of which there is something on disk, from before. */
  static lost(host: KeptSessionHost, number: number, stored: StoredQueue): KeptSession {
    const kept = new KeptSession(host, number);
    kept.lookedTo = stored.lookedTo ?? 0;
    kept.#mayBeSent = stored.mayBeSent;
    kept.#inflightMax = stored.inflightMax ?? 0;
    kept.#nextFrom = stored.next;
    kept.#hasEnds = false;
    return kept;
  }

  /** One that has come from another shard. */
  static moved(host: KeptSessionHost, moved: MovedKept): KeptSession {
    const kept = new KeptSession(host, moved.number);
    kept.queue.goOnAt(moved);
    kept.lookedTo = moved.lookedTo;
    return kept;
  }

  /** For another shard, once it is found. What has become of its messages is journaled first. */
  move(): MovedKept {
    const { queue, lookedTo } = this;
    queue.note();
    const { number, diskFrom, next, diskBytes, hole, isUnsettled, rowsFrom } = queue;
    return { number, lookedTo, diskFrom, next, diskBytes, hole, isUnsettled, rowsFrom };
  }

  /** How many of its oldest messages may have been sent, where the window does not know. */
  get mayBeSent(): number {
    return Math.max(0, this.#mayBeSent);
  }

  /** See StoredQueue; 0 where it is known how many were sent. */
  get inflightMax(): number {
    return this.#inflightMax;
  }

  /** Position of the message that is queued next, as far as it is known. */
  get next(): number {
    return Math.max(this.queue.next, this.#nextFrom);
  }

  /** Nobody has looked yet what there is of it. */
  get isLost(): boolean {
    return this.#mayBeSent !== FOUND;
  }

  onIncoming(packetId: number): void {
    this.#host.journal.incoming(this.queue.number, packetId);
  }

  onReleased(packetId: number): void {
    this.#host.journal.released(this.queue.number, packetId);
  }

  /** Has a window go on where the queue is: what is in it is before what is on disk alone. */
  openWindow(window: OutgoingWindow): void {
    const { messages } = window;
    this.#findEnds();
    const { queue } = this;
    const front = queue.diskFrom - queue.hole - messages.queuedMessages;
    messages.beginAt(queue, front);
    queue.refill = () => this.refill(window, LOAD_BYTES);
  }

  /** The QoS 2 ids on disk; null when there are none. To be called once, before `load`. */
  loadIncoming(): IncomingQos2 | null {
    if (!this.isLost) return null;
    const { reader } = this.#host;
    reader.renew();
    const packetIds = reader.incoming(this.queue.number);
    if (packetIds.length === 0) return null;
    const incoming = new IncomingQos2();
    incoming.restore(packetIds);
    return incoming;
  }

  /** Takes into the window what may have been sent: it is in flight, to be sent again. */
  load(window: OutgoingWindow): void {
    const { queue } = this;
    const most = this.#mayBeSent;
    this.#mayBeSent = FOUND;
    if (most <= 0) return;
    const { messages } = window;
    const { front } = messages;
    while (messages.queuedMessages < most && this.refill(window, LOAD_BYTES) > 0);
    const count = Math.min(most, messages.queuedMessages);
    if (count === 0) return;
    const states = this.#statesOf(window, front, count);
    window.resume({ oldestId: packetIdAt(front), states });
    const given = this.#host.reader.given(queue.number, front, count);
    // What another member of its group has is not this one's any more.
    given.forEach((isGiven, at) => {
      if (isGiven === 1) messages.end(packetIdAt(front + at), states[at]!);
    });
    queue.durableTo = Math.max(queue.durableTo, front + count);
  }

  /** Its session's client is here, and was given something: what of it is on disk alone is read. */
  onGrown(session: Session): void {
    this.#host.watch(session);
  }

  /** Reads the next messages from disk into the window. @returns how many. */
  refill(window: OutgoingWindow, bytesMax: number): number {
    const { queue } = this;
    if (queue.onDisk === 0) return 0;
    const { reader } = this.#host;
    reader.renew();
    let taken = 0;
    const entries = reader.entries(queue.number, queue.diskFrom, bytesMax);
    const isGiven = this.#givenOf(entries);
    for (const entry of entries) {
      const { position, run, count, deliveryHeader, identifiers } = entry;
      if (position > queue.diskFrom && !window.messages.openHole(position)) break;
      if (position !== queue.diskFrom || count > queue.onDisk) break;
      // What was replaced may be there still.
      if (!queue.isSettled(position)) break;
      // What was not sent was given away as a whole, or not at all.
      const note = isGiven(position + count - 1) ? GIVEN_AWAY : undefined;
      window.append(run, deliveryHeader, identifiers, note);
      window.newest?.noteTaken(window.messages, run, position);
      queue.onTaken(count, run.bytes.length);
      taken += count;
    }
    return taken;
  }

  /** Which messages of these entries are another member's of a group. */
  #givenOf(entries: readonly StoredEntry[]): (position: number) => boolean {
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined) return () => false;
    const from = first.position;
    const count = last.position + last.count - from;
    const given = this.#host.reader.given(this.queue.number, from, count);
    return (position) => given[position - from] === 1;
  }

  #findEnds(): void {
    if (this.#hasEnds) return;
    this.#hasEnds = true;
    const { reader } = this.#host;
    reader.renew();
    const ends = reader.ends(this.queue.number);
    if (this.#mayBeSent !== FOUND) this.#mayBeSent = this.#sentOf(ends);
    this.#inflightMax = 0;
    if (ends !== null) {
      this.queue.beginAt(ends.first, ends.next);
      return;
    }
    // Some may begin anew: what is noted of those that they had is not of these.
    this.#host.journal.left(this.queue.number, POSITION_MAX);
    this.queue.beginAt(this.#nextFrom, this.#nextFrom);
  }

  /** How many messages of its queue may have been sent: what is queued from here on was not. */
  #sentOf(ends: QueueEnds | null): number {
    if (ends === null) return 0;
    const { first, firstCount, next } = ends;
    // The oldest row is there until all of it is acknowledged, and the window goes on meanwhile.
    const acknowledged = this.#inflightMax === 0 ? 0 : firstCount - 1;
    const most = Math.max(this.#mayBeSent, this.#inflightMax + acknowledged);
    return Math.min(most, next - first, PACKET_ID_MAX);
  }

  #statesOf({ messages }: OutgoingWindow, front: number, count: number): Uint8Array {
    const received = this.#host.reader.received(this.queue.number, front, count);
    const states = new Uint8Array(count);
    let at = 0;
    for (let entry = 0; at < count; entry++) {
      const isQos1 = (messages.runs.headerAt(entry) & QOS_MASK) === QOS1;
      const end = Math.min(count, at + messages.runs.countAt(entry));
      for (; at < end; at++) {
        if (isQos1) states[at] = AWAITING_PUBACK;
        else states[at] = received[at] === 1 ? AWAITING_PUBCOMP : AWAITING_PUBREC;
      }
    }
    return states;
  }
}

/** Read at a time of what may have been sent. */
const LOAD_BYTES = 65_536;
