/**
 * A packet that takes longer than a share of a turn: 100,000 filters in one SUBSCRIBE took 250 ms,
 * and whoever shares the shard waited. Such a one is handled part by part, in turn with the other
 * busy connections. Nothing behind it is handled before it is done, so its effects keep their
 * order.
 */
import { WORK_PER_LOOK } from '../base/turn-limits.js';
import type { Servable } from './busy-connections.js';
import { type Connection, Pause } from './connection.js';

/** Filters that are taken at a time: some 20 us, so that a part is a look at the clock. */
export const FILTERS_PER_PART = 16;

/**
 * Handles the parts of a packet, each when the one before is done: at once, as far as the share at
 * hand goes, and the rest in turn. What is left when the connection closes is left out.
 * @param parts each `next` is one part, of about WORK_PER_LOOK.
 */
export function handleInParts(connection: Connection, parts: Iterator<unknown>): void {
  const packet = new LongPacket(connection, parts);
  if (!packet.goOn()) return;
  connection.pause(Pause.longPacket);
  connection.host.share.end();
  connection.host.onBusy(packet);
}

class LongPacket implements Servable {
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
    if (this.goOn()) return true;
    connection.unpause(Pause.longPacket);
    return false;
  }

  /** @returns whether parts are left for the next share. */
  goOn(): boolean {
    const { host } = this.#connection;
    while (!this.#connection.isClosed) {
      if (this.#parts.next().done === true) return false;
      if (host.isRingFull) host.waitForRing(this.#connection);
      if (host.share.spend(WORK_PER_LOOK)) return true;
    }
    return false;
  }
}
