/**
 * A look at the store's file before LMDB maps it: what is no store, or was cut off, would end the
 * process there. Offsets are those of LMDB's data format 2, little-endian.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { errorCode } from '../base/error-code.js';

const MAGIC_AT = 24;
const MAGIC = 0xbeef_c0de;
const FORMAT_AT = 28;
const FORMAT = 2;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;
const PAGE_BYTES_MIN = 256;
const PAGE_BYTES_MAX = 65_536;

/** Why a file cannot be opened as a store; null: it can, or there is none yet. */
export function faultOfStoreFile(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? null : `cannot be read: ${errorCode(error)}`;
  }
  try {
    return faultOf(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function faultOf(file: number, size: number): string | null {
  if (size === 0) return null;
  const first = readMeta(file, 0);
  if (first === null) return 'is no store, or its beginning is damaged: restore a backup';
  const second = readMeta(file, first.pageBytes);
  if (second === null) return 'is damaged: its second page is none of a store: restore a backup';
  // The older of the two may speak of pages that the newer has given up.
  const { lastPage, pageBytes } = first.transaction > second.transaction ? first : second;
  const bytes = (lastPage + 1n) * BigInt(pageBytes);
  if (bytes <= BigInt(size)) return null;
  return `was cut off: it has ${size} of ${bytes} bytes: restore a backup`;
}

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

/** A meta page; null for what is none. */
function readMeta(file: number, at: number): Meta | null {
  const page = Buffer.alloc(META_BYTES);
  if (readSync(file, page, 0, META_BYTES, at) < META_BYTES) return null;
  if (page.readUInt32LE(MAGIC_AT) !== MAGIC || page.readUInt32LE(FORMAT_AT) !== FORMAT) return null;
  const pageBytes = page.readUInt32LE(PAGE_SIZE_AT);
  const isPower = (pageBytes & (pageBytes - 1)) === 0;
  if (!isPower || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) return null;
  return {
    pageBytes,
    lastPage: page.readBigUInt64LE(LAST_PAGE_AT),
    transaction: page.readBigUInt64LE(TRANSACTION_AT),
  };
}
