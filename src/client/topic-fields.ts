/** Topics that a client publishes to, with what it remembers of each. */
import { ArgumentError } from '../base/errors.js';
import { CLIENT_TOPICS_CACHED } from '../base/limits.js';
import { isTopicName } from './text.js';

const NO_BYTES = Buffer.alloc(0);

/** One topic. */
export class TopicField {
  readonly topic: string;
  /** As it stands in a packet: two length bytes and the UTF-8 bytes; not to be written to. */
  readonly bytes: Buffer;
  /** Number of the connection on which it was published to last; `alias` is of that one. */
  connection = 0;
  /** Topic Alias, 1 to 65,535; 0 for none. */
  alias = 0;
  /** A property field that has this alias and no other property. */
  aliasOnly: Buffer = NO_BYTES;

  constructor(topic: string, bytes: Buffer) {
    this.topic = topic;
    this.bytes = bytes;
  }
}

/** The topics of one client, checked once. */
export class TopicFields {
  readonly #fields = new Map<string, TopicField>();
  #last = new TopicField('', NO_BYTES);

  /**
   * The field of a topic.
   * @throws ArgumentError for what is no topic name [MQTT-3.3.2-2].
   */
  fieldOf(topic: string): TopicField {
    // A publisher that repeats its topic, with the same string, pays for a comparison of pointers.
    if (topic === this.#last.topic && topic !== '') return this.#last;
    let field = this.#fields.get(topic);
    if (field === undefined) {
      field = new TopicField(topic, topicBytes(topic));
      if (this.#fields.size >= CLIENT_TOPICS_CACHED) this.#fields.clear();
      this.#fields.set(topic, field);
    }
    this.#last = field;
    return field;
  }
}

function topicBytes(topic: string): Buffer {
  if (!isTopicName(topic)) {
    throw new ArgumentError(
      `cannot publish to ${typeof topic === 'string' ? `'${topic}'` : String(topic)}: ` +
        'a topic name has 1 to 65,535 bytes and no +, # or NUL',
    );
  }
  const length = Buffer.byteLength(topic);
  const bytes = Buffer.allocUnsafe(2 + length);
  bytes[0] = length >> 8;
  bytes[1] = length;
  bytes.write(topic, 2, 'utf8');
  return bytes;
}
