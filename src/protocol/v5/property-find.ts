/**
 * Looks for single properties in a block that `checkProperties` has passed, where it lies. Nothing
 * is allocated here.
 */
import { INDEX_OF, PropertyId, PropertyType, TYPES } from './property.js';
import { variableByteIntegerAt } from './variable-byte-integer.js';

/** What the functions here return for a property that is not there. */
export const NOT_THERE = -1;

/** The position behind the value at `at` of the property `id`. Trusted input. */
export function propertyEnd(bytes: Uint8Array, at: number, id: number): number {
  switch (TYPES[INDEX_OF[id]]) {
    case PropertyType.byte:
      return at + 1;
    case PropertyType.twoByteInteger:
      return at + 2;
    case PropertyType.fourByteInteger:
      return at + 4;
    case PropertyType.variableByteInteger: {
      let behind = at;
      while (bytes[behind] >= 0x80) behind++;
      return behind + 1;
    }
    case PropertyType.utf8StringPair: {
      const nameEnd = at + 2 + uint16At(bytes, at);
      return nameEnd + 2 + uint16At(bytes, nameEnd);
    }
    default:
      return at + 2 + uint16At(bytes, at);
  }
}

/**
 * The position of the value (behind the identifier) of the first property `id` in [start, end), or
 * NOT_THERE. For the next one of the same, begin at `propertyEnd` of the last.
 */
export function findProperty(
  bytes: Uint8Array,
  start: number,
  end: number,
  id: PropertyId,
): number {
  let at = start;
  while (at < end) {
    const found = bytes[at++];
    if (found === id) return at;
    at = propertyEnd(bytes, at, found);
  }
  return NOT_THERE;
}

/** The Two Byte Integer at `at`, 0 to 65,535: also the length of a string or of binary data. */
export function uint16At(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** The Four Byte Integer at `at`, 0 to 4,294,967,295. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return uint16At(bytes, at) * 0x1_0000 + uint16At(bytes, at + 2);
}

/** The Topic Alias of a PUBLISH, 1 to 65,535; 0 when it has none. */
export function topicAliasIn(bytes: Uint8Array, start: number, end: number): number {
  const at = findProperty(bytes, start, end, PropertyId.topicAlias);
  return at === NOT_THERE ? 0 : uint16At(bytes, at);
}

/** The Message Expiry Interval in seconds, 0 to 4,294,967,295, or NOT_THERE. */
export function messageExpiryIn(bytes: Uint8Array, start: number, end: number): number {
  const at = findProperty(bytes, start, end, PropertyId.messageExpiryInterval);
  return at === NOT_THERE ? NOT_THERE : uint32At(bytes, at);
}

/** Whether the payload is said to be UTF-8 (Payload Format Indicator 1). */
export function isPayloadText(bytes: Uint8Array, start: number, end: number): boolean {
  const at = findProperty(bytes, start, end, PropertyId.payloadFormatIndicator);
  return at !== NOT_THERE && bytes[at] === 1;
}

/** The Subscription Identifier of a SUBSCRIBE, 1 to 268,435,455; 0 when it has none. */
export function subscriptionIdentifierIn(bytes: Uint8Array, start: number, end: number): number {
  const at = findProperty(bytes, start, end, PropertyId.subscriptionIdentifiers);
  return at === NOT_THERE ? 0 : variableByteIntegerAt(bytes, at);
}

/**
 * Where the Response Topic, Correlation Data or another property of two length bytes and a content
 * lies: the position of its length, or NOT_THERE. The content is `uint16At` bytes from there + 2.
 */
export function findField(
  bytes: Uint8Array,
  start: number,
  end: number,
  id: 'contentType' | 'responseTopic' | 'correlationData' | 'reasonString',
): number {
  return findProperty(bytes, start, end, PropertyId[id]);
}
