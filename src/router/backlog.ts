/**
 * Records that found no room in the ring, copied, in order. What was passed to `send` lies in a
 * read buffer that is used again at once, so nothing here refers to it.
 *
 * A record lies in a chunk as it would in a ring (ring-record.ts). `total` is the length of the
 * whole record: larger than `length` when the first fragments are on the ring already.
 */

import { copyBytes } from '../base/copy-bytes.js';
import { RING_BACKLOG_CHUNK_BYTES } from '../base/limits.js';
import { type RingWriter, recordBytesMax, recordSpace } from './ring.js';
import {
  FLAG_FIRST,
  FLAG_FRAGMENT,
  FLAG_LAST,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_LENGTH,
  RECORD_MASK,
  RECORD_TOTAL,
  RECORD_WORD0,
  RECORD_WORD1,
  RECORD_WORD2,
  RECORD_WORD3,
} from './ring-record.js';

/** A stretch of records: those in [readIndex, writeIndex) still wait. */
interface Chunk {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readIndex: number;
  writeIndex: number;
}

/**
 * Puts the last `end - start` bytes of a record of `total` bytes on the ring, in one record or,
 * when it is too large for one, in as many fragments as find room.
 * @returns how far it came: `end` when all is put; -1 when nothing was.
 */
export function putRecord(
  writer: RingWriter,
  kind: number,
  shardMask: number,
  total: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  const bytesMax = recordBytesMax(writer.capacityBytes);
  if (total <= bytesMax) {
    return writer.put(kind, shardMask, total, word0, word1, word2, word3, bytes, start, end)
      ? end
      : -1;
  }
  let at = start;
  while (at < end) {
    const pieceEnd = Math.min(at + bytesMax, end);
    let flags = FLAG_FRAGMENT;
    if (end - at === total) flags |= FLAG_FIRST;
    if (pieceEnd === end) flags |= FLAG_LAST;
    if (
      !writer.put(kind | flags, shardMask, total, word0, word1, word2, word3, bytes, at, pieceEnd)
    ) {
      break;
    }
    at = pieceEnd;
  }
  return at > start ? at : -1;
}

/** The records of one writer that wait for room. */
export class RecordBacklog {
  #chunks: Chunk[] = [];
  /** An empty chunk of the usual size, kept for the next time. */
  #spare: Chunk | null = null;
  #bytes = 0;
  #pushedBytes = 0;
  /** Bytes of the first waiting record that are on the ring already, in fragments. */
  #frontSentBytes = 0;

  /** Bytes that wait, headers included. 0 when there is no backlog. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that have ever waited: all before a place are on the ring when `isPast` says so. */
  get place(): number {
    return this.#pushedBytes;
  }

  /** Whether all that was there when `place` was this is on the ring. */
  isPast(place: number): boolean {
    return this.#pushedBytes - this.#bytes >= place;
  }

  /** Copies the last `end - start` bytes of a record of `total` bytes behind what waits. */
  push(
    kind: number,
    shardMask: number,
    total: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const length = end - start;
    const space = recordSpace(length);
    const chunk = this.#chunkFor(space);
    const at = chunk.writeIndex >> 2;
    const words = chunk.words;
    words[at + RECORD_LENGTH] = length;
    words[at + RECORD_KIND] = kind;
    words[at + RECORD_MASK] = shardMask;
    words[at + RECORD_TOTAL] = total;
    words[at + RECORD_WORD0] = word0;
    words[at + RECORD_WORD1] = word1;
    words[at + RECORD_WORD2] = word2;
    words[at + RECORD_WORD3] = word3;
    copyBytes(bytes, start, end, chunk.bytes, chunk.writeIndex + RECORD_HEADER_BYTES);
    chunk.writeIndex += space;
    this.#bytes += space;
    this.#pushedBytes += space;
  }

  /**
   * Puts on the ring what finds room there, first come first. @returns true when nothing waits any
   * more.
   */
  moveTo(writer: RingWriter): boolean {
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[0];
      while (chunk.readIndex < chunk.writeIndex) {
        if (!this.#moveFront(chunk, writer)) return false;
      }
      this.#chunks.shift();
      if (chunk.bytes.length === RING_BACKLOG_CHUNK_BYTES) {
        chunk.readIndex = 0;
        chunk.writeIndex = 0;
        this.#spare = chunk;
      }
    }
    return true;
  }

  /** A reader has died: what waits is not for it, nor for its successor. */
  forgetReader(reader: number): void {
    for (const chunk of this.#chunks) {
      let index = chunk.readIndex;
      while (index < chunk.writeIndex) {
        chunk.words[(index >> 2) + RECORD_MASK] &= ~(1 << reader);
        index += recordSpace(chunk.words[(index >> 2) + RECORD_LENGTH]);
      }
    }
  }

  /** @returns false when the record, or a part of it, found no room. */
  #moveFront(chunk: Chunk, writer: RingWriter): boolean {
    const words = chunk.words;
    const at = chunk.readIndex >> 2;
    const length = words[at + RECORD_LENGTH];
    // Nobody is left who wants it, not even the rest of it.
    if (words[at + RECORD_MASK] !== 0) {
      const start = chunk.readIndex + RECORD_HEADER_BYTES;
      const end = start + length;
      const reached = putRecord(
        writer,
        words[at + RECORD_KIND],
        words[at + RECORD_MASK],
        words[at + RECORD_TOTAL],
        words[at + RECORD_WORD0],
        words[at + RECORD_WORD1],
        words[at + RECORD_WORD2],
        words[at + RECORD_WORD3],
        chunk.bytes,
        start + this.#frontSentBytes,
        end,
      );
      if (reached < 0) return false;
      if (reached !== end) {
        this.#frontSentBytes = reached - start;
        return false;
      }
    }
    this.#frontSentBytes = 0;
    const space = recordSpace(length);
    chunk.readIndex += space;
    this.#bytes -= space;
    return true;
  }

  #chunkFor(space: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.writeIndex + space <= last.bytes.length) return last;
    let chunk = this.#spare;
    if (chunk !== null && space <= chunk.bytes.length) {
      this.#spare = null;
    } else {
      const bytes = Buffer.allocUnsafeSlow(Math.max(space, RING_BACKLOG_CHUNK_BYTES));
      const words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
      chunk = { bytes, words, readIndex: 0, writeIndex: 0 };
    }
    this.#chunks.push(chunk);
    return chunk;
  }
}
