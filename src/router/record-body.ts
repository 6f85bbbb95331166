/** Bodies of ring records that are msgpackr: read, and held against what they should be. */
import { Packr } from 'msgpackr';
import { RecordError } from '../base/errors.js';
import { isValidTopicFilter } from '../topics/topic.js';

const packr = new Packr({ useRecords: false });

/** The body of a record that says this. */
export function packRecord(body: object): Buffer {
  return packr.pack(body);
}

/**
 * The object in [start, end) of a ring. Its fields may be anything yet.
 * @throws RecordError when there is none.
 */
export function unpackRecord(
  buffer: Buffer,
  start: number,
  end: number,
): { readonly [name: string]: unknown } {
  let body: unknown;
  try {
    body = packr.unpack(Buffer.from(buffer.subarray(start, end)));
  } catch (error) {
    throw new RecordError(`a record cannot be unpacked: ${String(error)}`);
  }
  if (typeof body === 'object' && body !== null)
    return body as { readonly [name: string]: unknown };
  throw new RecordError(`a record holds ${typeof body} instead of an object`);
}

/** Whether `value` is a list of valid filter keys. */
export function areFilters(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isFilter);
}

/** Whether `value` is a valid filter key. */
export function isFilter(value: unknown): value is string {
  return typeof value === 'string' && isValidTopicFilter(value);
}
