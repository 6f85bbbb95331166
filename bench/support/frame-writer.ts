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

/** Frames of one format in a row. */
class FrameChunk {
  readonly bytes: Buffer;
  readonly frames: number;
  readonly format: FrameFormat;
  readonly #view: DataView;
  readonly #topicCount: number;
  readonly #isEmpty: boolean;

  constructor(plan: PublishPlan, format: FrameFormat, frames: number) {
    const { length, template, payloadAt } = format;
    const bytes = Buffer.allocUnsafeSlow(frames * length);
    for (let at = 0; at < bytes.length; at += length) {
      template.copy(bytes, at);
      if (plan.payloadBytes > 0) bytes.writeUInt32LE(plan.publisher, at + payloadAt);
    }
    this.bytes = bytes;
    this.frames = frames;
    this.format = format;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#topicCount = plan.topicCount;
    this.#isEmpty = plan.payloadBytes === 0;
  }

  /** As `FrameWriter.fill`, from `firstSequence` on. */
  fill(count: number, firstSequence: number, lastPacketId: number, sentAt: number): void {
    const view = this.#view;
    const { length, payloadAt, packetIdAt } = this.format;
    const end = count * length;
    let sequence = firstSequence;
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
      let packetId = lastPacketId;
      for (let at = packetIdAt; at < end; at += length) {
        packetId = packetId === 65_535 ? 1 : packetId + 1;
        view.setUint16(at, packetId, false);
      }
    }
    this.#fillTopics(end, firstSequence);
  }

  #fillTopics(end: number, firstSequence: number): void {
    const { length, digitsEnd, aliasAt } = this.format;
    const count = this.#topicCount;
    if (digitsEnd >= 0) {
      let sequence = firstSequence;
      for (let at = digitsEnd; at < end; at += length) {
        writeTopicDigits(this.bytes, at, count === 0 ? sequence : sequence % count);
        sequence++;
      }
    }
    if (aliasAt >= 0) {
      let alias = firstSequence % count;
      for (let at = aliasAt; at < end; at += length) {
        this.#view.setUint16(at, alias + 1, false);
        alias = alias + 1 === count ? 0 : alias + 1;
      }
    }
  }
}

/** Of one publisher. The chunk may be filled again when the socket has taken it. */
export class FrameWriter {
  /** Messages written so far, which is the next sequence. */
  sent = 0;
  /** What most messages go into. */
  readonly #chunk: FrameChunk;
  /** With topic aliases: the first message of each topic, with its name. Null without. */
  readonly #naming: FrameChunk | null;
  readonly #topicCount: number;
  /** Topics that have an alias on this connection. */
  #named = 0;
  #packetId = 0;

  /**
   * @param chunkBytes how large the chunk should be; one frame at least.
   * @param hasAliases each of its topics gets a topic alias, from 1 on.
   */
  constructor(plan: PublishPlan, chunkBytes: number, hasAliases = false) {
    const fitting = ({ length }: FrameFormat, atMost: number): number => {
      const fit = Math.min(atMost, Math.max(1, Math.floor(chunkBytes / length)));
      return plan.batch > 0 ? Math.min(plan.batch, fit) : fit;
    };
    const format = frameFormat(plan, hasAliases ? 'alias' : 'name');
    this.#chunk = new FrameChunk(plan, format, fitting(format, Number.POSITIVE_INFINITY));
    this.#topicCount = plan.topicCount;
    this.#naming = null;
    if (hasAliases) {
      const naming = frameFormat(plan, 'nameAndAlias');
      this.#naming = new FrameChunk(plan, naming, fitting(naming, plan.topicCount));
    }
  }

  /** What the next messages go into. */
  get #current(): FrameChunk {
    const isNaming = this.#naming !== null && this.#named < this.#topicCount;
    return isNaming ? this.#naming : this.#chunk;
  }

  /** The bytes of the next messages. */
  get chunk(): Buffer {
    return this.#current.bytes;
  }

  /** Messages that the chunk takes, at least one. */
  get frames(): number {
    const { frames } = this.#current;
    return this.#current === this.#chunk
      ? frames
      : Math.min(frames, this.#topicCount - this.#named);
  }

  /** Bytes of its largest frame. */
  get frameBytesMax(): number {
    return (this.#naming ?? this.#chunk).format.length;
  }

  /** A new connection knows no aliases. */
  onConnect(): void {
    // What is next in rotation is named first.
    this.#named = 0;
  }

  /**
   * Makes the first `count` frames of the chunk the next messages, and another chunk the one that
   * is filled next where they have named the last topic.
   * @param count no more than `frames`.
   * @param sentAt the time that they carry; 0: none but what stands there.
   * @returns their bytes in the chunk as it was before.
   */
  fill(count: number, sentAt = 0): number {
    const chunk = this.#current;
    chunk.fill(count, this.sent, this.#packetId, sentAt);
    if (chunk !== this.#chunk) this.#named += count;
    this.sent += count;
    // The last one; 65,535 is followed by 1.
    this.#packetId = ((this.#packetId + count - 1) % 65_535) + 1;
    return count * chunk.format.length;
  }
}
