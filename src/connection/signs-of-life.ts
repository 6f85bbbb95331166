/** When a client was last heard of, as its keep alive counts it. */
import { CloseReason } from '../base/errors.js';
import { STAMP_SLACK_MS, UNFINISHED_BYTES_PER_SECOND } from '../base/limits.js';
import type { Connection } from './connection.js';

/**
 * One a connection. All times are coarse milliseconds. Whole packets count [MQTT-3.1.2-24], and the
 * bytes of an unfinished one while they come at UNFINISHED_BYTES_PER_SECOND: a large packet takes a
 * slow network longer than its keep alive, and who drips a byte now and then says nothing.
 */
export class SignsOfLife {
  #lastPacketAt: number;
  #lastReadAt: number;
  /**
   * Since when an unfinished packet is looked at, and how much of it there was then: from its first
   * bytes, then from look to look.
   */
  #unfinishedSince: number;
  #unfinishedBefore = 0;

  constructor(now: number) {
    this.#lastPacketAt = now;
    this.#lastReadAt = now;
    this.#unfinishedSince = now;
  }

  /** Bytes have come. @param isBehindPacket whether they begin a packet. */
  onRead(now: number, isBehindPacket: boolean): void {
    this.#lastReadAt = now;
    if (isBehindPacket) this.#beginUnfinished();
  }

  /** A whole packet, at least, was among what was read. */
  onPacket(): void {
    if (this.#lastReadAt > this.#lastPacketAt) this.#lastPacketAt = this.#lastReadAt;
    this.#beginUnfinished();
  }

  /** Whether nothing was read for so long. */
  isUnreadFor(ms: number, now: number): boolean {
    return now - this.#lastReadAt >= ms;
  }

  /** The client was not listened to until now: its silence was ours. */
  forgive(now: number): void {
    this.#lastPacketAt = now;
  }

  /**
   * When the silence began that lasts at `now`. To be asked once a keep alive, when that is over:
   * from call to call an unfinished packet must have grown.
   * @param unfinishedBytes what has come of one, 0 when there is none.
   */
  silentSince(now: number, unfinishedBytes: number): number {
    if (unfinishedBytes === 0) return this.#lastPacketAt;
    const seconds = (now - this.#unfinishedSince) / 1000;
    const grown = unfinishedBytes - this.#unfinishedBefore;
    this.#unfinishedSince = now;
    this.#unfinishedBefore = unfinishedBytes;
    const isArriving = grown >= seconds * UNFINISHED_BYTES_PER_SECOND;
    return isArriving ? this.#lastReadAt : this.#lastPacketAt;
  }

  #beginUnfinished(): void {
    this.#unfinishedSince = this.#lastReadAt;
    this.#unfinishedBefore = 0;
  }
}

/**
 * The deadline of a connection with keep alive has come: closes it after one and a half times that
 * in silence [MQTT-3.1.2-24]. It is not moved at each packet: so it is found here when the last one
 * came, and how much of the time is left. One that was not read from all the time, as the disk is
 * full or readers are behind, is closed if it has left: nobody would see that before.
 * @param isRead false while its socket is not read: what comes may be a sign of life.
 */
export function checkKeepAlive(
  connection: Connection,
  signs: SignsOfLife,
  isRead: boolean,
  unfinishedBytes: number,
): void {
  const { deadlines } = connection.host;
  const { now } = deadlines;
  const limitMs = connection.keepAliveMs * 1.5;
  if (!isRead && signs.isUnreadFor(limitMs, now) && connection.transport.hasLeft) {
    connection.close(CloseReason.connectionLost);
    return;
  }
  const since = isRead ? signs.silentSince(now, unfinishedBytes) : now;
  if (now - since < limitMs + STAMP_SLACK_MS) deadlines.set(connection, since, limitMs);
  else connection.close(CloseReason.keepAliveTimeout);
}
