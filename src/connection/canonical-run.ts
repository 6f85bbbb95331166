/**
 * A run of 5.0 as all shards and queues know it: every frame with its topic, and without alias and
 * Message Expiry Interval. Frames that have neither are so as they come, and are not copied. Those
 * with an alias alone stay so until somebody needs another form of them: where all who get them
 * take aliases, nobody does.
 */
import { sharedMs } from '../base/clock.js';
import { CANONICAL_BYTES_KEPT } from '../base/limits.js';
import {
  NOT_THERE,
  PublishForm,
  type PublishView,
  variableByteIntegerBytes,
} from '../protocol/v5/index.js';
import type { AliasedRun } from '../router/run-traits.js';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** One a shard: it holds what it was given last, until the next. */
export class CanonicalRun implements AliasedRun {
  buffer: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  /** As in Run. */
  propertyBytes = 0;
  expiresAt = 0;
  aliasAt = 0;
  /** Whether it is canonical yet: `settle` makes it so. */
  isSettled = true;
  readonly #form = new PublishForm();
  /** Of the first frame, as it came. */
  #view: PublishView | null = null;
  #header = 0;
  #topic: Buffer = NO_BYTES;
  #topicStart = 0;
  #topicLength = 0;
  #properties: Buffer = NO_BYTES;
  #bytes: Buffer = NO_BYTES;

  /**
   * Takes the run [start, end) of `buffer`, of which `view` has the first frame: all of these have
   * to stay as they are until the run was delivered.
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
    const expires = messageExpirySeconds !== NOT_THERE;
    this.propertyBytes = variableByteIntegerBytes(canonicalLength) + canonicalLength;
    this.expiresAt = expires ? Math.floor(sharedMs() + messageExpirySeconds * 1_000) : 0;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
    this.isSettled = view.isCanonical;
    if (view.isCanonical) return;
    this.#view = view;
    this.#header = header;
    this.#topic = topic;
    this.#topicStart = topicStart;
    this.#topicLength = topicLength;
    if (expires || view.topicLength !== 0) this.settle();
    else this.aliasAt = view.aliasOffset;
  }

  settle(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    const { buffer, start, end } = this;
    const header = this.#header;
    const { canonicalLength, payloadOffset } = this.#view!;
    if (this.#properties.length < canonicalLength) {
      this.#properties = Buffer.allocUnsafeSlow(canonicalLength);
    }
    this.#view!.copyCanonical(buffer, this.#properties, 0);
    const form = this.#form;
    form.clear();
    form.setTopic(this.#topic, this.#topicStart, this.#topicLength);
    form.setProperties(this.#properties, 0, canonicalLength);
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
