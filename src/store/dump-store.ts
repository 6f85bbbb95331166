/** A store as text that people and programs can read: a JSON object a line. */
import { QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import { bodyOf, frameEnd } from '../protocol/publish-frame.js';
import { fromTopicKey } from '../topics/topic.js';
import { STORE_VERSION } from './environment.js';
import {
  BitKind,
  BLOCK_BITS,
  behindAll,
  bitsStart,
  blockOf,
  owedKey,
  positionOf,
  runKey,
  sentKey,
  sessionStart,
} from './keys.js';
import { PENDING_HEAD_BYTES } from './pending-runs.js';
import type { StoreSnapshot } from './store-snapshot.js';
import { readEntryRow } from './stored-entry.js';
import { readOwed, readSent } from './stored-replay.js';
import { readRetainedRow } from './stored-retained.js';
import { expiryOfRun, readRun } from './stored-run.js';
import { readSession, type StoredSession } from './stored-session.js';

const TWO_BYTES = 2;
/** Bytes that the length of properties has, at most. */
const LENGTH_BYTES_MAX = 4;

/**
 * Every line: what it is about says `kind`. What need not be text is in base64.
 * @throws Error when something cannot be read: `checkStore` says more.
 */
export function* dumpStore(snapshot: StoreSnapshot): Generator<string> {
  yield line({ kind: 'store', version: STORE_VERSION });
  for (const { value } of snapshot.rows('sessions')) {
    yield* dumpSession(snapshot, readSession(value));
  }
  for (const { value } of snapshot.rows('retained')) {
    const { frame, expiresAt, isOf5 } = readRetainedRow(value);
    const message = messageOf(frame, isOf5 ? propertyBytesOf(frame) : 0);
    yield line({ kind: 'retained', ...message, ...expiryOf(expiresAt) });
  }
  for (const { value } of snapshot.rows('pending')) {
    const stored = value.subarray(PENDING_HEAD_BYTES);
    const { count } = readRun(stored);
    for (const message of framesOf(stored, count)) yield line({ kind: 'pending', ...message });
  }
}

function* dumpSession(snapshot: StoreSnapshot, session: StoredSession): Generator<string> {
  const { clientId, number, head } = session;
  const incoming = [...bitsOf(snapshot, BitKind.incoming, number)];
  yield line({ kind: 'session', clientId, number, head, incomingPacketIds: incoming });
  const [start, end] = [sessionStart(number), sessionStart(number + 1)];
  for (const { value } of snapshot.rows('subscriptions', start, end)) {
    const filterKey = value.toString('latin1', Uint32Array.BYTES_PER_ELEMENT);
    const grant = value.readUInt32LE(0);
    yield line({ kind: 'subscription', clientId, filter: fromTopicKey(filterKey), grant });
  }
  yield* dumpReplay(snapshot, session);
  const received = new Set(bitsOf(snapshot, BitKind.received, number));
  for (const { key, value } of snapshot.rows('queue', start, end)) {
    for (const message of messagesOf(snapshot, positionOf(key), value)) {
      const isReceived = received.has(message.position);
      yield line({ kind: 'message', clientId, ...message, ...(isReceived ? { isReceived } : {}) });
    }
  }
}

/** What is retained that a session is still to be sent. */
function* dumpReplay(
  snapshot: StoreSnapshot,
  { clientId, number }: StoredSession,
): Generator<string> {
  const rows = (start: Buffer) => snapshot.rows('replays', start, behindAll(start));
  for (const { value } of rows(owedKey(number))) {
    const { filterKey, since, generation } = readOwed(value);
    yield line({ kind: 'owed', clientId, filter: fromTopicKey(filterKey), since, generation });
  }
  for (const { value } of rows(sentKey(number, null))) {
    const { topicKey, since } = readSent(value);
    yield line({ kind: 'sent', clientId, topic: fromTopicKey(topicKey), since });
  }
}

function* messagesOf(
  snapshot: StoreSnapshot,
  position: number,
  row: Buffer,
): Generator<{ readonly position: number; readonly deliveryQos: number }> {
  const { runNumber, runAt, count, deliveryHeader, identifiers, group } = readEntryRow(row);
  const stored = runNumber < 0 ? row.subarray(runAt) : snapshot.get('runs', runKey(runNumber));
  if (stored === undefined) throw new Error(`message ${runNumber} is missing`);
  let next = position;
  for (const message of framesOf(stored, count)) {
    yield {
      position: next++,
      deliveryQos: qosOf(deliveryHeader),
      ...message,
      ...(identifiers.length > 0 ? { subscriptionIdentifiers: identifiers } : {}),
      ...(group === '' ? {} : { group: fromTopicKey(group) }),
    };
  }
}

/** The first `count` messages of a stored run. */
function* framesOf(stored: Buffer, count: number): Generator<object> {
  const { bytes, propertyBytes } = readRun(stored);
  let at = 0;
  for (let n = 0; n < count; n++) {
    const end = frameEnd(bytes, at);
    yield {
      ...messageOf(bytes.subarray(at, end), propertyBytes),
      ...expiryOf(expiryOfRun(stored)),
    };
    at = end;
  }
}

/** @param propertyBytes as in Run. */
function messageOf(frame: Buffer, propertyBytes: number): object {
  const topicAt = bodyOf(frame, 0) + TWO_BYTES;
  const topicEnd = topicAt + frame.readUInt16BE(topicAt - TWO_BYTES);
  const qos = qosOf(frame[0]);
  const propertiesAt = topicEnd + (qos === 0 ? 0 : TWO_BYTES);
  const properties = frame.subarray(propertiesAt, propertiesAt + propertyBytes);
  return {
    topic: frame.toString('utf8', topicAt, topicEnd),
    qos,
    retain: (frame[0] & RETAIN) !== 0,
    payload: frame.toString('base64', propertiesAt + propertyBytes),
    // With their length, which alone says that there are none.
    ...(properties.length > 1 ? { properties: properties.toString('base64') } : {}),
  };
}

/** Bytes of the properties of a frame of 5.0, with their length before them. */
function propertyBytesOf(frame: Buffer): number {
  const topicAt = bodyOf(frame, 0) + TWO_BYTES;
  const topicEnd = topicAt + frame.readUInt16BE(topicAt - TWO_BYTES);
  const start = topicEnd + (qosOf(frame[0]) === 0 ? 0 : TWO_BYTES);
  let length = 0;
  for (let n = 0; n < LENGTH_BYTES_MAX; n++) {
    const byte = frame.readUInt8(start + n);
    length += (byte & 0x7f) * 128 ** n;
    if (byte < 0x80) return length + n + 1;
  }
  throw new RangeError('the properties of a retained message are longer than they can be');
}

function* bitsOf(snapshot: StoreSnapshot, kind: BitKind, session: number): Generator<number> {
  const end = bitsStart(kind, session + 1);
  for (const { key, value } of snapshot.rows('bits', bitsStart(kind, session), end)) {
    for (let bit = 0; bit < BLOCK_BITS; bit++) {
      if ((value[bit >> 3] & (1 << (bit & 7))) !== 0) yield blockOf(key) * BLOCK_BITS + bit;
    }
  }
}

function qosOf(header: number): number {
  return (header & QOS_MASK) >> 1;
}

function expiryOf(date: number): { readonly expires?: string } {
  // A clock that was far off may have given what no date can be.
  return date === 0 || Number.isNaN(new Date(date).getTime())
    ? {}
    : { expires: new Date(date).toISOString() };
}

function line(what: object): string {
  return `${JSON.stringify(what, withBase64)}\n`;
}

/** Bytes have turned into an object by the time that a replacer sees them. */
function withBase64(_key: string, value: unknown): unknown {
  const isBytes =
    typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
  return isBytes && 'data' in value
    ? Buffer.from(value.data as number[]).toString('base64')
    : value;
}
