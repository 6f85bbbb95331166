/** A record handler that keeps copies of what it gets. */
import type { RecordHandler, RingReader } from '../../../src/router/ring-reader.js';

/** Every ticket of a short test is below it. */
const TICKETS_MAX = 0x7fff_ffff;

/** Reads what the writer shows now. @returns bytes taken. */
export function readSeen(reader: RingReader, handler: RecordHandler, limitBytes: number): number {
  reader.see();
  return reader.read(handler, limitBytes, TICKETS_MAX);
}

/** One record, copied. */
export interface CollectedRecord {
  readonly from: number;
  readonly kind: number;
  readonly words: readonly number[];
  readonly text: string;
}

export class Collector implements RecordHandler {
  readonly records: CollectedRecord[] = [];
  readonly #onText: (text: string) => void;

  /** @param onText called before a record is kept; may throw. */
  constructor(onText: (text: string) => void = () => {}) {
    this.#onText = onText;
  }

  onRecord(
    from: number,
    kind: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    buffer: Buffer,
    start: number,
    end: number,
  ): void {
    const text = buffer.toString('latin1', start, end);
    this.#onText(text);
    this.records.push({ from, kind, words: [word0, word1, word2, word3], text });
  }

  /** The bytes of all records, in order, as latin1 text. */
  texts(): string[] {
    return this.records.map((record) => record.text);
  }
}
