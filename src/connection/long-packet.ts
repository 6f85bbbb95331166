/**
 * A packet that takes longer than a share of a turn: 100,000 filters in one SUBSCRIBE took 250 ms,
 * and whoever shares the shard waited. Such a one is handled part by part, in turn with the other
 * busy connections. Nothing behind it is handled before it is done, so its effects keep their
 * order; and it is checked whole before any of it is done.
 */
import { WORK_PER_LOOK } from '../base/turn-limits.js';
import type { FilterCursor } from '../protocol/filter-cursor.js';
import type { Servable } from './busy-connections.js';
import { type Connection, Pause } from './connection.js';
import { failConnection } from './fail.js';

/** Filters that are taken at a time: some 20 us, so that a part is a look at the clock. */
const FILTERS_PER_PART = 16;
/** Bytes of filters that are taken at a time, where they are long. */
const BYTES_PER_PART = 4 * 1024;
/** Bytes of filters that are checked at a time. */
export const CHECKED_BYTES_PER_PART = 8 * 1024;

/**
 * Handles the parts of a packet, each when the one before is done: at once, as far as the share at
 * hand goes, and the rest in turn. What is left when the connection closes is left out.
 * @param filters of the packet, which the parts read.
 * @param parts each `next` is one part, of about WORK_PER_LOOK: first those that check, of
 *   CHECKED_BYTES_PER_PART. A ProtocolError closes.
 */
export function handleInParts(
  connection: Connection,
  filters: FilterCursor,
  parts: Iterator<unknown>,
): void {
  if (!goOn(connection, parts)) return;
  filters.keep(connection.host.readBuffer);
  connection.pause(Pause.longPacket);
  connection.host.share.end();
  connection.host.onBusy(new LongPacket(connection, parts));
}

/** Begins a part of which the filters are to be read. */
export function beginPart(filters: FilterCursor): void {
  filters.beginPart(FILTERS_PER_PART, BYTES_PER_PART);
}

/** Handles parts as far as the share at hand goes. @returns whether some are left. */
function goOn(connection: Connection, parts: Iterator<unknown>): boolean {
  const { host } = connection;
  while (!connection.isClosed) {
    if (parts.next().done === true) return false;
    if (host.isRingFull) host.waitForRing(connection);
    if (host.share.spend(WORK_PER_LOOK)) return true;
  }
  return false;
}

class LongPacket implements Servable {
  readonly polledMs = 0;
  readonly #connection: Connection;
  readonly #parts: Iterator<unknown>;

  constructor(connection: Connection, parts: Iterator<unknown>) {
    this.#connection = connection;
    this.#parts = parts;
  }

  serve(milliseconds: number): boolean {
    const connection = this.#connection;
    // What it tells the other shards waits until they follow.
    if ((connection.pauses & Pause.ringFull) !== 0 && !connection.isClosed) return true;
    connection.host.share.begin(this, milliseconds);
    try {
      if (goOn(connection, this.#parts)) return true;
    } catch (error) {
      failConnection(connection, error);
    }
    connection.unpause(Pause.longPacket);
    return false;
  }
}
