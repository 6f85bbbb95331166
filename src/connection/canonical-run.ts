/**
 * A run of 5.0 as all shards and queues know it: every frame with its topic, and without alias and
 * Message Expiry Interval. Frames that have neither are so as they come, and are not copied.
 */
import { sharedMs } from '../base/clock.js';
import { CANONICAL_BYTES_KEPT } from '../base/limits.js';
import {
  NOT_THERE,
  PublishForm,
  type PublishView,
  variableByteIntegerBytes,
} from '../protocol/v5/index.js';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** One a shard: it holds what it was given last, until the next. */
export class CanonicalRun {
  buffer: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  /** As in Run. */
  propertyBytes = 0;
  expiresAt = 0;
  readonly #form = new PublishForm();
  #properties: Buffer = NO_BYTES;
  #bytes: Buffer = NO_BYTES;

  /**
   * Takes the run [start, end) of `buffer`, of which `view` has the first frame.
   * @param header first byte of its frames. @param topic holds its topic at `topicStart`.
   */
  take(
    view: PublishView,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    topic: Buffer,
    topicStart: number,
    topicLength: number,
  ): void {
    const { canonicalLength, messageExpirySeconds } = view;
    this.propertyBytes = variableByteIntegerBytes(canonicalLength) + canonicalLength;
    this.expiresAt =
      messageExpirySeconds === NOT_THERE
        ? 0
        : Math.floor(sharedMs() + messageExpirySeconds * 1_000);
    if (view.isCanonical) {
      this.buffer = buffer;
      this.start = start;
      this.end = end;
      return;
    }
    if (this.#properties.length < canonicalLength) {
      this.#properties = Buffer.allocUnsafeSlow(canonicalLength);
    }
    view.copyCanonical(buffer, this.#properties, 0);
    const form = this.#form;
    form.clear();
    form.setTopic(topic, topicStart, topicLength);
    form.setProperties(this.#properties, 0, canonicalLength);
    const { payloadOffset } = view;
    const bytes = this.#room(form.runRoom(buffer, start, end, payloadOffset, header));
    // Its packet ids are nobody's: who delivers it writes others.
    this.end = form.writeRun(buffer, start, end, payloadOffset, bytes, 0, header, 1);
    this.buffer = bytes;
    this.start = 0;
    if (canonicalLength > CANONICAL_BYTES_KEPT) this.#properties = NO_BYTES;
  }

  #room(length: number): Buffer {
    if (this.#bytes.length >= length) return this.#bytes;
    const bytes = Buffer.allocUnsafeSlow(Math.max(length, CANONICAL_BYTES_KEPT));
    // A long one is let go of with the next.
    if (length <= CANONICAL_BYTES_KEPT) this.#bytes = bytes;
    return bytes;
  }
}
