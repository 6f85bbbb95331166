/**
 * The bytes of one publisher: a chunk of frames made beforehand, into which only numbers are
 * patched.
 */
import {
  type FrameFormat,
  frameFormat,
  SEQUENCE_AT,
  TIME_AT,
  writeTopicDigits,
} from './frame-format.js';
import type { PublishPlan } from './load-plan.js';

/** Of one publisher. The chunk may be filled again when the socket has taken it. */
export class FrameWriter {
  readonly chunk: Buffer;
  /** Frames that fit the chunk, at least one. */
  readonly frames: number;
  /** Messages written so far, which is the next sequence. */
  sent = 0;
  readonly format: FrameFormat;
  readonly #view: DataView;
  readonly #topicCount: number;
  readonly #isEmpty: boolean;
  #packetId = 0;

  /** @param chunkBytes how large the chunk should be; one frame at least. */
  constructor(plan: PublishPlan, chunkBytes: number) {
    const format = frameFormat(plan);
    const { length, template, payloadAt } = format;
    const fit = Math.max(1, Math.floor(chunkBytes / length));
    const frames = plan.batch > 0 ? Math.min(plan.batch, fit) : fit;
    const chunk = Buffer.allocUnsafeSlow(frames * length);
    for (let at = 0; at < chunk.length; at += length) {
      template.copy(chunk, at);
      if (plan.payloadBytes > 0) chunk.writeUInt32LE(plan.publisher, at + payloadAt);
    }
    this.format = format;
    this.frames = frames;
    this.chunk = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#topicCount = plan.topicCount;
    this.#isEmpty = plan.payloadBytes === 0;
  }

  /**
   * Makes the first `count` frames of the chunk the next messages.
   * @param sentAt the time that they carry; 0: none but what stands there.
   * @returns their bytes.
   */
  fill(count: number, sentAt = 0): number {
    const view = this.#view;
    const { length, payloadAt, packetIdAt } = this.format;
    const end = count * length;
    let sequence = this.sent;
    // An empty payload, which clears a retained message, has no numbers.
    const numbersEnd = this.#isEmpty ? 0 : end;
    for (let at = payloadAt + SEQUENCE_AT; at < numbersEnd; at += length) {
      view.setInt32(at, sequence | 0, true);
      sequence++;
    }
    if (sentAt !== 0) {
      for (let at = payloadAt + TIME_AT; at < numbersEnd; at += length) {
        view.setFloat64(at, sentAt, true);
      }
    }
    if (packetIdAt >= 0) {
      let packetId = this.#packetId;
      for (let at = packetIdAt; at < end; at += length) {
        packetId = packetId === 65_535 ? 1 : packetId + 1;
        view.setUint16(at, packetId, false);
      }
      this.#packetId = packetId;
    }
    if (this.#topicCount !== 1) this.#fillTopics(end);
    this.sent += count;
    return end;
  }

  #fillTopics(end: number): void {
    const { length, digitsEnd } = this.format;
    const count = this.#topicCount;
    let sequence = this.sent;
    for (let at = digitsEnd; at < end; at += length) {
      writeTopicDigits(this.chunk, at, count === 0 ? sequence : sequence % count);
      sequence++;
    }
  }

  /** Makes the first frame the next message, with its time. @returns its bytes. */
  fillTimed(sendAt: number): number {
    this.#view.setFloat64(this.format.payloadAt + TIME_AT, sendAt, true);
    return this.fill(1);
  }
}
