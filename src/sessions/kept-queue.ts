/**
 * What of a session's queue is on disk. Messages of a queue have positions, counted from the first
 * that was ever queued; so the disk and the window speak of the same ones, and a packet id follows
 * from a position: a queue that is found again after a crash has the ids that it had.
 */
import { PACKET_ID_MAX } from '../base/limits.js';
import type { StoreFullPolicy } from '../base/store-full-policy.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import type { Run } from '../protocol/run.js';

const QOS2 = 0x04;
const UNCOUNTED = -1;

/** What a queue is journaled in: store/journal.ts is one. */
export interface QueueJournal {
  readonly appended: number;
  readonly durable: number;
  queue(
    session: number,
    position: number,
    run: Run,
    bytes: number,
    deliveryHeader: number,
    count: number,
    identifiers?: readonly number[],
  ): void;
  left(session: number, position: number): void;
  gone(session: number, position: number): void;
  received(session: number, position: number, count: number): void;
  given(session: number, position: number, count: number): void;
}

/** Of a shard: what its queues tell. */
export interface KeptQueueHost {
  readonly journal: QueueJournal;
  /** What becomes of messages for absent clients now; null: the store has room for them. */
  readonly whenFull: StoreFullPolicy | null;
  /** False: whatever is sent counts as durable. */
  readonly waits: boolean;
  /** Messages that sessions which are here have on disk alone. */
  diskMessages: number;
  /** `note` is to be called before the journal is submitted. */
  addDirty(queue: KeptQueue): void;
}

/** What of a queue another shard goes on with, as plain data. */
export interface MovedQueue {
  readonly diskFrom: number;
  readonly next: number;
  readonly diskBytes: number;
  /** See KeptQueue. */
  readonly hole: number;
  /** Some of it has been replaced, which may not be on disk yet. */
  readonly isUnsettled: boolean;
  /** Where its oldest row begins. */
  readonly rowsFrom: number;
}

/** Wakes whoever sends what a queue holds. */
export interface Wakeable {
  wake(): void;
}

/** The packet id of the message at a position [MQTT-2.2.1-3]. */
export function packetIdAt(position: number): number {
  return (position % PACKET_ID_MAX) + 1;
}

/** One a session that outlives its connection. */
export class KeptQueue {
  /** The session's number in the store. */
  readonly number: number;
  /** Position of the message that is queued next. */
  next = 0;
  /** Messages [diskFrom, next) are on disk alone, or on their way there; others in the window. */
  diskFrom = 0;
  /** Bytes of those, as far as they have come since the broker began. */
  diskBytes = 0;
  /**
   * Positions behind the messages in flight whose messages have given way. What is behind them is
   * sent when nothing is in flight any more: so packet ids go on following from positions.
   */
  hole = 0;
  /**
   * Before this position everything is durable. What is beyond is not sent at QoS 2: after a crash
   * its packet id might stand for another message, which its receiver would take for this one.
   */
  durableTo = 0;
  /** How many messages may be in flight at a time, as its session's row says. */
  inflightMax: number = PACKET_ID_MAX;
  /** Whom the session's client is sent by, while it is here. */
  outlet: Wakeable | null = null;
  /** Messages of QoS 2 were queued since `durableTo` was asked for last. */
  hasNewQos2 = false;
  /** Reads the next messages from disk into the window. @returns how many; its session's to set. */
  refill: () => number = () => 0;
  /** No message is on disk alone, however many there are: they are to be moved from the window. */
  staysInMemory = false;
  /** See KeptQueueHost. */
  isDirty = false;
  /** Of its messages on disk alone those that the shard counts; UNCOUNTED: its session has gone. */
  #counted = UNCOUNTED;
  readonly #host: KeptQueueHost;
  /** Rows that begin before this position are gone, as far as the journal knows. */
  #leftTo = 0;
  /** Rows that begin before this one may go. */
  #left = 0;
  /** Messages whose PUBREC has come, not journaled yet: they follow each other. */
  #receivedFrom = 0;
  #received = 0;
  /** By position, the earliest first: where in the journal it was replaced, while not durable. */
  #replaced: Map<number, number> | null = null;
  /** Where in the journal it has come from another shard, where that has replaced some of it. */
  #unsettledAt = -1;

  constructor(host: KeptQueueHost, number: number) {
    this.#host = host;
    this.number = number;
  }

  /** Begins at a position: rows [position, next) are on disk. */
  beginAt(position: number, next: number): void {
    this.diskFrom = position;
    this.next = next;
    this.durableTo = next;
    this.#leftTo = position;
    this.#left = position;
    this.#count();
  }

  /** Goes on where the queue of another shard was. */
  goOnAt({ rowsFrom, diskFrom, next, diskBytes, hole, isUnsettled }: MovedQueue): void {
    this.beginAt(rowsFrom, next);
    this.diskFrom = diskFrom;
    this.diskBytes = diskBytes;
    this.hole = hole;
    this.#count();
    if (isUnsettled) this.#unsettledAt = this.#host.journal.appended;
    // Nothing is known of what it has asked for last.
    this.durableTo = 0;
    this.#noteQos2();
  }

  /** Where its oldest row begins: nothing before it is there. */
  get rowsFrom(): number {
    return this.#left;
  }

  /** See KeptQueueHost. */
  get whenFull(): StoreFullPolicy | null {
    return this.#host.whenFull;
  }

  /** Messages that are on disk alone. */
  get onDisk(): number {
    return this.next - this.diskFrom;
  }

  /** The window has taken a run: its first `count` messages, `bytes` long. */
  onQueued(
    run: Run,
    header: number,
    count: number,
    bytes: number,
    identifiers: readonly number[] | undefined,
  ): void {
    const { journal } = this.#host;
    journal.queue(this.number, this.next, run, bytes, header, count, identifiers);
    this.next += count;
    this.diskFrom = this.next;
    if ((header & QOS_MASK) === QOS2) this.#noteQos2();
  }

  /** The same, of one that the window has not taken: it is read again when its time comes. */
  putOnDisk(
    run: Run,
    header: number,
    count: number,
    bytes: number,
    identifiers: readonly number[] | undefined,
  ): void {
    const { diskFrom } = this;
    this.onQueued(run, header, count, bytes, identifiers);
    this.diskFrom = diskFrom;
    this.diskBytes += bytes;
    this.#count();
  }

  /** The window has taken `count` messages from disk, `bytes` long. */
  onTaken(count: number, bytes: number): void {
    this.diskFrom += count;
    this.diskBytes = this.onDisk === 0 ? 0 : Math.max(0, this.diskBytes - bytes);
    this.durableTo = Math.max(this.durableTo, this.diskFrom);
    this.#count();
  }

  /** What is on disk alone begins at a later position: those before have given way. */
  passTo(position: number): void {
    this.diskFrom = position;
    this.#count();
  }

  /** Whether what it has on disk alone is counted: while a session here has it. */
  setCounted(isCounted: boolean): void {
    if (isCounted === this.#counted >= 0) return;
    if (isCounted) this.#counted = 0;
    this.#count();
    if (isCounted) return;
    this.#host.diskMessages -= this.#counted;
    this.#counted = UNCOUNTED;
  }

  #count(): void {
    const { onDisk } = this;
    if (this.#counted === UNCOUNTED || this.#counted === onDisk) return;
    this.#host.diskMessages += onDisk - this.#counted;
    this.#counted = onDisk;
  }

  /** All rows that begin before this position have been acknowledged in full. */
  onLeft(position: number): void {
    this.#left = position;
    this.#setDirty();
  }

  /** PUBREC has come for the message at this position: only PUBREL may follow, whatever happens. */
  onReceived(position: number): void {
    if (this.#received > 0 && position !== this.#receivedFrom + this.#received)
      this.#noteReceived();
    if (this.#received === 0) this.#receivedFrom = position;
    this.#received++;
    this.#setDirty();
  }

  /** So many messages from this position on are another member's of their group now. */
  onGiven(position: number, count: number): void {
    this.#host.journal.given(this.number, position, count);
  }

  /** The entry that begins at this position has given way, behind others that are in flight. */
  onDropped(position: number): void {
    this.#host.journal.gone(this.number, position);
  }

  /** A run of one message has taken the place of the entry at a position, `bytes` more in all. */
  onReplaced(
    position: number,
    run: Run,
    header: number,
    bytes: number,
    identifiers: readonly number[] | undefined,
  ): void {
    const { journal } = this.#host;
    journal.gone(this.number, position);
    journal.queue(this.number, position, run, run.bytes.length, header, 1, identifiers);
    if (position >= this.diskFrom) this.diskBytes += bytes;
    this.#replaced ??= new Map();
    this.#replaced.delete(position);
    this.#forgetSettled(this.#replaced);
    this.#replaced.set(position, journal.appended);
    // So that what waits for it is sent.
    this.#noteQos2();
  }

  /** What is to be read at a position is on disk, as far as it has been replaced. */
  isSettled(position: number): boolean {
    const { durable } = this.#host.journal;
    // What comes behind it here is durable no earlier than what that shard has written.
    if (durable <= this.#unsettledAt) return false;
    this.#unsettledAt = -1;
    const at = this.#replaced?.get(position);
    return at === undefined || at <= durable;
  }

  /** Something that has been replaced may not be on disk yet. */
  get isUnsettled(): boolean {
    return this.#unsettledAt >= 0 || this.#replaced !== null;
  }

  #forgetSettled(replaced: Map<number, number>): void {
    for (const [position, at] of replaced) {
      if (at > this.#host.journal.durable) return;
      replaced.delete(position);
    }
  }

  /**
   * What is at a position may be sent. What has replaced something else may when it is durable:
   * after a crash its client would be sent the older one behind it.
   */
  isSendable(position: number): boolean {
    return !this.isUnsettled || !this.#host.waits || this.isSettled(position);
  }

  /** Journals what has become of its messages. */
  note(): void {
    this.isDirty = false;
    if (this.#replaced !== null) {
      this.#forgetSettled(this.#replaced);
      if (this.#replaced.size === 0) this.#replaced = null;
    }
    if (this.#received > 0) this.#noteReceived();
    if (this.#left <= this.#leftTo) return;
    this.#leftTo = this.#left;
    this.#host.journal.left(this.number, this.#left);
  }

  #noteReceived(): void {
    this.#host.journal.received(this.number, this.#receivedFrom, this.#received);
    this.#received = 0;
  }

  #noteQos2(): void {
    if (!this.#host.waits) {
      this.durableTo = this.next;
      this.outlet?.wake();
      return;
    }
    this.hasNewQos2 = true;
    this.#setDirty();
  }

  #setDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.#host.addDirty(this);
  }
}
