/**
 * What one receiver gets at QoS 1 and 2: a queue of runs, a window of it in flight, and the order
 * in which both are written. Bytes and packet ids in, bytes out; sockets and timers are the
 * caller's.
 */
import { invariant } from '../base/assert.js';
import { INFLIGHT_BYTES_WHEN_FULL } from '../base/limits.js';
import { ACK_BYTES, writeAck } from '../protocol/ack-frame.js';
import { DUP, PUBLISH, QOS_MASK } from '../protocol/fixed-header.js';
import { PacketType } from '../protocol/packet.js';
import { copyRunWithIds, frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import {
  AGAIN,
  AWAITING_PUBACK,
  AWAITING_PUBCOMP,
  AWAITING_PUBREC,
  FREE,
  Inflight,
  STATE_MASK,
  stampBits,
} from './inflight.js';
import { QueuedTotal } from './queued-total.js';
import { framesEnd, framesWithin, type MovedRun, RunQueue } from './run-queue.js';
import type { WindowHead, WindowLimits } from './window-limits.js';

export type { WindowHead, WindowLimits } from './window-limits.js';

/** The delivery state of one session at QoS 1 and 2 [MQTT 3.1.1, 4.3.2, 4.3.3, 4.4, 4.6]. */
export class OutgoingWindow {
  /** Messages waiting to be sent for the first time, and the bytes of their frames. */
  queuedMessages = 0;
  queuedBytes = 0;
  /** PUBLISH packets written by `fill`, those sent again too; who counts them sets it to 0. */
  written = 0;
  /** Bytes of the frames sent that are kept: those of runs that are not acknowledged in full. */
  inflightBytes = 0;
  /** What the shard's gauges have of this window: the shard's to write. */
  inflightCounted = 0;
  queuedCounted = 0;
  readonly #limits: WindowLimits;
  /** Whether sent runs stay until they are acknowledged, to be sent again. */
  readonly #keepsSent: boolean;
  readonly #inflight = new Inflight();
  /** Sent runs that are not acknowledged in full, then waiting ones. */
  readonly #runs: RunQueue;
  readonly #total: QueuedTotal;
  /** Messages of entry 0 that have not left the window yet; 0 when there is no entry. */
  #frontLeft = 0;
  /** The next message to be sent for the first time: its entry, index in it, and byte position. */
  #sendEntry = 0;
  #sendIndex = 0;
  #sendPosition = 0;
  /** The next message to be looked at for sending again: place in the span, and as above. */
  #againOffset = 0;
  #againEntry = 0;
  #againIndex = 0;
  #againPosition = 0;
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
    this.#limits = limits;
    this.#total = total;
    this.#runs = new RunQueue(total);
    this.#keepsSent = keepsSent;
  }

  /** How many messages `sendDirect` would take now: none while others wait. */
  get directRoom(): number {
    if (this.#keepsSent || this.queuedMessages > 0) return 0;
    return this.#limits.maxInflight - this.#inflight.span;
  }

  /**
   * Sends the first `count` messages of the QoS 1 or 2 run [start, end) past the queue: writes them
   * to `target` at `at`, as `fill` would. `count` must not be above `directRoom`.
   * @param isWhole whether these are all messages of the run.
   * @returns the position in `source` behind them; as many bytes were written.
   */
  sendDirect(
    source: Buffer,
    start: number,
    end: number,
    count: number,
    isWhole: boolean,
    qos: 1 | 2,
    target: Buffer,
    at: number,
    nowMs: number,
  ): number {
    const inflight = this.#inflight;
    const stamp = stampBits(nowMs);
    this.lastStamp = stamp;
    const header = PUBLISH | (qos << 1);
    const id = inflight.nextId;
    const to = copyRunWithIds(source, start, end, count, isWhole, target, at, header, id);
    inflight.open(count, (qos === 1 ? AWAITING_PUBACK : AWAITING_PUBREC) | stamp);
    return to;
  }

  /** Messages sent and not acknowledged in full (PUBACK or PUBCOMP), at most maxInflight. */
  get inflight(): number {
    return this.#inflight.unacknowledged;
  }

  /** Whether `fill` has anything to write now. */
  get sendable(): boolean {
    return this.#inflight.marked > 0 || (this.queuedMessages > 0 && this.#room > 0);
  }

  /** How many messages may be sent beside those in flight. */
  get #room(): number {
    const { maxInflight, maxInflightBytes = Number.POSITIVE_INFINITY } = this.#limits;
    const { span } = this.#inflight;
    const bytesMax = this.#total.isNearlyFull ? INFLIGHT_BYTES_WHEN_FULL : maxInflightBytes;
    // A run is kept until it is acknowledged in full: none of it may be in flight any more.
    return this.inflightBytes >= bytesMax && span > 0 ? 0 : maxInflight - span;
  }

  /** Expiries of the delivery that is longest without an acknowledgement, at the last `expire`. */
  get expiriesMax(): number {
    return this.#inflight.expiriesMax;
  }

  /**
   * Appends a run of QoS 1 or 2 frames for delivery at QoS `qos`, which is not above the run's. The
   * run is kept, not copied: its bytes must never change.
   * @param isConnected whether the receiver is there to be sent to: the room in the in-flight
   *   window then adds to maxQueuedMessages, and one message is taken whatever its size when none
   *   waits.
   * @param isPaced whether its publishers are held back when it falls behind: maxQueuedMessages
   *   does not count then, as what is on its way between shards by then has been acknowledged.
   * @returns how many of its messages were dropped because of a bound: the newest; 0 normally.
   */
  enqueue(run: Run, qos: 1 | 2, retain: boolean, isConnected = false, isPaced = false): number {
    invariant((run.header & QOS_MASK) !== 0, 'a run for a window has packet ids');
    const limits = this.#limits;
    const room = isConnected ? Math.max(0, limits.maxInflight - this.#inflight.span) : 0;
    const allowed = isPaced ? run.count : limits.maxQueuedMessages + room - this.queuedMessages;
    let count = run.count;
    let bytes = run.bytes.length;
    if (count > allowed || this.queuedBytes + bytes > limits.maxQueuedBytes) {
      const bytesLeft = limits.maxQueuedBytes - this.queuedBytes;
      count = framesWithin(run.bytes, 0, Math.max(0, Math.min(count, allowed)), bytesLeft);
      if (count === 0 && isConnected && this.queuedMessages === 0 && allowed > 0) count = 1;
      if (count === 0) return run.count;
      bytes = framesEnd(run.bytes, 0, count);
    }
    // Who keeps up, or is waited for, does not lose because of those who are away.
    const isServed = isConnected && (isPaced || this.queuedMessages === 0);
    if (!isServed && !this.#total.hasRoomFor(run)) {
      this.#total.refuse(count);
      return run.count;
    }
    this.#append(run, PUBLISH | (qos << 1) | (retain ? 1 : 0), count, bytes);
    return run.count - count;
  }

  /**
   * Writes as many whole frames as the in-flight window and target[at, end) allow: first what is to
   * be sent again, in the original order [MQTT-4.6.0-1], then new messages with the following
   * packet ids.
   * @param nowMs any clock that does not go back; the deliveries are stamped with it.
   * @returns the position behind the last frame written, `at` when there was none.
   */
  fill(target: Buffer, at: number, end: number, nowMs: number): number {
    const stamp = stampBits(nowMs);
    this.lastStamp = stamp;
    let out = at;
    if (this.#inflight.marked > 0) {
      out = this.#fillAgain(target, out, end, stamp);
      if (this.#inflight.marked > 0) return out;
    }
    return this.#fillNew(target, out, end, stamp);
  }

  /** Bytes of the next frame that `fill` would write, 0 when it would write none. */
  nextFrameBytes(): number {
    if (!this.sendable) return 0;
    const isAgain = this.#inflight.marked > 0;
    if (isAgain && this.#seekAgain() === AWAITING_PUBCOMP) return ACK_BYTES;
    const { bytes } = this.#runs.runAt(isAgain ? this.#againEntry : this.#sendEntry);
    const position = isAgain ? this.#againPosition : this.#sendPosition;
    return frameEnd(bytes, position) - position;
  }

  /**
   * PUBACK: ends a QoS 1 delivery.
   * @returns false for an id that is not in use; nothing happens then.
   * @throws ProtocolError for an id of a QoS 2 delivery.
   */
  onPuback(packetId: number): boolean {
    return this.#end(packetId, AWAITING_PUBACK);
  }

  /**
   * PUBREC: the receiver owns the message; only PUBREL is sent from now on, also when PUBREC comes
   * again.
   * @returns true when the caller must answer PUBREL [MQTT-4.3.3-1], at once and so in the order of
   *   the PUBRECs [MQTT-4.6.0-4]; false for an id that is not in use.
   * @throws ProtocolError for an id of a QoS 1 delivery.
   */
  onPubrec(packetId: number): boolean {
    const inflight = this.#inflight;
    const offset = inflight.offsetOf(packetId);
    if (offset < 0) return false;
    const state = inflight.wordAt(offset) & STATE_MASK;
    if (state === FREE) return false;
    if (state === AWAITING_PUBACK) inflight.refuseInUse(packetId);
    inflight.setWord(offset, AWAITING_PUBCOMP | this.lastStamp);
    return true;
  }

  /**
   * PUBCOMP: ends a QoS 2 delivery.
   * @returns false for an id that is not in use.
   * @throws ProtocolError for an id that no PUBREL was sent for, or that is of a QoS 1 delivery.
   */
  onPubcomp(packetId: number): boolean {
    return this.#end(packetId, AWAITING_PUBCOMP);
  }

  /**
   * After the reconnect of a session: everything not acknowledged is written again before anything
   * new, in the original order and with the original ids [MQTT-4.4.0-1, MQTT-4.6.0-1]: PUBLISH with
   * DUP [MQTT-3.3.1-1], or PUBREL where PUBREC had come.
   */
  beginResend(): void {
    this.#inflight.markAll();
    this.#rewindAgain();
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
    const found = this.#inflight.expire(now, this.#lastExpire, timeoutMs, resend);
    this.lastStamp = now;
    this.#lastExpire = now;
    if (resend && found > 0) this.#rewindAgain();
    this.release();
    return found;
  }

  /** Gives the memory of an empty window back. Does nothing to any other. */
  release(): void {
    if (this.#runs.length > 0) return;
    this.#runs.release();
    this.#inflight.release();
  }

  /** What is in flight, by packet ids and states. */
  head(): WindowHead {
    return { oldestId: this.#inflight.oldestId, states: this.#inflight.states() };
  }

  /** Takes the oldest run out, if any. Only this and the counts may be used from then on. */
  takeRun(): MovedRun | null {
    const runs = this.#runs;
    if (runs.length === 0) return null;
    const { bytes, header, topicLength } = runs.runAt(0);
    const deliveryHeader = runs.headerAt(0);
    const start = framesEnd(bytes, 0, this.#frontDone());
    const end = runs.bytesAt(0);
    const count = this.#frontLeft;
    if (this.#sendEntry > 0) {
      this.#sendEntry--;
      this.inflightBytes -= end;
    } else {
      this.queuedMessages -= runs.countAt(0) - this.#sendIndex;
      this.queuedBytes -= end - this.#sendPosition;
      this.inflightBytes -= this.#sendPosition;
      this.#sendIndex = 0;
      this.#sendPosition = 0;
    }
    runs.shiftKept();
    this.#frontLeft = runs.length === 0 ? 0 : runs.countAt(0);
    return { bytes, start, end, header, deliveryHeader, topicLength, count };
  }

  /** Gives up what it holds. Only the counts may be used from then on. */
  discard(): void {
    this.#runs.clear();
    this.queuedMessages = 0;
    this.queuedBytes = 0;
    this.inflightBytes = 0;
  }

  /** Adds a run that another window had, whatever the limits say; its bytes must never change. */
  append(run: Run, deliveryHeader: number): void {
    this.#append(run, deliveryHeader, run.count, run.bytes.length);
  }

  /** Goes on where the window was whose runs were appended: what was in flight there is sent. */
  resume(head: WindowHead): void {
    const { states, oldestId } = head;
    invariant(states.length <= this.queuedMessages, 'a message is kept until it is acknowledged');
    for (let left = states.length; left > 0; ) {
      const sent = Math.min(left, this.#runs.countAt(this.#sendEntry));
      const { bytes } = this.#runs.runAt(this.#sendEntry);
      this.#passSent(sent, framesEnd(bytes, 0, sent));
      left -= sent;
    }
    this.#inflight.oldestId = oldestId;
    for (const state of states) this.#inflight.open(1, state);
  }

  #append(run: Run, header: number, count: number, bytes: number): void {
    if (this.#runs.length === 0) this.#frontLeft = count;
    this.#runs.push(run, header, count);
    this.queuedMessages += count;
    this.queuedBytes += bytes;
  }

  /** Messages of entry 0 that have left the window. */
  #frontDone(): number {
    return this.#runs.length === 0 ? 0 : this.#runs.countAt(0) - this.#frontLeft;
  }

  /** Moves the first-time cursor over `count` messages of its entry, up to byte `position`. */
  #passSent(count: number, position: number): void {
    const bytes = position - this.#sendPosition;
    this.queuedMessages -= count;
    this.queuedBytes -= bytes;
    if (this.#keepsSent) this.inflightBytes += bytes;
    this.#sendIndex += count;
    this.#sendPosition = position;
    if (this.#sendIndex < this.#runs.countAt(this.#sendEntry)) return;
    if (this.#keepsSent) this.#sendEntry++;
    else this.#runs.shift();
    this.#sendIndex = 0;
    this.#sendPosition = 0;
  }

  #fillNew(target: Buffer, at: number, end: number, stamp: number): number {
    const inflight = this.#inflight;
    const runs = this.#runs;
    let out = at;
    while (this.queuedMessages > 0) {
      const room = this.#room;
      if (room <= 0) break;
      const { bytes } = runs.runAt(this.#sendEntry);
      const header = runs.headerAt(this.#sendEntry);
      const from = this.#sendPosition;
      let count = Math.min(room, runs.countAt(this.#sendEntry) - this.#sendIndex);
      if (bytes.length - from > end - out) count = framesWithin(bytes, from, count, end - out);
      if (count === 0) break;
      const id = inflight.nextId;
      const to = copyRunWithIds(bytes, from, bytes.length, count, false, target, out, header, id);
      inflight.open(count, ((header & 0x02) !== 0 ? AWAITING_PUBACK : AWAITING_PUBREC) | stamp);
      this.#passSent(count, to);
      this.written += count;
      out += to - from;
    }
    return out;
  }

  #fillAgain(target: Buffer, at: number, end: number, stamp: number): number {
    const inflight = this.#inflight;
    const runs = this.#runs;
    let out = at;
    while (inflight.marked > 0) {
      const state = this.#seekAgain();
      const id = inflight.idAt(this.#againOffset);
      if (state === AWAITING_PUBCOMP) {
        if (end - out < ACK_BYTES) break;
        out = writeAck(target, out, PacketType.pubrel, id);
      } else {
        const { bytes } = runs.runAt(this.#againEntry);
        const from = this.#againPosition;
        const to = frameEnd(bytes, from);
        if (to - from > end - out) break;
        const header = runs.headerAt(this.#againEntry) | DUP;
        copyRunWithIds(bytes, from, to, 1, true, target, out, header, id);
        out += to - from;
      }
      // One marked by expire() keeps its first stamp, by which its expiries are counted.
      const sent = inflight.wordAt(this.#againOffset) & ~(STATE_MASK | AGAIN);
      inflight.setWord(this.#againOffset, state | (sent === 0 ? stamp : sent));
    }
    return out;
  }

  /** Moves the again-cursor on to the next marked message, which must be. @returns its state. */
  #seekAgain(): number {
    const inflight = this.#inflight;
    for (;;) {
      if (this.#againOffset >= 0) {
        const word = inflight.wordAt(this.#againOffset);
        if ((word & AGAIN) !== 0) return word & STATE_MASK;
      }
      this.#againPosition = frameEnd(this.#runs.runAt(this.#againEntry).bytes, this.#againPosition);
      this.#againOffset++;
      this.#againIndex++;
      if (this.#againIndex === this.#runs.countAt(this.#againEntry)) {
        this.#againEntry++;
        this.#againIndex = 0;
        this.#againPosition = 0;
      }
    }
  }

  #rewindAgain(): void {
    this.#againOffset = -this.#frontDone();
    this.#againEntry = 0;
    this.#againIndex = 0;
    this.#againPosition = 0;
  }

  #end(packetId: number, state: number): boolean {
    const advanced = this.#inflight.close(packetId, state);
    if (advanced < 0) {
      this.#inflight.refuseInUse(packetId);
      return false;
    }
    if (advanced > 0 && this.#keepsSent) this.#leave(advanced);
    return true;
  }

  /** The oldest `count` messages have left the span: so do the runs that consist of such only. */
  #leave(count: number): void {
    this.#againOffset -= count;
    this.#frontLeft -= count;
    while (this.#frontLeft <= 0 && this.#sendEntry > 0) {
      this.inflightBytes -= this.#runs.bytesAt(0);
      this.#runs.shift();
      this.#sendEntry--;
      this.#againEntry--;
      if (this.#runs.length > 0) this.#frontLeft += this.#runs.countAt(0);
      if (this.#againEntry < 0) this.#rewindAgain();
    }
  }
}
