/**
 * The forms of the run that is being delivered, beside its own: 3.x or 5.0, with the aliases and
 * Subscription Identifiers of its receivers. Each is laid out once, for all that take it.
 */
import { CANONICAL_BYTES_KEPT } from '../base/limits.js';
import { PUBLISH, QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import { checkFrames } from '../protocol/run-check.js';
import { copyRunWithAlias, type PublishForm } from '../protocol/v5/index.js';
import {
  growthMax,
  payloadOffsetOf,
  prepareAliasedForm,
  prepareForm,
} from '../sessions/delivery-form.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import type { Receiver } from '../sessions/receiver.js';
import { framesEnd } from '../sessions/run-queue.js';
import type { Session } from '../sessions/session.js';
import { DeliveredRun } from './delivered-run.js';
import type { TurnArena } from './turn-arena.js';

/** Forms that are remembered of one run: more differ in what is each receiver's own. */
const LAYOUTS_MAX = 8;
/** Bytes of the Property Length of frames of 5.0 without properties. */
const NO_PROPERTIES_BYTES = 1;
const NO_IDENTIFIERS: readonly number[] = [];

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
  /** The run in the other version, 3.x or 5.0, once somebody needs it. */
  readonly #other = new DeliveredRun();
  #isOtherMade = false;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(arena: TurnArena, run: DeliveredRun) {
    this.#arena = arena;
    this.#run = run;
  }

  /** Another run is being delivered. */
  begin(): void {
    this.#known = 0;
    this.#isOtherMade = false;
  }

  /** The run was delivered. */
  end(total: QueuedTotal): void {
    if (this.#isOtherMade) this.#other.letGoOfKept(total);
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
    const at = arena.reserve(run.bytesMax + run.count * growthMax(receiver, identifiers));
    const form = this.#prepare(receiver, identifiers, header);
    const known = this.#find(form, header);
    if (known !== null) {
      arena.shrink(at);
      outlet.append(known.at, known.end, run.count);
      return run.count;
    }
    const end = this.#write(form, run.end, at, header, 0);
    arena.shrink(end);
    const written = form.writtenCount;
    if (written > 0) outlet.append(at, end, written);
    else if (form.topicAlias !== 0) receiver?.aliases?.forget(run.topicKey);
    if (written === run.count) this.#note(form, header, at, end);
    return written;
  }

  /**
   * Sends the first `count` messages at QoS 1 or 2 past the queue of a session, which has room for
   * them, and whose client takes frames of any length. Where there are more, the run is canonical.
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
    const at = arena.reserve(run.bytesMax + run.count * growthMax(receiver, identifiers));
    const window = session.openWindow();
    const isWhole = count === run.count;
    const form = this.#prepare(receiver, identifiers, header);
    const to = isWhole ? run.end : framesEnd(run.buffer, run.start, count);
    const known = isWhole ? this.#find(form, header) : null;
    if (known !== null) {
      const { buffer } = arena;
      window.sendDirect(buffer, known.at, known.end, count, true, header, buffer, at, nowMs);
      arena.shrink(at + known.end - known.at);
    } else {
      arena.shrink(this.#write(form, to, at, header, window.nextPacketId));
      window.openDirect(count, header, nowMs);
      if (isWhole) this.#note(form, header, at, arena.position);
    }
    session.outlet!.append(at, arena.position, count);
    return to;
  }

  /**
   * The run in the version of a session that takes it without anything of its own, and forgets what
   * it has not acknowledged with its connection. So many sessions queue it as if it had come so.
   * @returns null where it has that version, or the session needs more. The run is canonical.
   */
  inVersionOf(
    session: Session,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): DeliveredRun | null {
    const run = this.#run;
    const { receiver } = session;
    const isOf5 = run.propertyBytes !== 0;
    if (keepsRetain || isOf5 === (receiver !== null) || !session.endsWithConnection) return null;
    if (receiver !== null) {
      if (identifiers !== undefined || receiver.takesAliases || run.expiresAt !== 0) return null;
      const bytes = run.bytes + run.count * growthMax(receiver, identifiers);
      if (bytes > receiver.maximumPacketSize) return null;
    }
    if (!this.#isOtherMade) this.#makeOther(receiver);
    return this.#other;
  }

  #makeOther(receiver: Receiver | null): void {
    const run = this.#run;
    const other = this.#other;
    const { buffer, start, end, header } = run;
    // As in `DeliveredRun.keep`, of what comes from a ring.
    if (run.isFromRing) checkFrames(buffer, start, end, run.count);
    const form = prepareForm(receiver, run, buffer, start, undefined, null);
    form.maximumPacketSize = Number.POSITIVE_INFINITY;
    const offset = payloadOffsetOf(run, header);
    const bytes = this.#room(form.runRoom(buffer, start, end, offset, header));
    other.end = form.writeRun(buffer, start, end, offset, bytes, 0, header, 1);
    other.buffer = bytes;
    other.topicKey = run.topicKey;
    other.header = header;
    other.count = run.count;
    other.propertyBytes = receiver === null ? 0 : NO_PROPERTIES_BYTES;
    other.expiresAt = run.expiresAt;
    other.copyAt = -1;
    this.#isOtherMade = true;
  }

  /** Memory for a run in another version, the same each time unless it is long. */
  #room(length: number): Buffer {
    if (this.#bytes.length >= length) return this.#bytes;
    const bytes = Buffer.allocUnsafeSlow(Math.max(length, CANONICAL_BYTES_KEPT));
    if (length <= CANONICAL_BYTES_KEPT) this.#bytes = bytes;
    return bytes;
  }

  /** How the run is laid out for a receiver; what has an alias keeps it where that is enough. */
  #prepare(
    receiver: Receiver | null,
    identifiers: readonly number[] | undefined,
    header: number,
  ): PublishForm {
    const run = this.#run;
    if (run.aliased !== null) {
      const isEnough =
        identifiers === undefined &&
        receiver !== null &&
        isSameHeader(run.header, header) &&
        run.bytes <= receiver.maximumPacketSize;
      const alias = isEnough ? (receiver.aliases?.knownAliasOf(run.topicKey) ?? 0) : 0;
      if (alias !== 0) return prepareAliasedForm(receiver!, alias);
      run.settle();
    }
    return prepareForm(receiver, run, run.buffer, run.start, identifiers, run.topicKey);
  }

  /** Writes the run, up to `to`, in the form that was prepared. @returns the end in the arena. */
  #write(form: PublishForm, to: number, at: number, header: number, id: number): number {
    const run = this.#run;
    const { buffer, start, aliased } = run;
    const target = this.#arena.buffer;
    if (aliased === null) {
      const offset = payloadOffsetOf(run, run.header);
      return form.writeRun(buffer, start, to, offset, target, at, header, id);
    }
    const { aliasAt } = aliased;
    form.writtenCount = run.count;
    return copyRunWithAlias(buffer, start, to, target, at, header, id, aliasAt, form.topicAlias);
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
