/**
 * What one receiver gets at QoS 1 and 2: a queue of runs, a window of it in flight, and the order
 * in which both are written. Bytes and packet ids in, bytes out; sockets and timers are the
 * caller's.
 */
import type { Rights } from '../access/rights.js';
import { invariant } from '../base/assert.js';
import { INFLIGHT_BYTES_WHEN_FULL, KEPT_WINDOW_BYTES, PACKET_ID_MAX } from '../base/limits.js';
import { ACK_BYTES } from '../protocol/ack-frame.js';
import { PUBLISH, QOS_MASK } from '../protocol/fixed-header.js';
import { copyRunWithIds } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { enqueueNewer, giveWay, type NewestOfTopics } from './give-way.js';
import {
  AWAITING_PUBACK,
  AWAITING_PUBCOMP,
  AWAITING_PUBREC,
  FREE,
  STATE_MASK,
  stampBits,
} from './inflight.js';
import type { KeptQueue } from './kept-queue.js';
import type { Membership } from './membership.js';
import { QueuedTotal } from './queued-total.js';
import type { Receiver } from './receiver.js';
import { framesEnd, framesWithin, type MovedRun } from './run-queue.js';
import type { TakeBack } from './take-back.js';
import { awaitedFor, fillAgain, fillNew } from './window-fill.js';
import { formBytesMax } from './window-form.js';
import type { WindowHead, WindowLimits } from './window-limits.js';
import { WindowMessages } from './window-messages.js';

export type { WindowHead, WindowLimits } from './window-limits.js';

/** The delivery state of one session at QoS 1 and 2 [MQTT 3.1.1, 4.3.2, 4.3.3, 4.4, 4.6]. */
export class OutgoingWindow {
  /** PUBLISH packets written by `fill`, those sent again too; who counts them sets it to 0. */
  written = 0;
  /** What the shard's gauges have of this window: the shard's to write. */
  inflightCounted = 0;
  queuedCounted = 0;
  /** Messages that gave way to what `enqueue` was given last, as `slowConsumerPolicy` says. */
  displaced = 0;
  /** While each topic keeps its newest alone, of what has come since. */
  newest: NewestOfTopics | null = null;
  /** Whom it is for, while that is a client of 5.0 that is here. */
  receiver: Receiver | null = null;
  /**
   * What may be read of that which waits, where that has changed since it came; null: all of it,
   * again when nothing waits any more.
   */
  rights: Rights | null = null;
  /** What holds for its client now. */
  limits: WindowLimits;
  /** Of the shard: what is held here counts in it. */
  readonly total: QueuedTotal;
  /** For window-fill.ts alone, as `room` and `roomAgain` are. */
  readonly messages: WindowMessages;
  /** Stamp bits of the last time the caller told; to be set before PUBRECs are handled. */
  lastStamp = 0;
  /** Stamp bits of the last `expire`, 0 before the first. */
  #lastExpire = 0;

  /**
   * @param keepsSent false when nothing is ever sent again: on a live 3.1.1 connection nothing is
   *   [MQTT-4.4.0-1], and a clean session ends with its connection. Messages are then forgotten
   *   once they are sent, only their packet ids are in flight, and `sendDirect` may be used;
   *   `beginResend`, `head` and the `resend` of `expire` may not.
   * @param total of the shard, which what is held here counts in. Default: one without a limit.
   */
  constructor(limits: WindowLimits, keepsSent = true, total = new QueuedTotal()) {
    this.limits = limits;
    this.total = total;
    this.messages = new WindowMessages(keepsSent, total);
  }

  /** Messages waiting to be sent for the first time. */
  get queuedMessages(): number {
    return this.messages.queuedMessages;
  }

  /** Bytes of their frames. */
  get queuedBytes(): number {
    return this.messages.queuedBytes;
  }

  /** Bytes of the frames sent that are kept: those of runs that are not acknowledged in full. */
  get inflightBytes(): number {
    return this.messages.inflightBytes;
  }

  /** How many messages `sendDirect` would take now: none while others wait. */
  get directRoom(): number {
    if (this.messages.keepsSent || this.queuedMessages > 0) return 0;
    return Math.max(0, this.#inflightMax - this.messages.inflight.span);
  }

  /** The packet id of the next message that is sent for the first time. */
  get nextPacketId(): number {
    return this.messages.inflight.nextId;
  }

  /**
   * Sends the first `count` messages of the QoS 1 or 2 run [start, end) past the queue: writes them
   * to `target` at `at`, as `fill` would. `count` must not be above `directRoom`.
   * @param isWhole whether these are all messages of the run.
   * @param header first byte of what is written.
   * @returns the position in `source` behind them; as many bytes were written.
   */
  sendDirect(
    source: Buffer,
    start: number,
    end: number,
    count: number,
    isWhole: boolean,
    header: number,
    target: Buffer,
    at: number,
    nowMs: number,
  ): number {
    const id = this.messages.inflight.nextId;
    const to = copyRunWithIds(source, start, end, count, isWhole, target, at, header, id);
    this.openDirect(count, header, nowMs);
    return to;
  }

  /**
   * Notes that `count` messages were sent past the queue, from `nextPacketId` on.
   * @param header first byte of their frames.
   */
  openDirect(count: number, header: number, nowMs: number): void {
    const stamp = stampBits(nowMs);
    this.lastStamp = stamp;
    this.messages.inflight.open(count, awaitedFor(header) | stamp);
  }

  /** Messages sent and not acknowledged in full (PUBACK or PUBCOMP), at most maxInflight. */
  get inflight(): number {
    return this.messages.inflight.unacknowledged;
  }

  /** Whether `fill` has anything to write now. */
  get sendable(): boolean {
    if (this.messages.inflight.marked > 0) return this.roomAgain > 0;
    if (this.queuedMessages === 0 || this.room <= 0) return false;
    return this.messages.kept === null || this.messages.mayBeSent > 0;
  }

  /** What of its queue is on disk; null: nothing. */
  get kept(): KeptQueue | null {
    return this.messages.kept;
  }

  /** How many messages may be in flight [MQTT-3.3.4-9]. */
  get #inflightMax(): number {
    const { kept, receiver, limits } = this;
    const most = Math.min(limits.maxInflight, kept === null ? PACKET_ID_MAX : kept.inflightMax);
    return receiver === null ? most : Math.min(most, receiver.receiveMaximum);
  }

  /** How many messages may be sent beside those in flight. */
  get room(): number {
    const { maxInflightBytes = Number.POSITIVE_INFINITY } = this.limits;
    const { span } = this.messages.inflight;
    if (this.kept !== null && this.kept.hole > 0) return 0;
    const bytesMax = this.total.isNearlyFull ? INFLIGHT_BYTES_WHEN_FULL : maxInflightBytes;
    // A run is kept until it is acknowledged in full: none of it may be in flight any more.
    return this.inflightBytes >= bytesMax && span > 0 ? 0 : this.#inflightMax - span;
  }

  /** How many may be sent again: its client may take fewer than it did [MQTT-3.3.4-9]. */
  get roomAgain(): number {
    const { unacknowledged, marked } = this.messages.inflight;
    const most = this.receiver?.receiveMaximum ?? PACKET_ID_MAX;
    return most - (unacknowledged - marked);
  }

  /** Expiries of the delivery that is longest without an acknowledgement, at the last `expire`. */
  get expiriesMax(): number {
    return this.messages.inflight.expiriesMax;
  }

  /**
   * Appends a run of QoS 1 or 2 frames for delivery at QoS `qos`, which is not above the run's. The
   * run is kept, not copied: its bytes must never change.
   * @param isConnected whether the receiver is there to be sent to: the room in the in-flight
   *   window then adds to maxQueuedMessages, and one message is taken whatever its size when none
   *   waits.
   * @param isPaced whether its publishers are held back when it falls behind: maxQueuedMessages
   *   does not count then, as what is on its way between shards by then has been acknowledged.
   * @param identifiers of the subscriptions that it is for, if they have any.
   * @param membership that it is for: what is sent is kept from here on.
   * @returns how many of its messages were dropped because of a bound: the newest; 0 normally. Of
   *   others that were, see `displaced`.
   */
  enqueue(
    run: Run,
    qos: 1 | 2,
    retain: boolean,
    isConnected = false,
    isPaced = false,
    identifiers?: readonly number[],
    membership?: Membership,
  ): number {
    invariant((run.header & QOS_MASK) !== 0, 'a run for a window has packet ids');
    const { slowConsumerPolicy: policy, maxQueuedMessages } = this.limits;
    this.displaced = 0;
    // What is for a group is another member's if it is not this one's. Where nothing may wait, as
    // memory is short, what waits stays.
    const mayGiveWay = membership === undefined && maxQueuedMessages > 0;
    return mayGiveWay && (policy === 'latest' || policy === 'drop-oldest')
      ? enqueueNewer(this, run, qos, retain, isConnected, isPaced, identifiers)
      : this.take(run, qos, retain, isConnected, isPaced, identifiers, membership);
  }

  /** What waits may have to give way: it must be known what of it may have been sent. */
  get mayGiveWay(): boolean {
    const { slowConsumerPolicy: policy } = this.limits;
    return policy === 'latest' || policy === 'drop-oldest' || this.kept?.whenFull === 'drop-oldest';
  }

  /** Messages that may wait beside others since they can be sent at once. */
  roomFor(isConnected: boolean): number {
    return isConnected ? Math.max(0, this.limits.maxInflight - this.messages.inflight.span) : 0;
  }

  /** Messages that wait, those on disk alone too, and the bytes of their frames. */
  get waiting(): number {
    return this.queuedMessages + (this.kept === null ? 0 : this.kept.onDisk);
  }

  get waitingBytes(): number {
    return this.queuedBytes + (this.kept === null ? 0 : this.kept.diskBytes);
  }

  /**
   * `enqueue`, whatever the policy: for give-way.ts alone.
   * @param isForced whatever the bounds are.
   */
  take(
    run: Run,
    qos: 1 | 2,
    retain: boolean,
    isConnected: boolean,
    isPaced: boolean,
    identifiers: readonly number[] | undefined,
    membership: Membership | undefined,
    isForced = false,
  ): number {
    const { limits, waiting, waitingBytes } = this;
    const { kept } = this.messages;
    const room = this.roomFor(isConnected);
    const allowed = isPaced ? run.count : limits.maxQueuedMessages + room - waiting;
    let count = run.count;
    let bytes = run.bytes.length;
    const isOver = count > allowed || waitingBytes + bytes > limits.maxQueuedBytes;
    if (isOver && !isForced) {
      const bytesLeft = limits.maxQueuedBytes - waitingBytes;
      count = framesWithin(run.bytes, 0, Math.max(0, Math.min(count, allowed)), bytesLeft);
      if (count === 0 && isConnected && waiting === 0 && allowed > 0) count = 1;
      if (count === 0) return run.count;
      bytes = framesEnd(run.bytes, 0, count);
    }
    // Who keeps up, or is waited for, does not lose because of those who are away.
    const isServed = isConnected && (isPaced || waiting === 0);
    const header = PUBLISH | (qos << 1) | (retain ? 1 : 0);
    const hasRoom = isServed || this.total.hasRoomFor(run);
    if (kept !== null) {
      const whenFull = isServed ? null : kept.whenFull;
      if (whenFull === 'drop-newest') return run.count;
      if (whenFull === 'drop-oldest') this.displaced += giveWay(this.messages, count, bytes);
      const isLong = !isServed && this.queuedBytes + bytes > KEPT_WINDOW_BYTES;
      if (!kept.staysInMemory && (kept.onDisk > 0 || isLong || !hasRoom)) {
        kept.putOnDisk(run, header, count, bytes, identifiers);
        return run.count - count;
      }
      kept.onQueued(run, header, count, bytes, identifiers);
    } else if (!hasRoom) {
      this.total.refuse(count);
      return run.count;
    }
    if (membership !== undefined) this.messages.keepSent();
    this.messages.append(run, header, count, bytes, identifiers, membership);
    return run.count - count;
  }

  /**
   * Writes as many whole frames as the in-flight window and target[at, end) allow: first what is to
   * be sent again, in the original order [MQTT-4.6.0-1], then new messages with the following
   * packet ids.
   * @param nowMs any clock that does not go back; the deliveries are stamped with it.
   * @returns the position behind the last frame written, `at` when there was none. What is behind
   *   it up to `end` may be overwritten.
   */
  fill(target: Buffer, at: number, end: number, nowMs: number): number {
    const stamp = stampBits(nowMs);
    this.lastStamp = stamp;
    let out = at;
    if (this.messages.inflight.marked > 0) {
      out = fillAgain(this, target, out, end, stamp);
      if (this.messages.inflight.marked > 0) return out;
    }
    return fillNew(this, target, out, end, stamp);
  }

  /** Bytes of room that `fill` needs for the next frame at most, 0 when it would write none. */
  nextFrameBytes(): number {
    if (!this.sendable) return 0;
    const { messages } = this;
    const { inflight, runs } = messages;
    let entry = messages.sendEntry;
    let position = messages.sendPosition;
    if (inflight.marked > 0) {
      const { again } = messages;
      if (again.seek(inflight, runs) === AWAITING_PUBCOMP) return ACK_BYTES;
      entry = again.entry;
      position = again.position;
    }
    const identifiers = runs.identifiersAt(entry);
    return formBytesMax(runs.runAt(entry), position, this.receiver, identifiers);
  }

  /**
   * PUBACK: ends a QoS 1 delivery.
   * @returns false for an id that is not in use; nothing happens then.
   * @throws ProtocolError for an id of a QoS 2 delivery.
   */
  onPuback(packetId: number): boolean {
    return this.messages.end(packetId, AWAITING_PUBACK);
  }

  /** PUBACKs in a row: as `onPuback` for each. @returns whether any id was in use. */
  onPubacks(packetIds: Uint16Array, count: number): boolean {
    return this.messages.endAll(packetIds, count, AWAITING_PUBACK);
  }

  /**
   * PUBREC: the receiver owns the message; only PUBREL is sent from now on, also when PUBREC comes
   * again. @param isFailed as 5.0 may say: it ends the delivery then [MQTT-4.4.0-2].
   * @returns true when the caller must answer PUBREL [MQTT-4.3.3-1], at once and so in the order of
   *   the PUBRECs [MQTT-4.6.0-4]; false for an id that is not in use.
   * @throws ProtocolError for an id of a QoS 1 delivery.
   */
  onPubrec(packetId: number, isFailed = false): boolean {
    if (isFailed) return this.#endReceived(packetId);
    const { inflight } = this.messages;
    const offset = inflight.offsetOf(packetId);
    if (offset < 0) return false;
    const state = inflight.wordAt(offset) & STATE_MASK;
    if (state === FREE) return false;
    if (state === AWAITING_PUBACK) inflight.refuseInUse(packetId);
    const { kept } = this.messages;
    if (kept !== null) kept.onReceived(this.messages.positionAt(offset));
    inflight.setWord(offset, AWAITING_PUBCOMP | this.lastStamp);
    return true;
  }

  /** A receiver that has failed to take a message has its packet id free again. */
  #endReceived(packetId: number): boolean {
    const { kept, inflight } = this.messages;
    const offset = kept === null ? -1 : inflight.offsetOf(packetId);
    if (kept !== null && offset >= 0) kept.onReceived(this.messages.positionAt(offset));
    return this.messages.end(packetId, AWAITING_PUBREC);
  }

  /**
   * PUBCOMP: ends a QoS 2 delivery.
   * @returns false for an id that is not in use.
   * @throws ProtocolError for an id that no PUBREL was sent for, or that is of a QoS 1 delivery.
   */
  onPubcomp(packetId: number): boolean {
    return this.messages.end(packetId, AWAITING_PUBCOMP);
  }

  /** PUBCOMPs in a row: as `onPubcomp` for each. @returns whether any id was in use. */
  onPubcomps(packetIds: Uint16Array, count: number): boolean {
    return this.messages.endAll(packetIds, count, AWAITING_PUBCOMP);
  }

  /**
   * After the reconnect of a session: everything not acknowledged is written again before anything
   * new, in the original order and with the original ids [MQTT-4.4.0-1, MQTT-4.6.0-1]: PUBLISH with
   * DUP [MQTT-3.3.1-1], or PUBREL where PUBREC had come.
   */
  beginResend(): void {
    this.messages.inflight.markAll();
    this.messages.rewindAgain();
  }

  /**
   * Counts deliveries that passed another multiple of `timeoutMs` since they were sent without an
   * acknowledgement, each once a multiple; `expiriesMax` says how far the worst one is. To be
   * called now and then while something is in flight; gives the memory of an empty window back.
   * @param resend also has `fill` write those again: PUBLISH with DUP. For MQTT 3.1 clients only,
   *   since a live 3.1.1 connection is never sent a message twice [MQTT-4.4.0-1].
   */
  expire(nowMs: number, timeoutMs: number, resend = false): number {
    const now = stampBits(nowMs);
    const found = this.messages.inflight.expire(now, this.#lastExpire, timeoutMs, resend);
    this.lastStamp = now;
    this.#lastExpire = now;
    if (resend && found > 0) this.messages.rewindAgain();
    this.release();
    return found;
  }

  /** Gives the memory of an empty window back. Does nothing to any other. */
  release(): void {
    if (this.messages.runs.length > 0) return;
    this.newest = null;
    this.messages.release();
  }

  /** What is in flight, by packet ids and states. */
  head(): WindowHead {
    return this.messages.head();
  }

  /** Takes the oldest run out, if any. Only this and the counts may be used from then on. */
  takeRun(): MovedRun | null {
    return this.messages.takeRun();
  }

  /** See WindowMessages. */
  takeBack(membership: Membership | null, isSentToo: boolean, take: TakeBack): void {
    this.messages.takeBack(membership, isSentToo, take);
  }

  /** Gives up what it holds. Only the counts may be used from then on. */
  discard(): void {
    this.newest = null;
    this.messages.discard();
  }

  /** Adds a run that another window had, whatever the limits say; its bytes must never change. */
  append(
    run: Run,
    deliveryHeader: number,
    identifiers?: readonly number[],
    membership?: Membership,
  ): void {
    const { count, bytes } = run;
    this.messages.append(run, deliveryHeader, count, bytes.length, identifiers, membership);
  }

  /** Goes on where the window was whose runs were appended: what was in flight there is sent. */
  resume(head: WindowHead): void {
    this.messages.resume(head);
  }
}
