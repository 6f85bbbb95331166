/**
 * What a record costs on a ring: put by the writer, made visible, and taken by each reader, all in
 * one thread. Between threads the cores' caches add to it; what is measured here is the code.
 */
import { createRing, RingWriter } from '../../src/router/ring.js';
import { type RecordHandler, RingReader } from '../../src/router/ring-reader.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

/** All tickets of a short run are below it. */
const TICKETS_MAX = 0x7fffffff;
const RING_BYTES = 8 * 1024 * 1024;
/** Bytes put between two looks of the readers: a busy turn. */
const TURN_BYTES = 256 * 1024;
const TURNS: Readonly<Record<MicroSize, number>> = { small: 4, large: 100 };
const RECORD_BYTES = [64, 1024, 64 * 1024];
const READERS = [1, 3];

/** Takes records as the router does: looks at the words and a byte, and copies nothing. */
class Counting implements RecordHandler {
  sum = 0;

  onRecord(
    _from: number,
    _kind: number,
    word0: number,
    _word1: number,
    _word2: number,
    _word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    this.sum += word0 + buffer[start] + (end - start);
  }
}

function ringOf(size: MicroSize, recordBytes: number, readerCount: number): MicroResult {
  const memory = createRing(RING_BYTES);
  const writer = new RingWriter(memory, (2 ** readerCount - 1) << 1, new Int32Array(1));
  const readers = Array.from({ length: readerCount }, (_, at) => new RingReader(memory, 0, at + 1));
  const bytes = Buffer.alloc(TURN_BYTES + recordBytes, 1);
  const records = Math.max(1, Math.floor(TURN_BYTES / recordBytes));
  const turns = TURNS[size];
  const name = `ring, records of ${recordBytes} B, readers: ${readerCount}`;
  return measure(name, size, records * turns, () => {
    const handler = new Counting();
    for (let turn = 0; turn < turns; turn++) {
      for (let at = 0; at < records; at++) {
        const start = at * recordBytes;
        const end = start + recordBytes;
        writer.put(1, 0xffffffff, recordBytes, at, 0, 0, 0, bytes, start, end);
      }
      writer.publish();
      for (const reader of readers) {
        reader.see();
        reader.read(handler, RING_BYTES, TICKETS_MAX);
      }
    }
    return handler.sum;
  });
}

/** Times records of three sizes, with one and with three readers. */
export function run(size: MicroSize): MicroResult[] {
  return READERS.flatMap((readers) => RECORD_BYTES.map((bytes) => ringOf(size, bytes, readers)));
}
