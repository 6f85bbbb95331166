/**
 * The formats in which the messages of one subscription come. 3.1.1 has one; in 5.0 a broker may
 * have an alias stand for the topic, so each format is learned from its first frame, which is read
 * whole, and from then on told by its first word, as the only one is in 3.1.1.
 */
import { frameEnd } from '../../src/protocol/publish-frame.js';
import { PublishView, Sender, variableByteIntegerEnd } from '../../src/protocol/v5/index.js';
import {
  type FrameFormat,
  type FrameShape,
  frameFormat,
  topicName,
  userPropertyBytes,
} from './frame-format.js';
import type { ViewedBytes } from './receiver.js';

/** Formats kept. There are three: the name, the name with an alias, and the alias. */
const FORMATS_MAX = 8;
/** Bytes of which a format is told. */
const FIRST_WORD_BYTES = 4;

const view = new PublishView();

/** Of one subscriber. */
export class FrameForms {
  /** In which the next frame is expected. */
  current: FrameFormat;
  readonly #shape: FrameShape;
  readonly #known: FrameFormat[];
  readonly #userProperties: Buffer;

  constructor(shape: FrameShape) {
    this.#shape = shape;
    this.current = frameFormat(shape);
    this.#known = [this.current];
    this.#userProperties = userPropertyBytes(shape.version === 5 ? shape.userProperties : 0);
  }

  /**
   * Makes the format of the frame at `at` the current one.
   * @returns false when it is no whole frame of the subscription, or of a format known as current.
   */
  turnTo(read: ViewedBytes, at: number, end: number): boolean {
    if (this.#shape.version !== 5 || end - at < FIRST_WORD_BYTES) return false;
    const word = read.view.getInt32(at, true);
    if (word === this.current.firstWord) return false;
    const known = this.#known.find(({ firstWord }) => firstWord === word);
    const format = known ?? this.#learn(read.bytes, at, end);
    if (format === null || end - at < format.length) return false;
    this.current = format;
    return true;
  }

  /** @returns null for a frame that is not whole, or none of this subscription. */
  #learn(bytes: Buffer, at: number, end: number): FrameFormat | null {
    const { template } = this.current;
    if (bytes[at] !== template[0]) return null;
    const bodyAt = variableByteIntegerEnd(bytes, at + 1, end);
    if (bodyAt < 0) return null;
    const length = frameEnd(bytes, at) - at;
    if (length > end - at || !this.#isOfShape(bytes, bodyAt, at + length)) return null;
    const hasId = this.#shape.qos > 0;
    const format: FrameFormat = {
      template: Buffer.from(bytes.subarray(at, at + length)),
      length,
      firstWord: bytes.readInt32LE(at),
      digitsEnd: -1,
      packetIdAt: hasId ? view.topicStart + view.topicLength - at : -1,
      aliasAt: -1,
      payloadAt: view.payloadStart - at,
    };
    if (this.#known.length === FORMATS_MAX) this.#known.shift();
    this.#known.push(format);
    return format;
  }

  /** Reads a frame into the view. @returns whether it is what the publisher has sent. */
  #isOfShape(bytes: Buffer, bodyAt: number, end: number): boolean {
    const { qos, payloadBytes } = this.#shape;
    try {
      view.read(bytes, bodyAt, end, qos > 0, Sender.server);
    } catch {
      return false;
    }
    const isNamed = view.topicLength === Buffer.byteLength(topicName(this.#shape));
    if (!isNamed && (view.topicLength > 0 || view.topicAlias === 0)) return false;
    const properties = Buffer.alloc(view.canonicalLength);
    view.copyCanonical(bytes, properties, 0);
    return end - view.payloadStart === payloadBytes && properties.equals(this.#userProperties);
  }
}
