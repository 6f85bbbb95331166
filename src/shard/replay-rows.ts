/** What the store has of replays to sessions that are kept there: router/replay-notes.ts. */
import type { ReplayRows } from '../router/replay-notes.js';
import { NO_NUMBER } from '../sessions/kept-session.js';
import type { Session } from '../sessions/session.js';
import type { Journal } from '../store/journal.js';
import type { ReplayRow } from '../store/keys.js';
import type { StoredReplay } from '../store/replay-changes.js';
import type { StoreReader } from '../store/store-reader.js';

/** What they work with. */
export interface StoredReplaysParts {
  readonly journal: Pick<Journal, 'putReplay' | 'removeReplay' | 'endReplay'>;
  readonly reader: Pick<StoreReader, 'renew' | 'owedRetained' | 'sentRetained'>;
}

/** One a shard that has a store. */
export class StoredReplays implements ReplayRows {
  readonly #parts: StoredReplaysParts;

  constructor(parts: StoredReplaysParts) {
    this.#parts = parts;
  }

  put(session: Session, kind: ReplayRow, text: string, since: number): void {
    const number = numberOf(session);
    if (number !== NO_NUMBER) this.#parts.journal.putReplay(number, kind, text, since);
  }

  remove(session: Session, kind: ReplayRow, text: string): void {
    const number = numberOf(session);
    if (number !== NO_NUMBER) this.#parts.journal.removeReplay(number, kind, text);
  }

  end(session: Session): void {
    const number = numberOf(session);
    if (number !== NO_NUMBER) this.#parts.journal.endReplay(number);
  }

  owed(session: Session): StoredReplay[] {
    const number = numberOf(session);
    if (number === NO_NUMBER) return [];
    const { reader } = this.#parts;
    reader.renew();
    return reader.owedRetained(number);
  }

  sentSince(session: Session, topicKey: string): number {
    const number = numberOf(session);
    return number === NO_NUMBER ? 0 : this.#parts.reader.sentRetained(number, topicKey);
  }
}

/** Where the rows of a session stand; of one on its way here they stand under another number. */
function numberOf({ kept }: Session): number {
  return kept === null || kept.isTail ? NO_NUMBER : kept.queue.number;
}
