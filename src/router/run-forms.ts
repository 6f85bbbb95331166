/**
 * The forms of the run that is being delivered, beside its own: 3.x or 5.0, with the aliases and
 * Subscription Identifiers of its receivers. Each is laid out once, for all that take it.
 */
import { PUBLISH, QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import type { PublishForm } from '../protocol/v5/index.js';
import { growthMax, payloadOffsetOf, prepareForm } from '../sessions/delivery-form.js';
import { framesEnd } from '../sessions/run-queue.js';
import type { Session } from '../sessions/session.js';
import type { TurnArena } from './turn-arena.js';

/** Forms that are remembered of one run: more differ in what is each receiver's own. */
const LAYOUTS_MAX = 8;
const NO_IDENTIFIERS: readonly number[] = [];

/** The run that is being delivered. One is filled again and again. */
export class DeliveredRun {
  topicKey = '';
  buffer: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  header = 0;
  count = 0;
  propertyBytes = 0;
  expiresAt = 0;

  get topicLength(): number {
    return this.topicKey.length;
  }

  get bytes(): number {
    return this.end - this.start;
  }
}

/** Where in the arena the run lies in a form. */
interface Layout {
  version: number;
  /** First byte of its frames. */
  header: number;
  topicAlias: number;
  isTopicOmitted: boolean;
  identifiers: readonly number[];
  at: number;
  end: number;
  /** The arena's rewinds then: after another, other bytes are there. */
  rewinds: number;
}

/** One a shard. */
export class RunForms {
  readonly #arena: TurnArena;
  readonly #run: DeliveredRun;
  readonly #layouts: Layout[] = Array.from({ length: LAYOUTS_MAX }, () => ({
    version: 0,
    header: 0,
    topicAlias: 0,
    isTopicOmitted: false,
    identifiers: NO_IDENTIFIERS,
    at: 0,
    end: 0,
    rewinds: 0,
  }));
  #known = 0;

  constructor(arena: TurnArena, run: DeliveredRun) {
    this.#arena = arena;
    this.#run = run;
  }

  /** Another run is being delivered. */
  begin(): void {
    this.#known = 0;
  }

  /**
   * Sends the run at QoS 0 to a session whose client is here.
   * @returns how many of its messages were not too long for the client.
   */
  deliverQos0(
    session: Session,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): number {
    const run = this.#run;
    const arena = this.#arena;
    const { receiver } = session;
    const outlet = session.outlet!;
    const header = PUBLISH | (keepsRetain ? RETAIN : 0);
    // First of all: a flush lays out other forms, and what has an alias must not pass what tells
    // it.
    const at = arena.reserve(run.bytes + run.count * growthMax(receiver, identifiers));
    const form = prepareForm(receiver, run, run.buffer, run.start, identifiers, run.topicKey);
    const known = this.#find(form, header);
    if (known !== null) {
      arena.shrink(at);
      outlet.append(known.at, known.end, run.count);
      return run.count;
    }
    const offset = payloadOffsetOf(run, run.header);
    const end = form.writeRun(run.buffer, run.start, run.end, offset, arena.buffer, at, header, 0);
    arena.shrink(end);
    const written = form.writtenCount;
    if (written > 0) outlet.append(at, end, written);
    else if (form.topicAlias !== 0) receiver?.aliases?.forget(run.topicKey);
    if (written === run.count) this.#note(form, header, at, end);
    return written;
  }

  /**
   * Sends the first `count` messages at QoS 1 or 2 past the queue of a session, which has room for
   * them, and whose client takes frames of any length.
   * @returns where in the run the messages behind them begin.
   */
  deliverDirect(
    session: Session,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
    qos: 1 | 2,
    count: number,
    nowMs: number,
  ): number {
    const run = this.#run;
    const arena = this.#arena;
    const { receiver } = session;
    const header = PUBLISH | (qos << 1) | (keepsRetain ? RETAIN : 0);
    const at = arena.reserve(run.bytes + run.count * growthMax(receiver, identifiers));
    const window = session.openWindow();
    const isWhole = count === run.count;
    const to = isWhole ? run.end : framesEnd(run.buffer, run.start, count);
    const form = prepareForm(receiver, run, run.buffer, run.start, identifiers, run.topicKey);
    const known = isWhole ? this.#find(form, header) : null;
    if (known !== null) {
      const { buffer } = arena;
      window.sendDirect(buffer, known.at, known.end, count, true, header, buffer, at, nowMs);
      arena.shrink(at + known.end - known.at);
    } else {
      const offset = payloadOffsetOf(run, run.header);
      const id = window.nextPacketId;
      arena.shrink(form.writeRun(run.buffer, run.start, to, offset, arena.buffer, at, header, id));
      window.openDirect(count, header, nowMs);
      if (isWhole) this.#note(form, header, at, arena.position);
    }
    session.outlet!.append(at, arena.position, count);
    return to;
  }

  /** Where the whole run lies in this form; with packet ids, at either of QoS 1 and 2. */
  #find(form: PublishForm, header: number): Layout | null {
    const { rewinds } = this.#arena;
    for (let index = 0; index < this.#known; index++) {
      const layout = this.#layouts[index]!;
      if (
        layout.rewinds === rewinds &&
        layout.version === form.version &&
        isSameHeader(layout.header, header) &&
        layout.identifiers === form.subscriptionIdentifiers &&
        layout.topicAlias === form.topicAlias &&
        layout.isTopicOmitted === form.isTopicOmitted &&
        layout.end - layout.at <= form.maximumPacketSize
      ) {
        return layout;
      }
    }
    return null;
  }

  #note(form: PublishForm, header: number, at: number, end: number): void {
    if (this.#known === LAYOUTS_MAX) return;
    const layout = this.#layouts[this.#known++]!;
    layout.version = form.version;
    layout.header = header;
    layout.topicAlias = form.topicAlias;
    layout.isTopicOmitted = form.isTopicOmitted;
    layout.identifiers = form.subscriptionIdentifiers;
    layout.at = at;
    layout.end = end;
    layout.rewinds = this.#arena.rewinds;
  }
}

/** Whether frames differ in nothing that is written into each anew. */
function isSameHeader(one: number, other: number): boolean {
  return (
    (one & RETAIN) === (other & RETAIN) && ((one & QOS_MASK) === 0) === ((other & QOS_MASK) === 0)
  );
}
