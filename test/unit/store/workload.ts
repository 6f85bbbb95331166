/**
 * What a shard might say to its journal, by a seed, and what must then be found: the same steps
 * come again however often they are made.
 */
import type { Run } from '../../../src/protocol/run.js';
import type { Journal } from '../../../src/store/journal.js';
import { ReplayRow } from '../../../src/store/keys.js';
import type { StoreReader } from '../../../src/store/store-reader.js';
import { Random } from '../../fuzz/random.js';
import { retainedIn, runOf } from './temporary-store.js';

const SESSIONS = 5;
/** How topics begin that only make the file grow. */
export const GROWTH = 'growth';
/** More than any session gets to. */
const POSITIONS = 20_000;
const FILTERS = ['a', 'b/+', '#', 'long/'.repeat(500)];

interface QueuedMessages {
  readonly position: number;
  readonly count: number;
  readonly payload: string;
}

interface ModelSession {
  readonly number: number;
  readonly clientId: string;
  head: object;
  next: number;
  readonly subscriptions: Map<string, number>;
  queue: QueuedMessages[];
  readonly incoming: Set<number>;
  readonly received: Set<number>;
  /** Of its replay. */
  generation: number;
  /** By ReplayRow: the SUBSCRIBE of each filter or topic. */
  readonly replays: readonly [Map<string, number>, Map<string, number>];
}

/** As `contentOf` finds it. */
export interface Content {
  readonly sessions: Record<string, unknown>;
  readonly retained: Record<string, string>;
}

/** Of one journal. */
export class Workload {
  readonly #random: Random;
  readonly #index: number;
  readonly #sessions = new Map<string, ModelSession>();
  readonly #retained = new Map<string, string>();
  #sessionsMade = 0;
  #run: Run = runOf('first', 3);
  /** Made so far. */
  steps = 0;

  /** @param index of the journal: what different ones change does not overlap. */
  constructor(seed: number, index: number) {
    this.#random = new Random(seed * 2 + index);
    this.#index = index;
  }

  /** One more change or some. @param journal null: only this model takes note. */
  step(journal: Journal | null): void {
    this.steps++;
    const session = this.#session(journal);
    const random = this.#random;
    switch (random.below(11)) {
      case 0:
      case 1:
      case 2:
        this.#queue(journal, session);
        break;
      case 3:
        this.#leave(journal, session);
        break;
      case 4: {
        const id = 1 + random.below(2_000);
        session.incoming.add(id);
        journal?.incoming(session.number, id);
        break;
      }
      case 5:
        for (const id of [...session.incoming].slice(0, 1 + random.below(3))) {
          session.incoming.delete(id);
          journal?.released(session.number, id);
        }
        break;
      case 6:
        this.#subscribe(journal, session);
        break;
      case 7:
        this.#receive(journal, session);
        break;
      case 8:
        this.#remove(journal, session);
        break;
      case 9:
        this.#replay(journal, session);
        break;
      default:
        this.#retain(journal);
    }
    // What else is found was made by this many steps.
    const progress = `1 ${this.steps}`;
    this.#retained.set(`progress/${this.#index}`, progress);
    journal?.retain(`progress/${this.#index}`, progress);
  }

  /** What is to be found of this journal. */
  content(): Content {
    const sessions: Record<string, unknown> = {};
    for (const session of this.#sessions.values()) {
      sessions[session.clientId] = {
        number: session.number,
        head: session.head,
        subscriptions: Object.fromEntries([...session.subscriptions].sort()),
        queue: session.queue,
        incoming: [...session.incoming].sort((a, b) => a - b),
        received: [...session.received].sort((a, b) => a - b),
        owed: Object.fromEntries([...session.replays[ReplayRow.filter]].sort()),
        sent: FILTERS.map((topic) => session.replays[ReplayRow.topic].get(topic) ?? 0),
      };
    }
    return { sessions, retained: Object.fromEntries([...this.#retained].sort()) };
  }

  #session(journal: Journal | null): ModelSession {
    const clientId = `client ${this.#random.below(SESSIONS)} of ${this.#index}`;
    let session = this.#sessions.get(clientId);
    if (session !== undefined && this.#random.onceIn(20)) {
      this.#sessions.delete(clientId);
      journal?.dropSession(session.number, clientId);
      session = undefined;
    }
    if (session === undefined) {
      session = {
        number: this.#index + 32 * this.#sessionsMade++,
        clientId,
        head: { made: this.steps },
        next: this.#random.below(1_000),
        subscriptions: new Map(),
        queue: [],
        incoming: new Set(),
        received: new Set(),
        generation: 0,
        replays: [new Map(), new Map()],
      };
      this.#sessions.set(clientId, session);
      journal?.putSession(session.number, clientId, session.head);
    }
    return session;
  }

  #queue(journal: Journal | null, session: ModelSession): void {
    const random = this.#random;
    if (random.onceIn(3)) {
      const payload = 'p'.repeat(random.onceIn(10) ? random.below(20_000) : random.below(100));
      this.#run = runOf(`${payload} of ${this.steps}`, 1 + random.below(4));
    }
    const length = this.#run.bytes.length / this.#run.count;
    const holders = random.onceIn(2) ? [session] : [...this.#sessions.values()];
    for (const holder of holders) {
      const count = 1 + random.below(this.#run.count);
      const bytes = length * count;
      const payload = summaryOf(this.#run.bytes.subarray(0, bytes));
      holder.queue.push({ position: holder.next, count, payload });
      journal?.queue(holder.number, holder.next, this.#run, bytes, 0x32, count, [7], 'g');
      holder.next += count;
    }
  }

  #leave(journal: Journal | null, session: ModelSession): void {
    const entry = session.queue[this.#random.below(session.queue.length + 1)];
    const position = entry?.position ?? session.next;
    session.queue = session.queue.filter((each) => each.position >= position);
    for (const each of session.received) if (each < position) session.received.delete(each);
    journal?.left(session.number, position);
  }

  #remove(journal: Journal | null, session: ModelSession): void {
    const at = this.#random.below(session.queue.length + 1);
    const [entry] = session.queue.splice(at, 1);
    if (entry === undefined) return;
    for (let n = 0; n < entry.count; n++) session.received.delete(entry.position + n);
    journal?.gone(session.number, entry.position);
  }

  #subscribe(journal: Journal | null, session: ModelSession): void {
    const filter = FILTERS[this.#random.below(FILTERS.length)];
    if (this.#random.onceIn(3)) {
      session.subscriptions.delete(filter);
      journal?.removeSubscription(session.number, filter);
    } else {
      session.subscriptions.set(filter, this.steps);
      journal?.putSubscription(session.number, filter, this.steps);
    }
  }

  #replay(journal: Journal | null, session: ModelSession): void {
    const random = this.#random;
    const kind = random.onceIn(2) ? ReplayRow.filter : ReplayRow.topic;
    const rows = session.replays[kind];
    const text = FILTERS[random.below(FILTERS.length)];
    if (random.onceIn(8)) {
      for (const each of session.replays) each.clear();
      journal?.endReplay(session.number, session.generation);
      session.generation = 1 - session.generation;
    } else if (random.onceIn(3)) {
      rows.delete(text);
      journal?.removeReplay(session.number, kind, session.generation, text);
    } else {
      rows.set(text, this.steps);
      journal?.putReplay(session.number, kind, session.generation, text, this.steps);
    }
  }

  #receive(journal: Journal | null, session: ModelSession): void {
    const entry = session.queue[this.#random.below(session.queue.length + 1)];
    if (entry === undefined) return;
    for (let n = 0; n < entry.count; n++) session.received.add(entry.position + n);
    journal?.received(session.number, entry.position, entry.count);
  }

  #retain(journal: Journal | null): void {
    const topic = `topic ${this.#random.below(10)} of ${this.#index}`;
    if (this.#random.onceIn(3)) {
      this.#retained.delete(topic);
      journal?.retain(topic, null);
    } else {
      this.#retained.set(topic, `1 ${this.steps}`);
      journal?.retain(topic, `1 ${this.steps}`);
    }
  }
}

/** Enough of some bytes to tell them from others. */
function summaryOf(bytes: Buffer): string {
  return `${bytes.length} bytes: ${bytes.toString('latin1', bytes.length - 30)}`;
}

/** All that the store has. */
export function contentOf(reader: StoreReader): Content {
  reader.renew();
  const sessions: Record<string, unknown> = {};
  for (const { number, clientId, head } of reader.sessions(() => true)) {
    const received = [...reader.received(number, 0, POSITIONS).entries()];
    sessions[clientId] = {
      number,
      head,
      subscriptions: Object.fromEntries(
        reader.subscriptions(number).map(({ filterKey, grant }) => [filterKey, grant]),
      ),
      queue: reader
        .entries(number, 0, Number.MAX_SAFE_INTEGER)
        .map(({ position, count, run }) => ({ position, count, payload: summaryOf(run.bytes) })),
      incoming: reader.incoming(number),
      received: received.filter(([, is]) => is === 1).map(([at]) => at),
      owed: Object.fromEntries(
        reader.owedRetained(number).map(({ filterKey, since }) => [filterKey, since]),
      ),
      sent: FILTERS.map((topic) => sentOf(reader, number, topic)),
    };
  }
  const retained: Record<string, string> = {};
  const isWanted = (topicKey: string) => !topicKey.startsWith(GROWTH);
  for (const { topicKey, message } of retainedIn(reader, isWanted)) retained[topicKey] = message;
  return { sessions, retained };
}

/** The SUBSCRIBE that a topic was sent for; 0: none. */
function sentOf(reader: StoreReader, number: number, topic: string): number {
  return Math.max(...[0, 1].map((generation) => reader.sentRetained(number, generation, topic)));
}

/** How many steps of a workload are in what was found. */
export function progressOf({ retained }: Content, index: number): number {
  return Number(retained[`progress/${index}`]?.slice(2) ?? 0);
}

/** What is to be found when each workload has made so many steps. */
export function contentAfter(seed: number, steps: readonly number[]): Content {
  const parts = steps.map((count, index) => {
    const workload = new Workload(seed, index);
    while (workload.steps < count) workload.step(null);
    return workload.content();
  });
  return {
    sessions: Object.assign({}, ...parts.map((part) => part.sessions)) as Content['sessions'],
    retained: Object.assign({}, ...parts.map((part) => part.retained)) as Content['retained'],
  };
}
