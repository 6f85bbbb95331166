/**
 * The messages of one window in their order: those sent and not acknowledged in full, then those
 * that wait; where the window is in them, and what is in flight.
 */
import { invariant } from '../base/assert.js';
import type { Run } from '../protocol/run.js';
import { AgainCursor } from './again-cursor.js';
import { AWAITING_PUBACK, AWAITING_PUBREC, FREE, Inflight, STATE_MASK } from './inflight.js';
import { type KeptQueue, packetIdAt } from './kept-queue.js';
import { isGivenAway, type Membership } from './membership.js';
import type { QueuedTotal } from './queued-total.js';
import { framesEnd, type MovedRun, RunQueue } from './run-queue.js';
import { type TakeBack, takeFrames } from './take-back.js';
import type { WindowHead } from './window-limits.js';

const QOS2 = 0x04;
/** In place of a number of messages. */
export const NONE_WAITS = -1;

/** One a window, which alone uses it. */
export class WindowMessages {
  /** Messages waiting to be sent for the first time, and the bytes of their frames. */
  queuedMessages = 0;
  queuedBytes = 0;
  /** Bytes of the frames sent that are kept: those of runs that are not acknowledged in full. */
  inflightBytes = 0;
  readonly inflight = new Inflight();
  /** Sent runs that are not acknowledged in full, then waiting ones. */
  readonly runs: RunQueue;
  /** Whether sent runs stay until they are acknowledged, to be sent again. */
  keepsSent: boolean;
  /** The next message to be sent for the first time: its entry, index in it, and byte position. */
  sendEntry = 0;
  sendIndex = 0;
  sendPosition = 0;
  /** What of it is on disk; null: nothing. */
  kept: KeptQueue | null = null;
  /** Position of the first message of entry 0, see kept-queue.ts. */
  front = 0;
  /** Position of the next message to be sent for the first time. */
  sent = 0;
  /** Made when something is to be sent again: most windows never do. */
  #again: AgainCursor | null = null;
  /** Messages at the beginning of the span that were sent while nothing was kept. */
  #unkept = 0;
  /** Messages of entry 0 that have not left the window yet; 0 when there is no entry. */
  #frontLeft = 0;

  constructor(keepsSent: boolean, total: QueuedTotal) {
    this.keepsSent = keepsSent;
    this.runs = new RunQueue(total);
  }

  /** Is what a queue on disk goes on with: empty, from this position on. */
  beginAt(kept: KeptQueue, position: number): void {
    this.kept = kept;
    this.front = position;
    this.sent = position;
    this.inflight.oldestId = packetIdAt(position);
  }

  /** How many of the next entry's messages may be sent, as far as the disk has them. */
  get mayBeSent(): number {
    const { kept } = this;
    const left = this.runs.countAt(this.sendEntry) - this.sendIndex;
    if (kept === null) return left;
    if (!kept.isSendable(this.sent)) return 0;
    if ((this.runs.headerAt(this.sendEntry) & QOS2) === 0) return left;
    return Math.min(left, kept.durableTo - this.sent);
  }

  /** The position of a message in flight, by its place in the span. */
  positionAt(offset: number): number {
    return this.sent - this.inflight.span + offset;
  }

  /** From here on what is sent is kept: a member of a group may have to give it to another. */
  keepSent(): void {
    if (this.keepsSent) return;
    this.keepsSent = true;
    this.#unkept = this.inflight.span;
  }

  /** The next message to be looked at for sending again; behind `rewindAgain`. */
  get again(): AgainCursor {
    this.#again ??= new AgainCursor();
    return this.#again;
  }

  /** Gives the memory of an empty window back. */
  release(): void {
    this.#again = null;
    this.runs.release();
    this.inflight.release();
  }

  /** Everything that is marked to be sent again is, from the oldest on. */
  rewindAgain(): void {
    this.again.rewind(this.#frontDone);
  }

  /** What is in flight, by packet ids and states. */
  head(): WindowHead {
    return { oldestId: this.inflight.oldestId, states: this.inflight.states() };
  }

  /** Takes the oldest run out, if any. Only this and the counts may be used from then on. */
  takeRun(): MovedRun | null {
    const runs = this.runs;
    if (runs.length === 0) return null;
    const { bytes, header, topicLength, propertyBytes, expiresAt } = runs.runAt(0);
    const deliveryHeader = runs.headerAt(0);
    const identifiers = runs.identifiersAt(0);
    const membership = runs.membershipAt(0);
    const start = framesEnd(bytes, 0, this.#frontDone);
    const end = runs.bytesAt(0);
    const count = this.#frontLeft;
    if (this.sendEntry > 0) {
      this.sendEntry--;
      this.inflightBytes -= end;
    } else {
      this.queuedMessages -= runs.countAt(0) - this.sendIndex;
      this.queuedBytes -= end - this.sendPosition;
      this.inflightBytes -= this.sendPosition;
      this.sendIndex = 0;
      this.sendPosition = 0;
    }
    runs.shiftKept();
    this.#frontLeft = runs.length === 0 ? 0 : runs.countAt(0);
    return {
      bytes,
      start,
      end,
      header,
      deliveryHeader,
      topicLength,
      count,
      propertyBytes,
      expiresAt,
      identifiers,
      membership,
    };
  }

  /** Gives up what it holds. Only the counts may be used from then on. */
  discard(): void {
    this.runs.clear();
    this.queuedMessages = 0;
    this.queuedBytes = 0;
    this.inflightBytes = 0;
  }

  /** Goes on where the window was whose runs were appended: what was in flight there is sent. */
  resume(head: WindowHead): void {
    const { states, oldestId } = head;
    invariant(states.length <= this.queuedMessages, 'a message is kept until it is acknowledged');
    for (let left = states.length; left > 0; ) {
      const sent = Math.min(left, this.runs.countAt(this.sendEntry));
      const { bytes } = this.runs.runAt(this.sendEntry);
      this.passSent(sent, framesEnd(bytes, 0, sent));
      left -= sent;
    }
    this.inflight.oldestId = oldestId;
    for (const state of states) this.inflight.open(1, state);
  }

  /** Appends the first `count` messages of a run, `bytes` long, to be sent with this first byte. */
  append(
    run: Run,
    header: number,
    count: number,
    bytes: number,
    identifiers: readonly number[] | undefined,
    membership: Membership | undefined,
  ): void {
    if (this.runs.length === 0) this.#frontLeft = count;
    this.runs.push(run, header, count, identifiers, membership);
    this.queuedMessages += count;
    this.queuedBytes += bytes;
  }

  /** Something waits on disk alone. */
  get isAnyOnDisk(): boolean {
    return this.kept !== null && this.kept.onDisk > 0;
  }

  /** What waits is on disk alone, and not to be read yet, or not taken from there. */
  get isUnread(): boolean {
    return this.queuedMessages === 0 && this.isAnyOnDisk;
  }

  /**
   * The oldest run that waits is not sent, and read from disk for it; what of it has been is.
   * @returns how many messages that were; NONE_WAITS where nothing waits, or it is for a group.
   */
  dropOldest(): number {
    if (this.isUnread) this.kept?.refill();
    const { runs, kept, sendEntry: entry, sendIndex } = this;
    if (this.queuedMessages === 0) return NONE_WAITS;
    const note = runs.membershipAt(entry);
    if (note !== undefined && !isGivenAway(note)) return NONE_WAITS;
    const dropped = runs.countAt(entry) - sendIndex;
    this.queuedMessages -= dropped;
    this.queuedBytes -= runs.bytesAt(entry) - this.sendPosition;
    if (sendIndex === 0) {
      runs.remove(entry);
      if (entry === 0) this.#frontLeft = runs.length === 0 ? 0 : runs.countAt(0);
    } else {
      runs.cut(entry, sendIndex);
      if (entry === 0) this.#frontLeft -= dropped;
      this.#endEntry();
      this.#shiftLeft();
    }
    if (kept !== null) this.#onDropped(kept, dropped, sendIndex === 0);
    return note === undefined ? dropped : 0;
  }

  /** @param isWhole nothing of their entry was sent. */
  #onDropped(kept: KeptQueue, count: number, isWhole: boolean): void {
    const position = this.sent + kept.hole;
    kept.hole += count;
    if (this.inflight.span === 0) this.#closeHole(kept);
    else if (isWhole) kept.onDropped(position);
    // Their row stays for those that are in flight.
    else kept.onGiven(position, count);
  }

  /**
   * Nothing is on disk before a position: what was there has given way, behind what is in flight.
   * @returns false while other messages wait to be sent before it.
   */
  openHole(position: number): boolean {
    const { kept } = this;
    if (kept === null || this.queuedMessages > 0) return false;
    kept.hole += position - kept.diskFrom;
    kept.passTo(position);
    if (this.inflight.span === 0) this.#closeHole(kept);
    return true;
  }

  /** Nothing is in flight: the next message is the one behind those that have given way. */
  #closeHole(kept: KeptQueue): void {
    const { hole } = kept;
    if (hole === 0) return;
    kept.hole = 0;
    this.front += hole;
    this.sent += hole;
    this.inflight.pass(hole);
    kept.onLeft(this.front);
  }

  /** Another message takes the place of the one that entry `index`, which waits, stands for. */
  replace(
    index: number,
    run: Run,
    header: number,
    identifiers: readonly number[] | undefined,
  ): void {
    this.queuedBytes += run.bytes.length - this.runs.bytesAt(index);
    this.runs.replace(index, run, header, 1, identifiers);
  }

  /** Messages of entry 0 that have left the window. */
  get #frontDone(): number {
    return this.runs.length === 0 ? 0 : this.runs.countAt(0) - this.#frontLeft;
  }

  /** Moves the first-time cursor over `count` messages of its entry, up to byte `position`. */
  passSent(count: number, position: number): void {
    const bytes = position - this.sendPosition;
    this.queuedMessages -= count;
    this.queuedBytes -= bytes;
    if (this.keepsSent) this.inflightBytes += bytes;
    this.sendIndex += count;
    this.sendPosition = position;
    this.sent += count;
    if (this.sendIndex === this.runs.countAt(this.sendEntry)) this.#endEntry();
  }

  /** All of the entry at the first-time cursor is sent. */
  #endEntry(): void {
    if (this.keepsSent) this.sendEntry++;
    else this.runs.shift();
    this.sendIndex = 0;
    this.sendPosition = 0;
  }

  /** Ends a delivery that is in `state`. See OutgoingWindow. */
  end(packetId: number, state: number): boolean {
    const advanced = this.inflight.close(packetId, state);
    if (advanced < 0) {
      this.inflight.refuseInUse(packetId);
      return false;
    }
    this.#leave(advanced);
    return true;
  }

  /**
   * Ends deliveries that are in `state`, in the order of their acks: as `end` of each of the first
   * `count` packet ids, but what leaves the queue is looked at once.
   * @returns whether any of them was in use.
   */
  endAll(packetIds: Uint16Array, count: number, state: number): boolean {
    const { inflight } = this;
    let { span } = inflight;
    let isAny = false;
    for (let at = 0; at < count; ) {
      const closed = inflight.closeOldest(packetIds, at, count, state);
      at += closed;
      if (closed === 0 && inflight.close(packetIds[at++], state) < 0) {
        this.#leave(span - inflight.span);
        span = inflight.span;
        inflight.refuseInUse(packetIds[at - 1]);
        continue;
      }
      isAny = true;
    }
    this.#leave(span - inflight.span);
    return isAny;
  }

  /** The oldest `count` messages have left the span: so do the runs that consist of such only. */
  #leave(all: number): void {
    if (all === 0 || !this.keepsSent) return;
    const again = this.#again;
    if (again !== null) again.offset -= all;
    const unkept = Math.min(all, this.#unkept);
    this.#unkept -= unkept;
    const count = all - unkept;
    if (count === 0) return;
    this.#frontLeft -= count;
    this.#shiftLeft();
    if (this.kept !== null && this.inflight.span === 0) this.#closeHole(this.kept);
  }

  /** Runs at the front go that have left the span whole. */
  #shiftLeft(): void {
    const again = this.#again;
    while (this.#frontLeft <= 0 && this.sendEntry > 0) {
      this.inflightBytes -= this.runs.bytesAt(0);
      this.front += this.runs.countAt(0);
      if (this.kept !== null) this.kept.onLeft(this.front);
      if (this.runs.hasMemberships) this.runs.leaveRow(0);
      this.runs.shift();
      this.sendEntry--;
      if (again !== null) again.entry--;
      if (this.runs.length > 0) this.#frontLeft += this.runs.countAt(0);
      if (again !== null && again.entry < 0) again.rewind(this.#frontDone);
    }
  }

  /**
   * Takes back what the session has as a member and has not acknowledged (of QoS 2: has not said
   * that it has), oldest first; it is not sent any more.
   * @param membership that it is taken from; null: all.
   * @param isSentToo whether what was sent goes too, or only what waits.
   * @param take is given frames that follow each other in a run, which it must copy.
   */
  takeBack(membership: Membership | null, isSentToo: boolean, take: TakeBack): void {
    const { runs, inflight } = this;
    if (!runs.hasMemberships) return;
    const ended: number[] = [];
    let first = this.#unkept - this.#frontDone;
    let position = this.front;
    for (let entry = 0; entry < runs.length; entry++) {
      if (entry === this.sendEntry && this.kept !== null) position += this.kept.hole;
      const count = runs.countAt(entry);
      const note = runs.membershipAt(entry);
      const isOf = membership === null || membership === (note?.of ?? note);
      if (note !== undefined && !isGivenAway(note) && isOf) {
        const isTaken = (index: number) => {
          const offset = first + index;
          if (offset < 0) return false;
          if (offset >= inflight.span) return true;
          const state = inflight.wordAt(offset) & STATE_MASK;
          const isOpen = state === AWAITING_PUBACK || state === AWAITING_PUBREC;
          if (!isSentToo || !isOpen) return false;
          ended.push(inflight.idAt(offset), state);
          return true;
        };
        takeFrames(runs.runAt(entry), count, position, note, isTaken, take);
        // What is left of it has been received, or goes on.
        if (isSentToo || first >= inflight.span) runs.leaveRow(entry);
        if (first + count > inflight.span) runs.giveAway(entry);
      }
      first += count;
      position += count;
    }
    for (let at = 0; at < ended.length; at += 2) this.end(ended[at], ended[at + 1]);
  }

  /** Whether these very frames are among them. */
  hasRun({ bytes }: Run): boolean {
    for (let entry = 0; entry < this.runs.length; entry++) {
      if (this.runs.runAt(entry).bytes.equals(bytes)) return true;
    }
    return false;
  }

  /** Passes the next `count` messages, up to byte `position`, unsent. */
  pass(count: number, position: number): void {
    this.passSent(count, position);
    if (!this.keepsSent) return;
    // Behind others in flight they leave with those.
    if (this.inflight.span > 0) {
      this.inflight.open(count, FREE);
      return;
    }
    // The ids of what is on disk follow from positions.
    if (this.kept !== null) this.inflight.pass(count);
    this.#leave(count);
  }
}
