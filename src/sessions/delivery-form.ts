/**
 * In which form a receiver gets a run: the bytes as they are, or laid out anew in its version, with
 * what is its own. Nothing is allocated here.
 */
import { sharedMs } from '../base/clock.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import { bodyOf, frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import {
  MESSAGE_EXPIRY_BYTES,
  NOT_THERE,
  PublishForm,
  TOPIC_ALIAS_BYTES,
  variableByteIntegerAt,
  variableByteIntegerBytes,
} from '../protocol/v5/index.js';
import type { Receiver } from './receiver.js';

/** Bytes by which length fields of a frame may grow: a remaining length, and Property Lengths. */
const LENGTHS_GROW_MAX = 6;
/** Bytes of a Subscription Identifier with its property identifier, at most. */
const IDENTIFIER_BYTES_MAX = 5;
const NO_IDENTIFIERS: readonly number[] = [];

/** The form that is filled and used, then filled again: a thread has one. */
const form = new PublishForm();

/** What is laid out, where it lies. */
export interface FormSource {
  readonly topicLength: number;
  readonly propertyBytes: number;
  readonly expiresAt: number;
}

/**
 * Whether frames go to a receiver with the bytes that they have.
 * @param receiver null for one of 3.x. @param bytes of the longest frame, or more.
 */
export function goesAsItIs(
  receiver: Receiver | null,
  propertyBytes: number,
  expiresAt: number,
  identifiers: readonly number[] | undefined,
  bytes: number,
): boolean {
  if (receiver === null) return propertyBytes === 0;
  return (
    propertyBytes !== 0 &&
    expiresAt === 0 &&
    identifiers === undefined &&
    !receiver.takesAliases &&
    bytes <= receiver.maximumPacketSize
  );
}

/** Bytes from a body's begin to its payload, in frames whose first byte is `header`. */
export function payloadOffsetOf(
  { topicLength, propertyBytes }: FormSource,
  header: number,
): number {
  return 2 + topicLength + ((header & QOS_MASK) === 0 ? 0 : 2) + propertyBytes;
}

/** By how many bytes a frame may grow when it is laid out for a receiver. */
export function growthMax(
  receiver: Receiver | null,
  identifiers: readonly number[] | undefined,
): number {
  if (receiver === null) return 0;
  const own = (identifiers?.length ?? 0) * IDENTIFIER_BYTES_MAX;
  return own + MESSAGE_EXPIRY_BYTES + TOPIC_ALIAS_BYTES + LENGTHS_GROW_MAX;
}

/**
 * The form in which a receiver gets the frames of a run that begins at `start` of `bytes`. It has
 * to be used before anything else is prepared.
 * @param topicKey of the run, for its alias; null: it gets none.
 */
export function prepareForm(
  receiver: Receiver | null,
  source: FormSource,
  bytes: Buffer,
  start: number,
  identifiers: readonly number[] | undefined,
  topicKey: string | null,
): PublishForm {
  const { topicLength, propertyBytes, expiresAt } = source;
  const topicStart = bodyOf(bytes, start) + 2;
  form.setTopic(bytes, topicStart, topicLength);
  form.topicAlias = 0;
  form.isTopicOmitted = false;
  form.messageExpirySeconds = NOT_THERE;
  form.subscriptionIdentifiers = NO_IDENTIFIERS;
  if (receiver === null) {
    form.version = 4;
    form.maximumPacketSize = Number.POSITIVE_INFINITY;
    form.setProperties(bytes, 0, 0);
    return form;
  }
  form.version = 5;
  form.maximumPacketSize = receiver.maximumPacketSize;
  if (propertyBytes === 0) {
    form.setProperties(bytes, 0, 0);
  } else {
    const lengthAt = topicStart + topicLength + ((bytes[start] & QOS_MASK) === 0 ? 0 : 2);
    const length = variableByteIntegerAt(bytes, lengthAt);
    form.setProperties(bytes, lengthAt + variableByteIntegerBytes(length), length);
  }
  if (expiresAt !== 0) form.messageExpirySeconds = secondsLeft(expiresAt);
  if (identifiers !== undefined) form.subscriptionIdentifiers = identifiers;
  const aliases = topicKey === null ? null : receiver.aliases;
  if (aliases !== null) {
    form.topicAlias = aliases.aliasOf(topicKey!);
    form.isTopicOmitted = aliases.isKnown;
  }
  return form;
}

/**
 * The form of frames that have an alias already, in the place of their topic: with the one that the
 * receiver knows, and otherwise as they are. It says what `PublishForm` has to, but lays out
 * nothing.
 */
export function prepareAliasedForm(receiver: Receiver, topicAlias: number): PublishForm {
  form.clear();
  form.subscriptionIdentifiers = NO_IDENTIFIERS;
  form.maximumPacketSize = receiver.maximumPacketSize;
  form.topicAlias = topicAlias;
  form.isTopicOmitted = true;
  return form;
}

/** Whether a message that expires then has. */
export function hasExpired(expiresAt: number): boolean {
  return expiresAt !== 0 && expiresAt <= sharedMs();
}

/** What is left of it [MQTT-3.3.2-6]: at least a second, as 0 would say that it is over. */
function secondsLeft(expiresAt: number): number {
  return Math.max(1, Math.ceil((expiresAt - sharedMs()) / 1_000));
}

/** The topic of a run as a string, kept with it. */
export function topicKeyOf(run: Run): string {
  run.topicKey ??= latin1TopicOf(run);
  return run.topicKey;
}

function latin1TopicOf({ bytes, topicLength }: Run): string {
  const start = bodyOf(bytes, 0) + 2;
  return bytes.toString('latin1', start, start + topicLength);
}

/**
 * How many of the `count` frames at `position` fit `room` bytes when each grows by `growth`.
 */
export function framesWithinGrown(
  bytes: Buffer,
  position: number,
  count: number,
  room: number,
  growth: number,
): number {
  let end = position;
  for (let frames = 0; frames < count; frames++) {
    end = frameEnd(bytes, end);
    if (end - position + (frames + 1) * growth > room) return frames;
  }
  return count;
}
