/** When a client was last heard of, as its keep alive counts it. */
import { UNFINISHED_BYTES_PER_SECOND } from '../base/limits.js';

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
