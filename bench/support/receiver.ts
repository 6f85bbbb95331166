/**
 * Reads the messages of one subscription out of a stretch of bytes: the generator's hot loop. Of
 * each frame it compares what can be wrong (the first word, publisher and sequence) and nothing
 * else.
 */
import { SEQUENCE_AT, TIME_AT } from './frame-format.js';
import type { FrameForms } from './frame-forms.js';
import type { SequenceCheck } from './sequence-check.js';

/** Bytes with the view that reads words of them. */
export interface ViewedBytes {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Makes a buffer with its view. */
export function viewedBytes(length: number): ViewedBytes {
  const bytes = Buffer.alloc(length);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, length) };
}

/** Acks gathered during one read, for one write. */
export class AckBatch {
  readonly bytes: Buffer;
  readonly view: DataView;
  length = 0;

  /** @param byteLength room for the acks of one read; an ack is 4 bytes. */
  constructor(byteLength: number) {
    const { bytes, view } = viewedBytes(byteLength);
    this.bytes = bytes;
    this.view = view;
  }

  /** Adds PUBACK (0x40), PUBREC (0x50), PUBREL (0x62) or PUBCOMP (0x70). */
  add(firstByte: number, packetId: number): void {
    this.view.setInt32(this.length, (firstByte << 24) | 0x20000 | packetId, false);
    this.length += 4;
  }
}

/** Takes the latency of one message. */
export interface LatencySink {
  /**
   * @param sentAt nanoseconds of the monotonic clock at which the message should have been sent.
   */
  onLatency(sentAt: number): void;
}

/** Whose latencies a receiver takes. */
export interface Sampling {
  readonly latency: LatencySink | null;
  /** Of the first message of a read, and not of every read. */
  readonly isSampled: boolean;
}

/** Every how many reads of a receiver the latency of a message is taken: it costs some messages. */
const SAMPLE_READS = 4;

/** Of one subscriber. */
export class Receiver {
  /** Messages taken since the connection began. */
  delivered = 0;
  readonly check: SequenceCheck;
  readonly #forms: FrameForms;
  readonly #qos: 0 | 1 | 2;
  readonly #firstPublisher: number;
  /** Takes the latency of every message. */
  readonly #each: LatencySink | null;
  readonly #sampled: LatencySink | null;
  #reads = 0;

  constructor(
    check: SequenceCheck,
    forms: FrameForms,
    qos: 0 | 1 | 2,
    firstPublisher: number,
    { latency, isSampled }: Sampling,
  ) {
    this.check = check;
    this.#forms = forms;
    this.#qos = qos;
    this.#firstPublisher = firstPublisher;
    this.#each = isSampled ? null : latency;
    this.#sampled = isSampled ? latency : null;
  }

  /** A phase begins: the latency of its first read is taken, however short it is. */
  beginPhase(): void {
    this.#reads = 0;
  }

  /**
   * Takes whole frames of this subscription from `start` on, as long as there are any.
   * @returns where the first byte stands that is something else, or part of a frame.
   */
  take(read: ViewedBytes, start: number, end: number, acks: AckBatch): number {
    let at = start;
    do at = this.#takeAlike(read, at, end, acks);
    while (this.#forms.turnTo(read, at, end));
    return at;
  }

  /** Takes those of the current format. */
  #takeAlike({ view }: ViewedBytes, start: number, end: number, acks: AckBatch): number {
    const { length, firstWord, payloadAt, packetIdAt } = this.#forms.current;
    const { check } = this;
    const ackByte = this.#qos === 1 ? 0x40 : 0x50;
    const { isOfAny } = check;
    let at = start;
    // The publisher whose stretch this is, and what it must send next.
    let publisher = -1;
    let sequence = 0;
    for (; end - at >= length && view.getInt32(at, true) === firstWord; at += length) {
      const payload = at + payloadAt;
      const from = view.getInt32(payload, true);
      const number = view.getInt32(payload + SEQUENCE_AT, true);
      if (from === publisher && number === sequence) {
        sequence = (sequence + 1) | 0;
      } else {
        const index = publisher - this.#firstPublisher;
        if (publisher >= 0) check.next[index] = sequence;
        publisher = this.#onOther(from, number);
        if (publisher >= 0) sequence = check.next[publisher - this.#firstPublisher];
      }
      if (packetIdAt >= 0) acks.add(ackByte, view.getUint16(at + packetIdAt, false));
      if (this.#each !== null) this.#each.onLatency(view.getFloat64(payload + TIME_AT, true));
      if (isOfAny) publisher = -1;
    }
    if (publisher >= 0) check.next[publisher - this.#firstPublisher] = sequence;
    this.delivered += (at - start) / length;
    if (this.#sampled !== null && at > start && this.#reads++ % SAMPLE_READS === 0) {
      this.#sampled.onLatency(view.getFloat64(start + payloadAt + TIME_AT, true));
    }
    return at;
  }

  /** A message that does not follow the one before it. @returns whose stretch begins, or -1. */
  #onOther(publisher: number, sequence: number): number {
    const { check } = this;
    const index = publisher - this.#firstPublisher;
    const isInRange = index >= 0 && index < check.next.length;
    if (isInRange && check.kind === 'whole' && check.next[index] === sequence) {
      check.next[index] = (sequence + 1) | 0;
      return publisher;
    }
    check.onUnexpected(publisher, sequence);
    return isInRange ? publisher : -1;
  }
}
