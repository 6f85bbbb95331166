/** Topic aliases that a client gives to its topics, for the time of a connection [3.3.2.3.4]. */
import {
  PropertyId,
  TOPIC_ALIAS_BYTES,
  variableByteIntegerAt,
  variableByteIntegerBytes,
  writeVariableByteInteger,
} from '../protocol/v5/index.js';
import type { TopicField } from './topic-fields.js';

/** What stands for the topic of a PUBLISH. */
export const TopicForm = { name: 0, nameAndAlias: 1, alias: 2 } as const;
export type TopicForm = (typeof TopicForm)[keyof typeof TopicForm];

/** A Topic Name of no bytes, where the alias stands for it. */
export const NO_NAME: Buffer = Buffer.from([0, 0]);
/** A property field without properties. */
const NO_PROPERTIES = Buffer.from([0]);
/** Bytes by which an alias beside the name may make a packet longer: itself, and two lengths. */
const GROWTH_BYTES_MAX = TOPIC_ALIAS_BYTES + 2;

/** Of one client. */
export class OutgoingAliases {
  readonly #atMost: number;
  #connection = 0;
  #maximum = 0;
  #given = 0;

  /** @param atMost aliases on a connection that the program wants; 0 for none. */
  constructor(atMost: number) {
    this.#atMost = atMost;
  }

  /** Another connection begins, without any. @param maximum Topic Alias Maximum of the server. */
  begin(maximum: number): void {
    this.#connection++;
    this.#maximum = Math.min(this.#atMost, maximum);
    this.#given = 0;
  }

  /** Some may be given on this connection [MQTT-3.3.2-9]. */
  get isOn(): boolean {
    return this.#maximum > 0;
  }

  /**
   * How the next message to a topic names it. A topic gets an alias with its second message: one
   * that is published to once needs none.
   * @param roomBytes how much longer than with the name alone its packet may be.
   */
  next(field: TopicField, roomBytes: number): TopicForm {
    if (field.connection !== this.#connection) {
      field.connection = this.#connection;
      field.alias = 0;
      return TopicForm.name;
    }
    if (field.alias !== 0) return TopicForm.alias;
    if (this.#given === this.#maximum || roomBytes < GROWTH_BYTES_MAX) return TopicForm.name;
    field.alias = ++this.#given;
    field.aliasOnly = withAlias(NO_PROPERTIES, field.alias);
    return TopicForm.nameAndAlias;
  }
}

/**
 * A property field, which begins with its length, with a Topic Alias as its first property.
 * @param alias 1 to 65,535.
 */
export function withAlias(properties: Buffer, alias: number): Buffer {
  const oldLength = variableByteIntegerAt(properties, 0);
  const length = oldLength + TOPIC_ALIAS_BYTES;
  const start = variableByteIntegerBytes(length);
  const field = Buffer.allocUnsafe(start + length);
  writeVariableByteInteger(field, 0, length);
  field[start] = PropertyId.topicAlias;
  field[start + 1] = alias >> 8;
  field[start + 2] = alias;
  properties.copy(field, start + TOPIC_ALIAS_BYTES, properties.length - oldLength);
  return field;
}

/** What `withAlias` was given. */
export function withoutAlias(properties: Buffer): Buffer {
  const length = variableByteIntegerAt(properties, 0) - TOPIC_ALIAS_BYTES;
  const start = variableByteIntegerBytes(length);
  const field = Buffer.allocUnsafe(start + length);
  writeVariableByteInteger(field, 0, length);
  properties.copy(field, start, properties.length - length);
  return field;
}
