/** Walks through all that a store has, and says what is wrong with it. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import type { TableName } from './environment.js';
import {
  BitKind,
  BLOCK_BITS,
  kindsStart,
  owedKey,
  positionOf,
  ReplayRow,
  retainedKey,
  runKey,
  runNumberOf,
  SESSION_BYTES,
  sentKey,
  sessionKey,
  sessionOf,
  subscriptionKey,
} from './keys.js';
import { PENDING_HEAD_BYTES } from './pending-runs.js';
import type { StoreSnapshot } from './store-snapshot.js';
import { readEntryRow, runInRow } from './stored-entry.js';
import { readOwed, readSent } from './stored-replay.js';
import { readRetained } from './stored-retained.js';
import { readRun } from './stored-run.js';
import { readSession } from './stored-session.js';

/** How much of each there is. */
export interface StoreCounts {
  sessions: number;
  subscriptions: number;
  /** Messages that wait, each as often as sessions have it. */
  messages: number;
  /** Rows of queues. */
  entries: number;
  /** Runs that several entries share. */
  runs: number;
  retained: number;
  /** Runs on their way from shard to shard. */
  pending: number;
}

const BLOCK_BYTES = BLOCK_BITS / 8;
/** Of a row of a replay: where the filter stands in its key, and the topic. */
const OWED_TEXT_AT: number = 1 + SESSION_BYTES;
const SENT_TEXT_AT: number = OWED_TEXT_AT + Uint32Array.BYTES_PER_ELEMENT;
const BIT_KINDS: readonly number[] = Object.values(BitKind);

/** @param onFault is called with a line for everything that is wrong. */
export function checkStore(snapshot: StoreSnapshot, onFault: (fault: string) => void): StoreCounts {
  return new Check(snapshot, onFault).all();
}

class Check {
  readonly #snapshot: StoreSnapshot;
  readonly #onFault: (fault: string) => void;
  readonly #counts: StoreCounts = {
    sessions: 0,
    subscriptions: 0,
    messages: 0,
    entries: 0,
    runs: 0,
    retained: 0,
    pending: 0,
  };
  /** Client ids by session. */
  readonly #sessions = new Map<number, string>();
  /** Sessions that have ended, and whose entries are on their way out. */
  readonly #doomed = new Set<number>();
  /** Replays, and sessions, whose topics are on their way out: their keys behind the first byte. */
  readonly #ended = new Set<string>();
  /** Entries by the number of their run. */
  readonly #holders = new Map<number, number>();

  constructor(snapshot: StoreSnapshot, onFault: (fault: string) => void) {
    this.#snapshot = snapshot;
    this.#onFault = onFault;
    for (const { key } of snapshot.rows('doomed')) this.#doomed.add(sessionOf(key));
    const [start, end] = [kindsStart(ReplayRow.ended), kindsStart(ReplayRow.ended + 1)];
    for (const { key } of snapshot.rows('replays', start, end)) {
      this.#ended.add(key.toString('latin1', 1));
    }
  }

  all(): StoreCounts {
    this.#walk('sessions', (key, value) => {
      const { number, clientId } = readSession(value);
      if (!sessionKey(clientId).equals(key)) return `"${clientId}" stands at another's place`;
      const other = this.#sessions.get(number);
      if (other !== undefined) return `"${clientId}" and "${other}" have one number, ${number}`;
      this.#sessions.set(number, clientId);
      this.#counts.sessions++;
      return undefined;
    });
    this.#walk('subscriptions', (key, value) => {
      const session = sessionOf(key);
      const filterKey = value.toString('latin1', Uint32Array.BYTES_PER_ELEMENT);
      if (value.length < Uint32Array.BYTES_PER_ELEMENT) return 'a row is cut off';
      if (!subscriptionKey(session, filterKey).equals(key)) return 'a filter is at a wrong place';
      this.#counts.subscriptions++;
      return this.#faultOfSession(session);
    });
    this.#checkQueues();
    this.#checkRuns();
    this.#walk('bits', (key, value) => {
      if (!BIT_KINDS.includes(key[0])) return `bits of an unknown kind, ${key[0]}`;
      if (value.length !== BLOCK_BYTES) return 'bits are cut off';
      return this.#faultOfSession(sessionOf(key, 1));
    });
    this.#walk('replays', (key, value) => this.#faultOfReplay(key, value));
    this.#walk('retained', (key, value) => {
      const { topicKey } = readRetained(value);
      const isInPlace = key.toString('latin1') === retainedKey(topicKey);
      if (!isInPlace) return `"${topicKey}" stands at another's place`;
      this.#counts.retained++;
      return undefined;
    });
    this.#walk('pending', (_key, value) => {
      this.#counts.pending++;
      return faultOfRun(readRun(value.subarray(PENDING_HEAD_BYTES)));
    });
    return this.#counts;
  }

  #faultOfReplay(key: Buffer, value: Buffer): string | undefined {
    const session = sessionOf(key, 1);
    const [kind] = key;
    // Of a session that has ended they may be the last to go.
    if (kind === ReplayRow.ended) return undefined;
    const start = kind === ReplayRow.topic ? key.subarray(0, SENT_TEXT_AT) : null;
    if (start !== null && this.#ended.has(start.toString('latin1', 1))) return undefined;
    if (start !== null && this.#ended.has(start.toString('latin1', 1, OWED_TEXT_AT)))
      return undefined;
    if (kind === ReplayRow.filter) {
      const isAt = owedKey(session, readOwed(value).filterKey).equals(key);
      return isAt ? this.#faultOfSession(session) : 'a filter that is owed is at a wrong place';
    }
    if (start === null) return `a row of an unknown kind, ${kind}`;
    const generation = start.readUInt32BE(OWED_TEXT_AT);
    const isAt = sentKey(session, generation, readSent(value).topicKey).equals(key);
    return isAt ? this.#faultOfSession(session) : 'a topic that was sent is at a wrong place';
  }

  #checkQueues(): void {
    let last = -1;
    let end = 0;
    this.#walk('queue', (key, value) => {
      const session = sessionOf(key);
      const position = positionOf(key);
      if (session !== last) end = 0;
      last = session;
      const row = readEntryRow(value);
      const overlap =
        position < end ? 'an entry begins before the one ahead of it ends' : undefined;
      end = position + row.count;
      this.#counts.entries++;
      this.#counts.messages += row.count;
      const { runNumber } = row;
      if (runNumber >= 0) this.#holders.set(runNumber, (this.#holders.get(runNumber) ?? 0) + 1);
      const run = runNumber < 0 ? runInRow(value, row) : this.#run(runNumber);
      const fault = run === undefined ? `message ${runNumber} is missing` : faultOfRun(run);
      return overlap ?? fault ?? this.#faultOfSession(session);
    });
  }

  #run(number: number): Run | undefined {
    const stored = this.#snapshot.get('runs', runKey(number));
    return stored === undefined ? undefined : readRun(stored);
  }

  #checkRuns(): void {
    this.#walk('runs', (key, value) => {
      const number = runNumberOf(key);
      this.#counts.runs++;
      if (this.#snapshot.get('holders', key) === undefined) return `message ${number} has no count`;
      return faultOfRun(readRun(value));
    });
    this.#walk('holders', (key, value) => {
      const number = runNumberOf(key);
      const [said, found] = [value.readUInt32LE(0), this.#holders.get(number) ?? 0];
      if (said === found) return undefined;
      return `message ${number} is said to be in ${said} queues, and is in ${found}`;
    });
  }

  /** @param faultOf says what is wrong with a row, or throws where it cannot be read. */
  #walk(name: TableName, faultOf: (key: Buffer, value: Buffer) => string | undefined): void {
    for (const { key, value } of this.#snapshot.rows(name)) {
      let fault: string | undefined;
      try {
        fault = faultOf(key, value);
      } catch (error) {
        fault = `a row cannot be read: ${(error as Error).message}`;
      }
      if (fault !== undefined) this.#onFault(`${name}: ${fault} (row ${key.toString('hex')})`);
    }
  }

  #faultOfSession(session: number): string | undefined {
    const isThere = this.#sessions.has(session) || this.#doomed.has(session);
    return isThere ? undefined : `there is no session ${session}`;
  }
}

/** Why these are not as many frames as there should be; undefined: they are. */
function faultOfRun({ bytes, count }: Run): string | undefined {
  let frames = 0;
  let at = 0;
  for (; at < bytes.length && frames <= count; frames++) at = frameEnd(bytes, at);
  if (at === bytes.length && frames === count) return undefined;
  return `${count} messages are not as long as they say`;
}
