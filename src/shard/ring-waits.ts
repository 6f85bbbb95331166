/**
 * Connections that wait for room in the ring. They are not read from, and answered only when what
 * they have sent is on it: what is acknowledged is on its way to all shards, whatever happens here.
 * A reader that makes room ends the wait, or its death (`PeerLink.dropPeer`).
 */
import { type Connection, Pause } from '../connection/connection.js';
import type { OwedReply } from '../connection/reply-queue.js';
import type { PeerLink } from '../router/peer-link.js';

/** Replies of a connection that wait until so much is on the ring. */
interface WaitingReplies {
  readonly connection: Connection;
  readonly owed: OwedReply;
  readonly place: number;
}

const NOTHING = Buffer.alloc(0);

/** One a shard. */
export class RingWaits {
  readonly #link: PeerLink;
  #paused: Connection[] = [];
  /** In the order of their places. */
  readonly #replies: WaitingReplies[] = [];

  constructor(link: PeerLink) {
    this.#link = link;
  }

  /**
   * The connection feeds the ring, which is full: to be called before what it has sent is answered.
   */
  wait(connection: Connection): void {
    const link = this.#link;
    if (link.backlogBytes > 0) {
      this.#replies.push({ connection, owed: connection.owe(), place: link.sentPlace });
    }
    if ((connection.pauses & Pause.ringFull) !== 0) return;
    connection.pause(Pause.ringFull);
    this.#paused.push(connection);
  }

  /** Behind a flush: answers those who have waited for what is on the ring now. */
  answer(): void {
    const link = this.#link;
    const replies = this.#replies;
    let answered = 0;
    while (answered < replies.length && link.isOnRing(replies[answered]!.place)) answered++;
    if (answered === 0) return;
    for (const { connection, owed } of replies.splice(0, answered)) {
      connection.answer(owed, NOTHING, () => {});
    }
  }

  /** Behind a flush, and what has to go before clients: reads on if the ring has room. */
  goOn(): void {
    if (this.#paused.length === 0 || this.#link.isFull) return;
    const paused = this.#paused;
    this.#paused = [];
    for (const connection of paused) {
      if (!connection.isClosed) connection.unpause(Pause.ringFull);
    }
  }
}
