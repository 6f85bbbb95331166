/** Keeps what is observed of one run of a history, and wakes who waits for something of it. */
import { Changes } from '../support/waiting.js';
import type { Publishing } from './history.js';
import {
  type ConnectionRecord,
  type Death,
  type Delivery,
  type EventLine,
  type Fault,
  type FreshView,
  NEVER,
  type Publication,
  type Request,
  type Restart,
  type RunRecord,
  type SessionRecord,
} from './record.js';
import type { Version } from './wire.js';

type Origin = Pick<
  Publication,
  'kind' | 'slot' | 'place' | 'connection' | 'isOf5' | 'wallBegin' | 'begin' | 'request'
>;

/** One a run. Each run has topics and client ids of its own, so that the broker can stay up. */
export class Recorder implements RunRecord {
  readonly prefix: string;
  readonly topics: ReadonlySet<string>;
  readonly connections: ConnectionRecord[] = [];
  readonly sessions: SessionRecord[] = [];
  readonly publications: Publication[] = [];
  readonly fresh: FreshView[] = [];
  readonly deaths: Death[] = [];
  readonly restarts: Restart[] = [];
  readonly lines: EventLine[] = [];
  readonly hangs: string[] = [];
  /** What is wrong at once, whatever else was observed. */
  readonly faults: Fault[] = [];
  readonly changes = new Changes();
  /** Sentinels received: "receiver sender". */
  readonly sentinels = new Set<string>();
  readonly #byName = new Map<string, Publication>();
  readonly #clears = new Map<string, Publication>();
  #now = 0;
  /** Called at every change. */
  onChange: () => void = () => {};

  /** @param prefix nobody else's. @param topics those of the history. */
  constructor(prefix: string, topics: ReadonlySet<string>) {
    this.prefix = prefix;
    this.topics = topics;
  }

  /** The topic or filter of a history as this run has it. */
  topicOf(topic: string): string {
    const parts = /^(\$share\/[^/]+)\/(.*)$/.exec(topic);
    if (parts !== null) return `${parts[1]}/${this.prefix}/${parts[2]}`;
    return `${this.prefix}/${topic}`;
  }

  /** The topic on which clients tell each other that all is said. */
  get sentinelTopic(): string {
    return `end-${this.prefix}`;
  }

  clientId(slot: number): string {
    return `${this.prefix}-c${slot}`;
  }

  /** A moment passes. @returns its time. */
  note(text: string): number {
    this.#now++;
    this.lines.push({ at: this.#now, text });
    return this.#now;
  }

  fault(rule: string, text: string): void {
    this.faults.push({ rule, text });
  }

  /** The broker is ending, or has ended. */
  get isRestarting(): boolean {
    return this.restarts.at(-1)?.end === NEVER;
  }

  /** The publication's client sends it again. */
  resent(publication: Publication, request: Request, place: number): void {
    const before = Math.max(publication.begin, publication.resentAt);
    const isKilled = this.restarts.some(({ isKill, end }) => isKill && end > before);
    publication.request = request;
    publication.lastPlace = place;
    publication.resentAt = request.begin;
    publication.isResentOverKill ||= isKilled;
  }

  /** Something has come, or has ended. */
  changed(): void {
    this.onChange();
    this.changes.notify();
  }

  session(slot: number, isClean: boolean): SessionRecord {
    const session: SessionRecord = {
      slot,
      isClean,
      connections: [],
      deliveries: [],
      held: new Map(),
      granted: new Map(),
      changes: new Map(),
      endBegin: NEVER,
      endEnd: NEVER,
    };
    this.sessions.push(session);
    return session;
  }

  connection(
    slot: number,
    session: SessionRecord,
    begin: number,
    expectsSession: boolean,
    version: Version,
  ): ConnectionRecord {
    const connection: ConnectionRecord = {
      slot,
      version,
      index: this.connections.length,
      session,
      begin,
      accepted: NEVER,
      ended: NEVER,
      endedBy: null,
      requests: [],
      overtaken: [],
      sessionPresent: false,
      expectsSession,
    };
    this.connections.push(connection);
    session.connections.push(connection);
    return connection;
  }

  publication(message: Publishing, name: string, origin: Origin): Publication {
    const { topic, qos, retain, isEmpty } = message;
    const publication: Publication = {
      ...{ name, topic, qos, retain, isEmpty },
      ...origin,
      end: NEVER,
      endBySeen: NEVER,
      seen: NEVER,
      isCertain: false,
      mayBeUndone: false,
      lastPlace: origin.place,
      resentAt: 0,
      isResentOverKill: false,
    };
    this.publications.push(publication);
    if (isEmpty) this.#clears.set(topic, publication);
    else this.#byName.set(name, publication);
    return publication;
  }

  /** A PUBLISH has come. */
  delivery(received: Omit<Delivery, 'at' | 'publication' | 'wallAt'>): void {
    const { session, payload, qos, retain, dup } = received;
    if (received.topic === this.sentinelTopic) {
      this.sentinels.add(`${session.slot} ${payload}`);
      return;
    }
    const topic = received.topic.slice(this.prefix.length + 1);
    const publication = this.#published(topic, payload) ?? null;
    const flags = `${retain ? ' RETAIN' : ''}${dup ? ' DUP' : ''}`;
    const at = this.note(`c${session.slot} <- PUBLISH ${topic} QoS ${qos}${flags} "${payload}"`);
    if (publication === null) {
      this.fault('nothingIsMadeUp', `c${session.slot} got "${payload}" on ${received.topic}`);
      return;
    }
    if (publication.seen === NEVER) publication.seen = at;
    session.deliveries.push({ ...received, topic, publication, at, wallAt: performance.now() });
  }

  #published(topic: string, payload: string): Publication | undefined {
    const found = payload === '' ? this.#clears.get(topic) : this.#byName.get(payload);
    return found?.topic === topic ? found : undefined;
  }

  onSuback(connection: ConnectionRecord, request: Request, codes: readonly number[]): void {
    const wanted = connection.session.granted.get(request) ?? [];
    if (wanted.join() === codes.join()) return;
    this.fault('subackGrantsWhatWasAsked', `c${connection.slot}: ${codes} for ${wanted}`);
  }

  /** The session was lost with a shard: the connection that finds it so begins a new one. */
  loseSession(connection: ConnectionRecord): void {
    const lost = connection.session;
    const session = this.session(connection.slot, false);
    const begin = this.deaths[0]?.begin ?? 0;
    lost.endBegin = Math.min(lost.endBegin, begin);
    lost.endEnd = Math.min(lost.endEnd, connection.accepted);
    lost.connections.splice(lost.connections.indexOf(connection), 1);
    session.connections.push(connection);
    for (const [filter, list] of lost.changes) {
      const moved = list.filter(({ request }) => request.connection === connection);
      if (moved.length > 0) session.changes.set(filter, moved);
      lost.changes.set(
        filter,
        list.filter((change) => !moved.includes(change)),
      );
    }
    for (const [request, qos] of lost.granted) session.granted.set(request, qos);
    connection.session = session;
  }
}
