/**
 * Histories of the model test: lists of steps that clients take, made from a seed. A history that
 * has lost any of its steps is one too, so it can be shrunk by dropping them.
 */
import { Random } from '../fuzz/random.js';
import type { QoS } from '../support/packets.js';
import type { Version } from './wire.js';

/** What a PUBLISH, a will or `Server.publish` says. Topics are without the run's prefix. */
export interface Publishing {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  /** Zero length: with `retain` it clears. At most one a topic: clears cannot be told apart. */
  readonly isEmpty: boolean;
  /** Bytes of padding behind what tells the message. */
  readonly padding: number;
}

/** A filter of a SUBSCRIBE; what 3.x cannot ask for, it does not. */
export interface SubscribedFilter {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

/** What one client does, or waits for. */
export type Action =
  | {
      readonly do: 'connect';
      readonly clean: boolean;
      readonly will: Publishing | null;
      /** Deliveries are acknowledged at the end only. */
      readonly holdsAcks: boolean;
      readonly version: Version;
    }
  | { readonly do: 'subscribe'; readonly filters: readonly SubscribedFilter[] }
  | { readonly do: 'unsubscribe'; readonly filters: readonly string[] }
  /** Several in one write. */
  | { readonly do: 'publish'; readonly messages: readonly Publishing[] }
  | { readonly do: 'cut' }
  | { readonly do: 'disconnect' }
  | { readonly do: 'ping' }
  /** Until all it has asked for is acknowledged. */
  | { readonly do: 'wait' }
  /** Until all that another client has asked for so far is acknowledged. */
  | { readonly do: 'after'; readonly of: number };

/** One step of a history; `slot` is the client. */
export type Step =
  | (Action & { readonly id: number; readonly slot: number })
  | { readonly do: 'server'; readonly id: number; readonly message: Publishing }
  /** All that can be done so far is written before the event loop goes on. */
  | { readonly do: 'turn'; readonly id: number }
  /** Ends the thread of a shard. */
  | { readonly do: 'kill'; readonly id: number }
  /** Ends the process of the broker and starts it again in its folder. */
  | RestartStep;

/** When the broker ends, and how. */
export interface RestartStep {
  readonly do: 'restart';
  readonly id: number;
  /** SIGKILL, in the middle of whatever it does. */
  readonly isKill: boolean;
  /** How long it works on before, in milliseconds. */
  readonly afterMs: number;
}

/** What the histories of a run are like. */
export interface HistoryOptions {
  /** Whether a shard is killed in the middle. */
  readonly kills: boolean;
  /** Whether messages are large enough for rings of 64 KiB to be full most of the time. */
  readonly fillsRings: boolean;
  /**
   * Whether the broker, a process of its own with a store, is ended and started again in the
   * middle: in shorter histories of fewer clients, as a start takes its time.
   */
  readonly restarts: boolean;
}

const LEVELS = ['a', 'b', 'c'] as const;
const FILL_BYTES_MAX = 12_000;
/** How long the broker may work on before it is ended, in milliseconds. */
const RESTART_AFTER_MS_MAX = 30;

class Generator {
  readonly steps: Step[] = [];
  readonly #random: Random;
  readonly #slots: number;
  readonly #topics: string[] = [];
  readonly #filters: string[] = [];
  /** Topics that have no clear yet. */
  readonly #clearable: Set<string>;
  /** By slot behind those of `#slots`: the group that this client is a member of. */
  readonly #groups: string[] = [];
  /** How many of 10 connections speak 5.0. */
  readonly #speak5: number;
  readonly #weights: { readonly weight: number; readonly make: () => void }[];
  readonly #fillsRings: boolean;
  readonly #restarts: boolean;
  /** How often a message is retained, of 10. */
  readonly #retained: number;

  constructor(seed: number, { fillsRings, restarts }: HistoryOptions) {
    const random = new Random(seed);
    this.#random = random;
    this.#fillsRings = fillsRings;
    this.#restarts = restarts;
    this.#slots = restarts ? 3 + random.below(4) : 10 + random.below(21);
    this.#retained = 1 + random.below(7);
    this.#speak5 = random.below(11);
    const perLevel = 1 + random.below(3);
    const levels = LEVELS.slice(0, 1 + random.below(LEVELS.length));
    for (const level of levels) {
      this.#filters.push(`${level}/+`);
      for (let n = 0; n < perLevel; n++) this.#topics.push(`${level}/${n}`);
    }
    for (let n = 0; n < perLevel; n++) this.#filters.push(`+/${n}`);
    this.#filters.push('#', ...this.#topics, ...this.#topics, ...this.#topics);
    this.#clearable = new Set(this.#topics);
    for (let group = restarts ? 0 : random.below(3); group > 0; group--) {
      const filter = `$share/g${group}/${random.pick(this.#filters)}`;
      for (let member = 1 + random.below(4); member > 0; member--) this.#groups.push(filter);
    }
    const weigh = (base: number, make: () => void) => {
      return { weight: base * (0.3 + random.next() * random.next() * 4), make };
    };
    this.#weights = [
      weigh(30, () => this.#publish(this.#anyone())),
      weigh(8, () => this.#subscribe(this.#anyone())),
      weigh(5, () => this.#unsubscribe(this.#anyone())),
      weigh(3, () => this.#push(this.#anyone(), { do: 'cut' })),
      weigh(4, () => this.#connect(this.#anyone())),
      weigh(2, () => this.#push(this.#anyone(), { do: 'disconnect' })),
      weigh(4, () => this.#push(this.#anyone(), { do: 'ping' })),
      weigh(8, () => this.#push(this.#anyone(), { do: 'wait' })),
      weigh(8, () => this.#push(this.#anyone(), { do: 'after', of: random.below(this.#slots) })),
      weigh(14, () => this.steps.push({ do: 'turn', id: this.steps.length })),
      weigh(restarts ? 0 : 2, () => this.#server()),
      weigh(10, () => this.#relay()),
      weigh(3, () => this.#comeBack(this.#anyone())),
      weigh(3, () => this.#subscribe(this.#anyone(), true)),
      weigh(4, () => this.#member()),
    ];
  }

  #anyone(): number {
    return this.#random.below(this.#slots);
  }

  #push(slot: number, action: Action): void {
    this.steps.push({ ...action, slot, id: this.steps.length });
  }

  #publishing(topic = this.#random.pick(this.#topics)): Publishing {
    const random = this.#random;
    const qos = random.below(3) as QoS;
    const retain = random.below(10) < this.#retained;
    const isEmpty = retain && this.#clearable.has(topic) && random.onceIn(6);
    if (isEmpty) this.#clearable.delete(topic);
    const isLarge = this.#fillsRings ? !random.onceIn(3) : random.onceIn(40);
    const padding = isLarge && !isEmpty ? random.below(FILL_BYTES_MAX) : 0;
    return { topic, qos, retain, isEmpty, padding };
  }

  #publish(slot: number, topic?: string): void {
    const count = this.#random.onceIn(4) ? 1 + this.#random.below(6) : 1;
    const messages: Publishing[] = [];
    for (let n = 0; n < count; n++) messages.push(this.#publishing(topic));
    this.#push(slot, { do: 'publish', messages });
  }

  #server(): void {
    this.steps.push({ do: 'server', id: this.steps.length, message: this.#publishing() });
  }

  #connect(slot: number): void {
    const random = this.#random;
    const will = random.onceIn(3) ? this.#publishing() : null;
    const holdsAcks = random.onceIn(6);
    const clean = random.onceIn(this.#restarts ? 4 : 2);
    this.#push(slot, { do: 'connect', clean, will, holdsAcks, version: this.#version() });
  }

  #version(): Version {
    return this.#random.below(10) < this.#speak5 ? 5 : 4;
  }

  #filter(filter = this.#random.pick(this.#filters)): SubscribedFilter {
    const random = this.#random;
    const qos = random.below(3) as QoS;
    const retainHandling = random.onceIn(3) ? (random.below(3) as 0 | 1 | 2) : 0;
    return { filter, qos, noLocal: random.onceIn(5), retainHandling };
  }

  /** A member of a group comes, goes, or is one no more. */
  #member(): void {
    const random = this.#random;
    if (this.#groups.length === 0) return;
    const at = random.below(this.#groups.length);
    const slot = this.#slots + at;
    const choice = random.below(8);
    if (choice < 3) this.#connectMember(slot);
    else if (choice < 5) this.#push(slot, { do: 'cut' });
    else if (choice < 6) this.#push(slot, { do: 'disconnect' });
    else if (choice < 7) this.#push(slot, { do: 'unsubscribe', filters: [this.#groups[at]] });
    else this.#push(slot, { do: 'wait' });
  }

  #connectMember(slot: number): void {
    const random = this.#random;
    const clean = random.onceIn(3);
    const holdsAcks = random.onceIn(6);
    const version = this.#version();
    this.#push(slot, { do: 'connect', clean, will: null, holdsAcks, version });
    const filter = this.#groups[slot - this.#slots];
    const filters = [{ filter, qos: 2, noLocal: false, retainHandling: 0 } as const];
    this.#push(slot, { do: 'subscribe', filters });
  }

  /** @param isNew takes a filter off first, so that the SUBSCRIBE is the first of its shard. */
  #subscribe(slot: number, isNew = false): void {
    const random = this.#random;
    const filters: SubscribedFilter[] = [];
    for (let count = random.onceIn(3) ? 3 : 1; count > 0; count--) {
      filters.push(this.#filter());
    }
    if (isNew) {
      this.#push(slot, { do: 'unsubscribe', filters: filters.map(({ filter }) => filter) });
      if (random.onceIn(2)) this.#push(slot, { do: 'wait' });
    }
    this.#push(slot, { do: 'subscribe', filters });
  }

  #unsubscribe(slot: number): void {
    const filters = [this.#random.pick(this.#filters)];
    if (this.#random.onceIn(3)) filters.push(this.#random.pick(this.#filters));
    this.#push(slot, { do: 'unsubscribe', filters });
  }

  /** One client does something as soon as another's publication is acknowledged. */
  #relay(): void {
    const random = this.#random;
    const topic = random.pick(this.#topics);
    const first = this.#anyone();
    const second = this.#anyone();
    this.#publish(first, topic);
    if (random.onceIn(3)) this.#push(first, { do: 'ping' });
    this.#push(second, { do: 'after', of: first });
    const choice = random.below(6);
    if (choice < 3) this.#publish(second, topic);
    else if (choice < 4)
      this.#push(second, { do: 'subscribe', filters: [{ ...this.#filter(topic), qos: 2 }] });
    else if (choice < 5) this.#push(second, { do: 'unsubscribe', filters: [topic] });
    else this.#comeBack(second);
  }

  /** A device that says "offline" by its will comes back and says "online". */
  #comeBack(slot: number): void {
    const random = this.#random;
    const will = this.#publishing();
    const clean = random.onceIn(2);
    const version = this.#version();
    this.#push(slot, { do: 'connect', clean, will, holdsAcks: false, version });
    this.#publish(slot, will.topic);
    if (random.onceIn(3)) this.#push(slot, { do: 'cut' });
    const again = { ...will, isEmpty: false };
    const holdsAcks = random.onceIn(8);
    this.#push(slot, { do: 'connect', clean, will: again, holdsAcks, version: this.#version() });
    if (random.onceIn(2)) this.#push(slot, { do: 'wait' });
    this.#publish(slot, will.topic);
  }

  /** Ends the broker at some places of the history. */
  #restartAtPlaces(): void {
    const random = this.#random;
    for (let count = 1 + random.below(2); count > 0; count--) {
      const afterMs = random.onceIn(2) ? 0 : random.below(RESTART_AFTER_MS_MAX);
      const isKill = random.below(3) > 0;
      const step = { do: 'restart', id: this.steps.length, isKill, afterMs } as const;
      // Behind those with which everybody comes; ids are by the order of making.
      const at = this.#slots + random.below(this.steps.length - this.#slots);
      this.steps.splice(at, 0, step);
    }
  }

  make({ kills, restarts }: HistoryOptions): Step[] {
    const random = this.#random;
    for (let slot = 0; slot < this.#slots; slot++) {
      this.#connect(slot);
      if (random.below(3) > 0) this.#subscribe(slot);
    }
    this.#groups.forEach((_, at) => {
      this.#connectMember(this.#slots + at);
    });
    const count = restarts ? 40 + random.below(120) : 100 + random.below(400);
    const killAt = kills ? this.steps.length + random.below(count) : -1;
    const total = this.#weights.reduce((sum, { weight }) => sum + weight, 0);
    let isKilled = !kills;
    while (this.steps.length < count) {
      if (!isKilled && this.steps.length >= killAt) {
        isKilled = true;
        this.steps.push({ do: 'kill', id: this.steps.length });
      }
      let at = random.next() * total;
      for (const { weight, make } of this.#weights) {
        at -= weight;
        if (at >= 0) continue;
        make();
        break;
      }
    }
    if (restarts) this.#restartAtPlaces();
    return this.steps;
  }
}

/** The history of a seed: the same each time. */
export function makeHistory(seed: number, options: HistoryOptions): Step[] {
  return new Generator(seed, options).make(options);
}

/** What tells a message: the step it is from, and its place there. */
export function messageName(step: number, at: number): string {
  return at === 0 ? `m${step}` : `m${step}.${at}`;
}

function textOfMessage(message: Publishing, name: string): string {
  const { topic, qos, retain, isEmpty, padding } = message;
  const size = padding > 0 ? `, ${padding} bytes` : '';
  const flags = `${retain ? ' retained' : ''}${isEmpty ? ' EMPTY' : ''}`;
  return `${topic} QoS ${qos}${flags} "${name}"${size}`;
}

/** A filter with its options, to read. */
export function textOfFilter(wanted: SubscribedFilter): string {
  const { filter, qos, noLocal, retainHandling } = wanted;
  const options = `${noLocal ? ' no local' : ''}${retainHandling ? ` RH ${retainHandling}` : ''}`;
  return `${filter} QoS ${qos}${options}`;
}

function textOfAction(step: Action & { readonly id: number }): string {
  switch (step.do) {
    case 'connect': {
      const will = step.will === null ? '' : `, will ${textOfMessage(step.will, `w${step.id}`)}`;
      const acks = step.holdsAcks ? ', acknowledges nothing' : '';
      const version = step.version === 5 ? ' 5.0' : '';
      return `CONNECT${version} ${step.clean ? 'clean' : 'not clean'}${will}${acks}`;
    }
    case 'subscribe':
      return `SUBSCRIBE ${step.filters.map(textOfFilter).join(', ')}`;
    case 'unsubscribe':
      return `UNSUBSCRIBE ${step.filters.join(', ')}`;
    case 'publish':
      return `PUBLISH ${step.messages
        .map((message, at) => textOfMessage(message, messageName(step.id, at)))
        .join(', ')}`;
    case 'cut':
      return 'cuts the connection';
    case 'disconnect':
      return 'DISCONNECT';
    case 'ping':
      return 'PINGREQ';
    case 'wait':
      return 'waits for its acks';
    case 'after':
      return `waits for the acks of c${step.of}`;
  }
}

/** A step as a line to read. */
export function textOfStep(step: Step): string {
  if (step.do === 'server') return `Server.publish ${textOfMessage(step.message, `m${step.id}`)}`;
  if (step.do === 'turn') return 'the event loop goes on';
  if (step.do === 'kill') return 'a shard is killed';
  if (step.do === 'restart') {
    return `the broker is ${step.isKill ? 'killed' : 'ended'} after ${step.afterMs} ms`;
  }
  return `c${step.slot} ${textOfAction(step)}`;
}
