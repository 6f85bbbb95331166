/**
 * Keys of the store's rows: bytes in whose order the rows stand. Numbers are big-endian, so that
 * those of a session stand together in the order of their positions.
 */
import { createHash } from 'node:crypto';
import { KEY_TEXT_BYTES_MAX } from '../base/limits.js';

/** Parts that client ids fall into, by their hash. */
export const PARTITIONS = 64;
const HASH_BYTES = 16;
/** Bytes of a position, and of a run's number. */
export const NUMBER_BYTES = 6;
/** Bytes of a session's number. */
export const SESSION_BYTES = 7;
const TWO_48 = 2 ** 48;
/** Messages that a row of bits speaks of. */
export const BLOCK_BITS = 512;
/** What a row of bits is about, the first byte of its key. */
export const BitKind = {
  /** Packet ids of QoS 2 PUBLISH packets whose PUBREL is still to come. */
  incoming: 0,
  /** Positions of messages whose PUBREC has come. */
  received: 1,
  /** Positions of messages that were given to others before they were acknowledged. */
  given: 2,
} as const;
export type BitKind = (typeof BitKind)[keyof typeof BitKind];

/** What a row of a replay is about, the first byte of its key. */
export const ReplayRow = {
  /** A filter of which retained messages are still to be sent. */
  filter: 0,
  /** A topic that was sent and is not to be sent again. */
  topic: 1,
  /** A replay, or all of a session, whose topics are on their way out. */
  ended: 2,
} as const;
export type ReplayRow = (typeof ReplayRow)[keyof typeof ReplayRow];

/** Largest number of a session, and largest count of what a double holds exactly. */
export const SESSION_MAX: number = Number.MAX_SAFE_INTEGER - 1;
/** Largest position, and largest number of a run. */
export const POSITION_MAX: number = TWO_48 - 1;

/** A text as the end of a key; a long one is cut off, and goes on with its hash. */
function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length <= KEY_TEXT_BYTES_MAX) return bytes;
  const hash = createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES);
  return Buffer.concat([bytes.subarray(0, KEY_TEXT_BYTES_MAX), hash]);
}

/** The partition of a client id, 0 to PARTITIONS - 1: the same in every release. */
export function partitionOf(clientId: string): number {
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(clientId)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % PARTITIONS;
}

/** Of a session: its partition, and its client id. */
export function sessionKey(clientId: string): Buffer {
  const id = textBytes(Buffer.from(clientId).toString('latin1'));
  return Buffer.concat([Buffer.from([partitionOf(clientId)]), id]);
}

/** Where the partition's sessions begin, and those of the one before end. */
export function partitionStart(partition: number): Buffer {
  return Buffer.from([partition]);
}

/** Of a subscription: the session's number, and the filter key (latin1, see topic.ts). */
export function subscriptionKey(session: number, filterKey: string): Buffer {
  return Buffer.concat([sessionStart(session), textBytes(filterKey)]);
}

/** Of a retained message, as a latin1 text: its topic key, or what stands for a long one. */
export function retainedKey(topicKey: string): string {
  if (topicKey.length <= KEY_TEXT_BYTES_MAX) return topicKey;
  return textBytes(topicKey).toString('latin1');
}

/** Where the rows begin of topics that are at this one or behind it: those of long ones, too. */
export function retainedKeyFrom(topicKey: string): string {
  if (topicKey.length <= KEY_TEXT_BYTES_MAX) return topicKey;
  return topicKey.slice(0, KEY_TEXT_BYTES_MAX);
}

/**
 * Of a queue's entry: the session's number, and the position of its first message.
 * @param key memory for it; what stood there is written over.
 */
export function entryKey(
  session: number,
  position: number,
  key: Buffer = Buffer.allocUnsafe(SESSION_BYTES + NUMBER_BYTES),
): Buffer {
  writeSession(key, session, 0);
  key.writeUIntBE(position, SESSION_BYTES, NUMBER_BYTES);
  return key;
}

/** The position that an entry's key has. */
export function positionOf(key: Buffer): number {
  return key.readUIntBE(SESSION_BYTES, NUMBER_BYTES);
}

/** The session that an entry's or a subscription's key has. */
export function sessionOf(key: Buffer, at = 0): number {
  return key.readUInt8(at) * TWO_48 + key.readUIntBE(at + 1, SESSION_BYTES - 1);
}

/** The same, of a key as a latin1 text. */
export function sessionOfText(key: string): number {
  let session = 0;
  for (let at = 0; at < SESSION_BYTES; at++) session = session * 256 + key.charCodeAt(at);
  return session;
}

/** Of a row of bits. @param block its number: BLOCK_BITS in each. */
export function bitsKey(kind: BitKind, session: number, block: number): Buffer {
  const key = Buffer.allocUnsafe(1 + SESSION_BYTES + NUMBER_BYTES);
  key[0] = kind;
  writeSession(key, session, 1);
  key.writeUIntBE(block, 1 + SESSION_BYTES, NUMBER_BYTES);
  return key;
}

/** Where a session's rows of bits begin; where they end is where those of the next begin. */
export function bitsStart(kind: BitKind, session: number): Buffer {
  return kindStart(kind, session);
}

/** Of a filter that a session is owed of, or where all those of a session begin. */
export function owedKey(session: number, filterKey = ''): Buffer {
  return Buffer.concat([kindStart(ReplayRow.filter, session), textBytes(filterKey)]);
}

/**
 * Of a topic that a replay has sent, or where all those of a replay, or of a session, begin.
 * @param generation of the replay, 32 bits; null: of all.
 */
export function sentKey(session: number, generation: number | null, topicKey = ''): Buffer {
  const start = kindStart(ReplayRow.topic, session);
  if (generation === null) return start;
  return Buffer.concat([start, generationBytes(generation), textBytes(topicKey)]);
}

/** Of a replay that has ended, or of a session; see `sentKey`. */
export function endedKey(session: number, generation: number | null): Buffer {
  const start = kindStart(ReplayRow.ended, session);
  return generation === null ? start : Buffer.concat([start, generationBytes(generation)]);
}

/** Where all rows of a kind of bits or replays begin; where they end those of the next begin. */
export function kindsStart(kind: number): Buffer {
  return Buffer.from([kind]);
}

/** The topics that go with a row of those that have ended: as the beginning of their keys. */
export function topicsOfEnded(key: Buffer): Buffer {
  const start = Buffer.from(key);
  start[0] = ReplayRow.topic;
  return start;
}

/** Behind all keys that begin so; not all of its bytes are 255. */
export function behindAll(start: Buffer): Buffer {
  const behind = Buffer.from(start);
  let at = behind.length - 1;
  while (behind[at] === 0xff) behind[at--] = 0;
  behind[at]!++;
  return behind;
}

/** The block that the key of a row of bits has. */
export function blockOf(key: Buffer): number {
  return key.readUIntBE(1 + SESSION_BYTES, NUMBER_BYTES);
}

/** Of a run. @param number 0 to 2^48 - 1. */
export function runKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(NUMBER_BYTES);
  key.writeUIntBE(number, 0, NUMBER_BYTES);
  return key;
}

/** The number that a run's key has. */
export function runNumberOf(key: Buffer): number {
  return key.readUIntBE(0, NUMBER_BYTES);
}

/** Where all of a session's rows begin; where they end is where those of the next begin. */
export function sessionStart(session: number): Buffer {
  const key = Buffer.allocUnsafe(SESSION_BYTES);
  writeSession(key, session, 0);
  return key;
}

function generationBytes(generation: number): Buffer {
  const bytes = Buffer.allocUnsafe(Uint32Array.BYTES_PER_ELEMENT);
  bytes.writeUInt32BE(generation >>> 0);
  return bytes;
}

function kindStart(kind: number, session: number): Buffer {
  const key = Buffer.allocUnsafe(1 + SESSION_BYTES);
  key[0] = kind;
  writeSession(key, session, 1);
  return key;
}

function writeSession(key: Buffer, session: number, at: number): void {
  // Node writes 6 bytes at most.
  const high = Math.floor(session / TWO_48);
  key.writeUInt8(high, at);
  key.writeUIntBE(session - high * TWO_48, at + 1, SESSION_BYTES - 1);
}
