/**
 * The reading side of one connection: bytes that come, what of them cannot be handled yet, and
 * whose turn it is. Frames go to the connection, which is the scan's sink.
 */
import { Counter } from '../base/counters.js';
import { CloseReason } from '../base/errors.js';
import {
  PIPELINED_BYTES_MAX,
  READ_BUFFER_BYTES,
  READ_HEADROOM_BYTES,
  RUN_FRAMES_MAX,
} from '../base/limits.js';
import {
  BUSY_READ_BYTES_MIN,
  POLLED_ONLY_MS_KEPT,
  RUN_DELIVERIES_MAX,
  SHARE_SLACK,
} from '../base/turn-limits.js';
import { PacketType } from '../protocol/packet.js';
import type { Servable } from './busy-connections.js';
import { type Connection, ConnectionState, Pause } from './connection.js';
import { failConnection } from './fail.js';
import { mayBeForNewcomer } from './for-newcomer.js';
import { foreignProtocol } from './foreign-protocol.js';
import { Gather } from './gather.js';
import { beginsToLast, LeftLook } from './left-look.js';
import type { UnfinishedHolder } from './unfinished-packets.js';

/** First byte of CONNECT, with the flags that 3.1.1 asks for [MQTT-2.2.2-1]. */
const CONNECT_HEADER = PacketType.connect << 4;
/** Pauses that what is kept may wait for, and that are followed by its handling. */
const KEEPING = Pause.turnSpent | Pause.overRate;

/** One for each connection. */
export class Reading implements Servable, UnfinishedHolder {
  unfinishedBytes = 0;
  unfinishedMark = 0;
  readonly #connection: Connection;
  /** Bytes that are handled in a millisecond, as the last read had it. */
  #bytesPerMs = READ_BUFFER_BYTES;
  /** It waits among the host's busy connections. */
  #isInLine = false;
  /** What is kept waits until the host is past this mark: it was read behind what is there. */
  #mark = 0;
  #isWaiting = false;
  /** Its transport has used up its share, and may have more of the kind. */
  #isCharged = false;
  /** The client has closed its side, behind packets that wait for the answer to its CONNECT. */
  #hasEnded = false;
  /**
   * Bytes read and not yet handled: an unfinished frame, what came behind a CONNECT, or what there
   * was no time for in this turn.
   */
  #gather: Gather | null = null;
  /** Made by the first pause that may last. */
  #leftLook: LeftLook | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * `length` bytes have been read into the host's read buffer, behind its headroom.
   * @returns false when no more is to be read for now.
   */
  onRead(length: number): boolean {
    const { host } = this.#connection;
    if (host.turn.onRead() && this.#gather === null) {
      const end = READ_HEADROOM_BYTES + length;
      const isAwaiting = mayBeForNewcomer(
        this.#connection,
        host.readBuffer,
        READ_HEADROOM_BYTES,
        end,
      );
      if (isAwaiting) host.turn.awaitOthers();
    }
    this.#catchUp();
    host.share.beginPolled(this, this.#connection.transport.isPolledOnly);
    this.#onBytes(length);
    host.afterRead(this.#connection);
    if (this.#connection.isClosed || !(host.share.isSpent || this.#isWaiting)) return true;
    // A read that was not full has found all there was.
    const isMoreToDo = length === READ_BUFFER_BYTES || this.#gather !== null || this.#isCharged;
    this.#isCharged = false;
    if (!isMoreToDo) return true;
    this.#connection.spendTurn();
    this.waitInLine();
    return false;
  }

  get polledMs(): number {
    return this.#connection.transport.isPolledOnly ? POLLED_ONLY_MS_KEPT : 0;
  }

  /** Its transport has done something for the client. @returns whether its share is used up. */
  charge(work: number): boolean {
    const { host, transport } = this.#connection;
    const { share } = host;
    share.beginPolled(this, transport.isPolledOnly);
    this.#isCharged = share.spend(work);
    return this.#isCharged;
  }

  /**
   * Its share of a turn: handles what it has kept, then reads on until there is no more, or the
   * time is over.
   */
  serve(milliseconds: number): boolean {
    const { host } = this.#connection;
    const { share } = host;
    if (this.#isWaiting && !host.turn.isPast(this.#mark) && !this.#connection.isClosed) return true;
    this.#isWaiting = false;
    this.#isInLine = false;
    // Another reason to pause brings it back when it goes.
    if (this.#connection.isClosed || this.#connection.pauses !== Pause.turnSpent) return false;
    // What is read is meant to be handled within the share, and may take somewhat longer.
    const slack = milliseconds * SHARE_SLACK;
    share.begin(this, milliseconds + slack);
    this.#handleGathered();
    let bytes = 0;
    let left = share.left - slack;
    while (
      this.#connection.pauses === Pause.turnSpent &&
      !share.isSpent &&
      !this.#connection.isClosed
    ) {
      if (left < slack || !host.turn.mayCatchUp) break;
      const wanted = this.#bytesFor(left);
      const length = this.#readNow(wanted);
      if (length < 0) {
        this.#connection.close(CloseReason.connectionLost);
        return false;
      }
      if (length > 0) {
        this.#catchUp();
        this.#onBytes(length);
        host.afterRead(this.#connection, false);
      }
      host.flushWhenFull();
      if (this.#isWaiting) break;
      bytes += length;
      if (!share.isSpent && length < wanted) {
        // Polling it for a moment would cost more than another look.
        if (bytes >= BUSY_READ_BYTES_MIN) break;
        this.#connection.unpause(Pause.turnSpent);
        this.#endIfHandled();
        return false;
      }
      const before = left;
      left = share.left - slack;
      if (left < before) this.#bytesPerMs = Math.ceil((length - this.keptBytes) / (before - left));
    }
    if (this.#connection.isClosed || this.#connection.pauses !== Pause.turnSpent || this.#isInLine)
      return false;
    this.#isInLine = true;
    return true;
  }

  /**
   * Something was read: what was acknowledged before it was written comes first, on whichever
   * shard. What there is no time for now is waited for.
   */
  #catchUp(): void {
    const { host } = this.#connection;
    this.#isWaiting = !host.turn.catchUp();
    if (this.#isWaiting) this.#mark = host.turn.mark();
  }

  #readNow(wanted: number): number {
    const { transport, host } = this.#connection;
    return transport.readNow(host.readBuffer, READ_HEADROOM_BYTES, wanted);
  }

  /** Reads no more at a time than can be handled: what is kept is copied, and costs memory. */
  #bytesFor(milliseconds: number): number {
    const bytes = Math.ceil(this.#bytesPerMs * milliseconds);
    return Math.max(BUSY_READ_BYTES_MIN, Math.min(READ_BUFFER_BYTES, bytes));
  }

  /** It is served in turn from here on, unless it waits for that already. */
  waitInLine(): void {
    if (this.#isInLine) return;
    this.#isInLine = true;
    this.#connection.host.onBusy(this);
  }

  /**
   * The client has closed its side. @returns whether that is to be heard of when what it has sent
   * before is handled: what waits for the answer to its CONNECT, for its turn, or for its rate. A
   * stream tells of its end in spite of a pause, when it has given out all that is before it.
   */
  endsLater(): boolean {
    const { state, pauses } = this.#connection;
    const mayWait = state < ConnectionState.leaving && (pauses & KEEPING) !== 0;
    const isLater = this.#gather !== null && (state === ConnectionState.connecting || mayWait);
    if (isLater) this.#hasEnded = true;
    return isLater;
  }

  /** Ends the connection, if its client has closed its side and nothing before that is left. */
  #endIfHandled(): void {
    if (this.#hasEnded && !this.endsLater()) this.#connection.close(CloseReason.connectionLost);
  }

  /** Bytes read and not handled. */
  get keptBytes(): number {
    return this.#gather === null ? 0 : this.#gather.length;
  }

  /** Nothing is to be read for one more reason. */
  onPause(reason: number): void {
    const { isClosed, pauses } = this.#connection;
    if (isClosed || !beginsToLast(reason, pauses)) return;
    this.#leftLook ??= new LeftLook(this.#connection);
    this.#leftLook.begin();
  }

  /** The connection is closed: what is not handled never will be. */
  clear(): void {
    this.#letGo();
    this.#leftLook?.cancelDeadline();
  }

  closeUnfinished(reason: CloseReason, detail: string): void {
    this.#connection.close(reason, { detail });
  }

  /** What was gathered is being handled. */
  #letGo(): void {
    this.#gather = null;
    if (this.unfinishedBytes > 0) this.#connection.host.unfinished.letGo(this);
  }

  /** What is gathered begins with an unfinished packet: bounded together with those of others. */
  #noteUnfinished(gather: Gather): void {
    this.#connection.host.unfinished.note(this, gather.length, gather.capacity);
  }

  #onBytes(length: number): void {
    const { host } = this.#connection;
    host.counters.add(Counter.bytesReceived, length);
    if (this.#connection.state >= ConnectionState.leaving) return;
    this.#connection.rate?.onBytes(length);
    this.#connection.signs?.onRead(host.deadlines.now, this.#gather === null);
    const buffer = host.readBuffer;
    let start = READ_HEADROOM_BYTES;
    const end = start + length;
    const { state } = this.#connection;
    if (state === ConnectionState.awaitConnect && this.#isForeign(buffer, start, end)) return;
    if (state === ConnectionState.connecting || host.share.isSpent || this.#isWaiting) {
      this.#keep(buffer, start, end, 0);
      return;
    }
    const gather = this.#gather;
    if (gather !== null && gather.length > 0) {
      if (gather.neededBytes <= READ_HEADROOM_BYTES && gather.length <= READ_HEADROOM_BYTES) {
        this.#letGo();
        start = gather.moveBefore(buffer, start);
      } else {
        start += gather.take(buffer, start, end);
        if (!gather.isWhole) {
          this.#noteUnfinished(gather);
          return;
        }
        this.#letGo();
        const frame = gather.release();
        this.#process(frame, 0, frame.length);
      }
    }
    this.#process(buffer, start, end);
  }

  /** Closes a client of another protocol, where the beginning of its first read tells which. */
  #isForeign(buffer: Buffer, start: number, end: number): boolean {
    if (buffer[start] === CONNECT_HEADER || this.#gather !== null) return false;
    const detail = foreignProtocol(buffer, start, end);
    if (detail === undefined) return false;
    this.#connection.close(CloseReason.protocolViolation, { detail });
    return true;
  }

  /**
   * Handles what was kept when handling stopped: packets pipelined behind a CONNECT [MQTT-3.1.4-5].
   */
  handleKept(): void {
    const { host, transport } = this.#connection;
    const { share } = host;
    if (this.#gather === null || this.#isInLine) return;
    if ((this.#connection.pauses & ~Pause.turnSpent) !== 0) {
      // It is served in turn when the other reasons are gone.
      this.#connection.pause(Pause.turnSpent);
      return;
    }
    this.#catchUp();
    if (!this.#isWaiting) {
      share.beginPolled(this, transport.isPolledOnly);
      this.#handleGathered();
      host.afterRead(this.#connection);
      if (!share.isSpent || this.#gather === null || this.#connection.isClosed) {
        this.#endIfHandled();
        return;
      }
    }
    this.#connection.pause(Pause.turnSpent);
    this.waitInLine();
  }

  #handleGathered(): void {
    const gather = this.#gather;
    if (gather === null || this.#connection.state >= ConnectionState.leaving) return;
    this.#letGo();
    const bytes = gather.release();
    this.#process(bytes, 0, bytes.length);
  }

  #process(buffer: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    const { share, scan: scan3x, scan5 } = connection.host;
    if (this.#connection.state >= ConnectionState.leaving || start === end) return;
    if (
      this.#gather !== null ||
      this.#connection.state === ConnectionState.connecting ||
      share.isSpent
    ) {
      this.#keep(buffer, start, end, 0);
      return;
    }
    try {
      const { protocolVersion } = connection;
      const scan = protocolVersion === 5 ? scan5 : scan3x;
      if (protocolVersion !== 5) scan3x.protocolVersion = protocolVersion;
      scan.runFramesMax = this.#runFramesMax();
      scan.maxPacketBytes = connection.terms.maxPacketBytes;
      scan.payloadBytesMax = connection.profile.payloadBytesMax;
      const position = scan.scan(buffer, start, end, this.#connection);
      if (position > start) this.#connection.signs?.onPacket();
      if (position < end && !this.#connection.isClosed) {
        this.#keep(buffer, position, end, scan.neededBytes);
      }
    } catch (error) {
      failConnection(this.#connection, error);
    }
  }

  /** A run is handled in one go: one to very many subscribers must not be long. */
  #runFramesMax(): number {
    const { lastRoute } = this.#connection;
    const subscribers = lastRoute === null ? 0 : lastRoute.subscribers.length;
    return Math.max(
      1,
      Math.min(RUN_FRAMES_MAX, Math.floor(RUN_DELIVERIES_MAX / (subscribers + 1))),
    );
  }

  #keep(buffer: Buffer, start: number, end: number, neededBytes: number): void {
    if (this.#gather === null) {
      this.#gather = new Gather();
      // It came from the gather, and nobody else has it.
      const isOwn = buffer !== this.#connection.host.readBuffer && start < buffer.length >> 1;
      if (isOwn) this.#gather.hold(buffer.subarray(start, end), neededBytes);
      else this.#gather.add(buffer, start, end, neededBytes);
    } else {
      this.#gather.add(buffer, start, end, neededBytes);
    }
    if (neededBytes > 0) this.#noteUnfinished(this.#gather);
    const isConnecting = this.#connection.state === ConnectionState.connecting;
    if (isConnecting && this.#gather.length > PIPELINED_BYTES_MAX)
      this.#connection.pause(Pause.connecting);
  }
}
