/** Connections that are not read from, as what they publish cannot be kept now. */
import { type Connection, Pause } from '../connection/connection.js';

/** One a shard. */
export class HeldPublishers {
  readonly #held = new Set<Connection>();
  /** Those of MQTT 5.0: they are told where that may take long. */
  readonly #held5 = new Set<Connection>();
  /** Others, that go on when there is room in the store again, and not before. */
  readonly #heldForRoom = new Set<Connection>();

  get size(): number {
    return this.#held.size + this.#held5.size + this.#heldForRoom.size;
  }

  /** @param needsRoom it publishes what the store has no room for. */
  add(connection: Connection, needsRoom: boolean): void {
    if ((connection.pauses & Pause.disk) !== 0) return;
    connection.pause(Pause.disk);
    if (connection.protocolVersion === 5) this.#held5.add(connection);
    else if (needsRoom) this.#heldForRoom.add(connection);
    else this.#held.add(connection);
  }

  /** It has ended, and is not kept in memory for as long as the disk is full. */
  forget(connection: Connection): void {
    this.#held.delete(connection);
    this.#held5.delete(connection);
    this.#heldForRoom.delete(connection);
  }

  /** They can be told that what they publish is refused. */
  tell(): void {
    unpause(this.#held5);
  }

  /** What they publish can be kept. @param isFull but for what takes more room in the store. */
  letGo(isFull: boolean): void {
    unpause(this.#held5);
    unpause(this.#held);
    if (!isFull) unpause(this.#heldForRoom);
  }
}

/** They may be held again while they go on. */
function unpause(held: Set<Connection>): void {
  if (held.size === 0) return;
  const connections = [...held];
  held.clear();
  for (const connection of connections) {
    if (!connection.isClosed) connection.unpause(Pause.disk);
  }
}
