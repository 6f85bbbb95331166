/**
 * A session as its row has it: its number (double, little-endian), its client id (2 bytes of its
 * length, UTF-8), and its head, which is the session layer's own (msgpack).
 */
import { Unpackr } from 'msgpackr';

export interface StoredSession {
  readonly number: number;
  readonly clientId: string;
  /** As it was put. */
  readonly head: object;
}

/** What is unpacked must not lie in the row, whose memory the next one may be read to. */
const unpackr = new Unpackr({ useRecords: false, copyBuffers: true });
const CLIENT_ID_AT = 8;
const ID_AT = 10;

/** @param clientId UTF-8. @param head msgpack. */
export function sessionRow(number: number, clientId: Buffer, head: Buffer): Buffer {
  const row = Buffer.allocUnsafe(ID_AT + clientId.length + head.length);
  row.writeDoubleLE(number, 0);
  row.writeUInt16LE(clientId.length, CLIENT_ID_AT);
  row.set(clientId, ID_AT);
  row.set(head, ID_AT + clientId.length);
  return row;
}

/** The number alone. @throws RangeError when the row is cut off. */
export function numberOfSession(row: Buffer): number {
  // What stands behind the row in memory is another's.
  if (row.length < ID_AT) throw new RangeError('a session is cut off');
  return row.readDoubleLE(0);
}

/** @throws Error when the row is cut off, or its head is no object. */
export function readSession(row: Buffer): StoredSession {
  const number = numberOfSession(row);
  const headAt = ID_AT + row.readUInt16LE(CLIENT_ID_AT);
  if (row.length <= headAt) throw new RangeError('a session is cut off');
  const head: unknown = unpackr.unpack(row.subarray(headAt, row.length));
  if (typeof head !== 'object' || head === null) throw new Error('a session without a head');
  return { number, clientId: row.toString('utf8', ID_AT, headAt), head };
}
