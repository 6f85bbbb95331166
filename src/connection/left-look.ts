/**
 * Looks whether a client has left of which nothing is read for as long as a store is full, a disk
 * takes nothing or a dead shard has no successor: nobody would see it, as its end is behind what it
 * has sent. What is not read is not acknowledged, and is the client's still.
 */
import { Deadline } from '../base/deadlines.js';
import { CloseReason } from '../base/errors.js';
import { LEFT_LOOK_MS } from '../base/limits.js';
import { type Connection, Pause } from './connection.js';

/** Reasons to pause that may last until somebody makes room; replies wait for the disk, too. */
const LASTING = Pause.disk | Pause.subackOwed;

/** One for a connection that has been paused so. */
export class LeftLook extends Deadline {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    super();
    this.#connection = connection;
  }

  /** A pause has begun: it is looked when that has lasted for a while. */
  begin(): void {
    const { deadlines } = this.#connection.host;
    deadlines.set(this, deadlines.now, LEFT_LOOK_MS);
  }

  /** Closes the connection if its client has left. It may be read again, which tells. */
  onDeadline(): void {
    const connection = this.#connection;
    if ((connection.pauses & LASTING) === 0) return;
    if (connection.transport.hasLeft) connection.close(CloseReason.connectionLost);
    else this.begin();
  }
}

/** Whether such a pause begins. @param pauses there were before. */
export function beginsToLast(reason: number, pauses: number): boolean {
  return (reason & LASTING) !== 0 && (pauses & LASTING) === 0;
}
