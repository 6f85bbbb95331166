/** What the store has of replays to sessions that are kept there: router/replay-notes.ts. */
import type { ReplayRows } from '../router/replay-notes.js';
import { NO_NUMBER } from '../sessions/kept-session.js';
import type { Session } from '../sessions/session.js';
import type { Journal } from '../store/journal.js';
import type { ReplayRow } from '../store/keys.js';
import type { StoreReader } from '../store/store-reader.js';
import type { OwedFilter } from '../store/stored-replay.js';

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

  put(session: Session, kind: ReplayRow, generation: number, text: string, since: number): void {
    const number = numberOf(session);
    const { journal } = this.#parts;
    if (number !== NO_NUMBER) journal.putReplay(number, kind, generation, text, since);
  }

  remove(session: Session, kind: ReplayRow, generation: number, text: string): void {
    const number = numberOf(session);
    if (number !== NO_NUMBER) this.#parts.journal.removeReplay(number, kind, generation, text);
  }

  end(session: Session, generation: number): void {
    const number = numberOf(session);
    if (number !== NO_NUMBER) this.#parts.journal.endReplay(number, generation);
  }

  owed(session: Session): OwedFilter[] {
    const number = numberOf(session);
    if (number === NO_NUMBER) return [];
    const { reader } = this.#parts;
    reader.renew();
    return reader.owedRetained(number);
  }

  sentSince(session: Session, generation: number, topicKey: string): number {
    const number = numberOf(session);
    if (number === NO_NUMBER) return 0;
    return this.#parts.reader.sentRetained(number, generation, topicKey);
  }
}

/** Where the rows of a session stand; of one on its way here they stand under another number. */
function numberOf({ kept }: Session): number {
  return kept === null || kept.isTail ? NO_NUMBER : kept.queue.number;
}
