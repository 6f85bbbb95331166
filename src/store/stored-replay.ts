/**
 * What of a session's replays is on disk: the filters of which retained messages are still to be
 * sent, and topics that are not to be sent again, each with the number of the SUBSCRIBE that it is
 * of. A row is that number (4 bytes, little-endian), of a filter the generation of the replay (4
 * bytes), and the filter key or topic key (latin1).
 */

/** A filter that a session is owed of. */
export interface OwedFilter {
  readonly filterKey: string;
  /** Which SUBSCRIBE has asked. */
  readonly since: number;
  /** What tells the replay from others of the session. */
  readonly generation: number;
}

/** A topic that is not to be sent again. */
export interface SentTopic {
  readonly topicKey: string;
  readonly since: number;
}

const WORD: number = Uint32Array.BYTES_PER_ELEMENT;
const TOPIC_AT = WORD;
const FILTER_AT = 2 * WORD;

/** @throws RangeError when the row is cut off. */
export function readOwed(row: Buffer): OwedFilter {
  checkLength(row, FILTER_AT);
  const filterKey = row.toString('latin1', FILTER_AT, row.length);
  return { filterKey, since: row.readUInt32LE(0), generation: row.readUInt32LE(WORD) };
}

/** @throws RangeError when the row is cut off. */
export function readSent(row: Buffer): SentTopic {
  checkLength(row, TOPIC_AT);
  return { topicKey: row.toString('latin1', TOPIC_AT, row.length), since: row.readUInt32LE(0) };
}

/** The row of a filter; see OwedFilter. */
export function owedRow(filterKey: string, since: number, generation: number): Buffer {
  const row = rowOf(FILTER_AT, filterKey, since);
  row.writeUInt32LE(generation, WORD);
  return row;
}

/** The row of a topic; see SentTopic. */
export function sentRow(topicKey: string, since: number): Buffer {
  return rowOf(TOPIC_AT, topicKey, since);
}

function rowOf(textAt: number, text: string, since: number): Buffer {
  const row = Buffer.allocUnsafe(textAt + text.length);
  row.writeUInt32LE(since, 0);
  row.write(text, textAt, 'latin1');
  return row;
}

function checkLength({ length }: Buffer, bytes: number): void {
  if (length < bytes) throw new RangeError('a row of a replay is cut off');
}
