/**
 * What of a session's replays is on disk: the filters of which retained messages are still to be
 * sent, and topics that are not to be sent again, each with the number of the SUBSCRIBE that it is
 * of. A row is that number (4 bytes, little-endian) and the filter key or topic key (latin1).
 */
import type { Table } from './environment.js';
import { ReplayRow, replayKey } from './keys.js';

/** A filter, or a topic, and the SUBSCRIBE that it is of. */
export interface StoredReplay {
  readonly text: string;
  readonly since: number;
}

const TEXT_AT: number = Uint32Array.BYTES_PER_ELEMENT;
const REMOVED = -1;

/** @throws RangeError when the row is cut off. */
export function readReplayRow(row: Buffer): StoredReplay {
  if (row.length < TEXT_AT) throw new RangeError('a row of a replay is cut off');
  return { text: row.toString('latin1', TEXT_AT, row.length), since: row.readUInt32LE(0) };
}

/** Of one session, what a transaction changes. */
export class ReplayChanges {
  /** All that was on disk goes, before what is put. */
  isEnded = false;
  /** By kind and text: the SUBSCRIBE; REMOVED: it goes. */
  readonly #rows = new Map<string, number>();

  put(kind: ReplayRow, text: string, since: number): void {
    this.#rows.set(String.fromCharCode(kind) + text, since);
  }

  remove(kind: ReplayRow, text: string): void {
    const row = String.fromCharCode(kind) + text;
    if (this.isEnded) this.#rows.delete(row);
    else this.#rows.set(row, REMOVED);
  }

  end(): void {
    this.isEnded = true;
    this.#rows.clear();
  }

  /** What is on disk must have gone before, where the replay has ended. */
  write(table: Table, session: number): void {
    for (const [row, since] of this.#rows) {
      const text = row.slice(1);
      const key = replayKey(row.charCodeAt(0) as ReplayRow, session, text);
      if (since === REMOVED) {
        table.removeSync(key);
        continue;
      }
      const value = Buffer.allocUnsafe(TEXT_AT + text.length);
      value.writeUInt32LE(since, 0);
      value.write(text, TEXT_AT, 'latin1');
      table.putSync(key, value);
    }
  }
}

/** Every kind there is. */
export const REPLAY_ROWS: readonly ReplayRow[] = Object.values(ReplayRow);
