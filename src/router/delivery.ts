/**
 * A run on its way to the sessions of this shard: which of them get it, at which QoS and in which
 * form, past the queue or through it. Each form is laid out once, however many take it.
 */
import { Counter, type Counters } from '../base/counters.js';
import { QOS_MASK } from '../protocol/fixed-header.js';
import { copyRunAsQos0, copyRunWithHeader } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { checkFrames } from '../protocol/run-check.js';
import { goesAsItIs, growthMax, hasExpired } from '../sessions/delivery-form.js';
import type { Membership } from '../sessions/membership.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import { framesEnd } from '../sessions/run-queue.js';
import { ALL_SOURCES, type Outlet, type Session } from '../sessions/session.js';
import type { SlowQueue } from '../sessions/slow-queue.js';
import {
  type Grant,
  grantedQos,
  identifierOf,
  KEEPS_RETAIN,
  ownQos,
  RETAIN_AS_PUBLISHED,
} from '../topics/grant.js';
import { AfterHold } from './after-hold.js';
import { ClientDrops } from './client-drops.js';
import { countDropped } from './count-dropped.js';
import { DeliveredRun } from './delivered-run.js';
import type { DeliveryParts, GroupSink, PressureSink } from './delivery-parts.js';
import { directRoom } from './direct-room.js';
import type { GroupRun } from './group-link.js';
import { layOutWindow } from './lay-out-window.js';
import type { Route } from './route.js';
import { RunForms } from './run-forms.js';
import type { RunTraits } from './run-traits.js';
import { Impatience } from './slowdown.js';
import type { TurnArena } from './turn-arena.js';

const QOS_SHIFT = 1;
const QOS_BITS = 3;
const RETAIN = 1;
const PUBLISH_QOS0 = 0x30;

/** One a shard. */
export class Delivery {
  /** Of this shard; set once, before anything is delivered. */
  groups: GroupSink | null = null;
  /** Whose messages were dropped. */
  readonly drops = new ClientDrops();
  readonly #shardIndex: number;
  readonly #arena: TurnArena;
  readonly #pressure: PressureSink;
  readonly #counters: Counters;
  readonly #queuedTotal: QueuedTotal;
  readonly #clock: DeliveryParts['clock'];
  readonly #forms: RunForms;
  readonly #afterHold: AfterHold;
  /** A run is being delivered: another has to wait. */
  isDelivering = false;
  readonly #run = new DeliveredRun();
  /** Where in the arena the run lies at QoS 0, as it is otherwise; -1: nowhere. */
  #qos0At = -1;
  #qos0End = 0;
  #qos0Rewinds = 0;
  /** Of the publisher of the run that is being delivered. */
  #impatience: Impatience = Impatience.none;

  constructor(parts: DeliveryParts) {
    this.#shardIndex = parts.shardIndex;
    this.#arena = parts.arena;
    this.#pressure = parts.pressure;
    this.#counters = parts.counters;
    this.#queuedTotal = parts.queuedTotal;
    this.#clock = parts.clock;
    this.#forms = new RunForms(parts.arena, this.#run);
    this.#afterHold = new AfterHold(parts.queuedTotal);
  }

  /**
   * Delivers a run to the subscribers of its route.
   * @param source shard that it has entered at. @param impatience of its publisher.
   * @throws RecordError where it has come from a ring and is none.
   */
  deliver(
    source: number,
    publisherId: number,
    impatience: Impatience,
    route: Route,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
    traits: Readonly<RunTraits>,
  ): void {
    this.#begin(route.topicKey, buffer, start, end, header, count, traits);
    this.#impatience = impatience;
    this.#run.isFromRing = source !== this.#shardIndex;
    const { subscribers, grants, identifiers, ownIdentifiers } = route;
    const { own } = traits;
    const publishedQos = (header >> QOS_SHIFT) & QOS_BITS;
    const isRetained = (header & RETAIN) !== 0;
    if (hasExpired(traits.expiresAt)) {
      this.#counters.add(Counter.droppedMessageExpired, count * subscribers.length);
      this.isDelivering = false;
      return;
    }
    let groups = 0;
    try {
      for (let index = 0; index < subscribers.length; index++) {
        const session = subscribers[index];
        if (session.sourceMask !== ALL_SOURCES && ((session.sourceMask >>> source) & 1) === 0) {
          if (session.isGroup) groups++;
          continue;
        }
        if (isRetained && session.replay?.isHeldBack(route.topicKey) === true) continue;
        const grant = grants[index];
        const granted = session === own ? ownQos(grant) : grant & QOS_BITS;
        const qos = Math.min(publishedQos, granted);
        if (qos < 0 || (qos === 0 && session.outlet === null)) continue;
        const keepsRetain = isRetained && (grant & KEEPS_RETAIN) !== 0;
        const lists = session === own ? ownIdentifiers : identifiers;
        const ids = lists === null ? undefined : lists[index];
        const isDelivered =
          qos === 0
            ? this.#deliverAtQos0(session, ids, keepsRetain)
            : this.#deliverAbove(session, qos as 1 | 2, ids, keepsRetain);
        if (isRetained) session.replay?.onLive(route.topicKey, isDelivered ? qos : -1);
        const outlet = session.outlet;
        if (outlet?.isHeavy) this.#pressure.onFed(outlet, source, publisherId, publishedQos);
      }
    } finally {
      this.#end();
    }
    if (groups > 0) this.#deliverToGroups(route, source, publisherId);
  }

  /** Each group gets the run at hand once, for one of its members. */
  #deliverToGroups({ subscribers }: Route, source: number, publisherId: number): void {
    this.#run.settle();
    const { buffer, start, end, header, topicKey, count, propertyBytes, expiresAt } = this.#run;
    if (this.#run.isFromRing) checkFrames(buffer, start, end, count);
    // Members may be delivered to at once, which is another run at hand.
    const bytes = { buffer, start, end, header, topicKey, count };
    const run: GroupRun = { ...bytes, propertyBytes, expiresAt, source, publisherId };
    for (const session of subscribers) {
      if (session.isGroup) this.groups?.deliverToGroup(session, run);
    }
  }

  /**
   * Delivers a run to one session, which is here, as the member of a group.
   * @returns whether any of it is in the session's queue, or was and has been sent.
   */
  deliverToMember(session: Session, grant: Grant, membership: Membership, run: GroupRun): boolean {
    const { buffer, start, end, header, topicKey, count, propertyBytes, expiresAt } = run;
    if (hasExpired(expiresAt)) {
      this.#counters.add(Counter.droppedMessageExpired, count);
      return false;
    }
    const traits = { propertyBytes, expiresAt, own: null, aliased: null };
    this.#begin(topicKey, buffer, start, end, header, count, traits);
    this.#impatience = Impatience.none;
    // Wherever it lies, its frames were looked at when it came to its group, or to this shard.
    this.#run.isFromRing = false;
    const publishedQos = (header >> QOS_SHIFT) & QOS_BITS;
    const qos = Math.min(publishedQos, grantedQos(grant));
    const identifier = identifierOf(grant);
    const identifiers = identifier === 0 ? undefined : [identifier];
    const keepsRetain = (header & RETAIN) !== 0 && (grant & RETAIN_AS_PUBLISHED) !== 0;
    let isQueued = false;
    try {
      if (qos === 0) {
        this.#deliverAtQos0(session, identifiers, keepsRetain);
      } else {
        const kept = this.#run.keep(this.#queuedTotal, start, count);
        const above = qos as 1 | 2;
        isQueued =
          this.#deliverRun(session, kept, above, keepsRetain, identifiers, membership) < count;
      }
    } finally {
      this.#end();
    }
    const { outlet } = session;
    if (outlet?.isHeavy) this.#pressure.onFed(outlet, run.source, run.publisherId, publishedQos);
    return isQueued;
  }

  #begin(
    topicKey: string,
    buffer: Buffer,
    start: number,
    end: number,
    header: number,
    count: number,
    { propertyBytes, expiresAt, aliased }: Readonly<RunTraits>,
  ): void {
    this.isDelivering = true;
    const run = this.#run;
    run.topicKey = topicKey;
    run.buffer = buffer;
    run.start = start;
    run.end = end;
    run.header = header;
    run.count = count;
    run.propertyBytes = propertyBytes;
    run.expiresAt = expiresAt;
    run.aliased = aliased;
    run.copyAt = -1;
    this.#forms.begin();
    this.#qos0At = -1;
  }

  #end(): void {
    this.isDelivering = false;
    this.#run.letGoOfKept(this.#queuedTotal);
    this.#forms.end(this.#queuedTotal);
  }

  /** Whether a session gets the bytes that the run has. */
  #goesAsItIs(
    { receiver }: Session,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): boolean {
    const { propertyBytes, expiresAt, bytesMax } = this.#run;
    if (keepsRetain) return false;
    return goesAsItIs(receiver, propertyBytes, expiresAt, identifiers, bytesMax);
  }

  /** The arena is held no more: what was put off until then is sent. */
  onReleased(): void {
    if (!this.#afterHold.isAny) return;
    this.#afterHold.release(({ session, identifiers, keepsRetain, topicKey }, run) => {
      if (session.outlet === null) return;
      const { bytes, header, count, propertyBytes, expiresAt } = run;
      const traits = { propertyBytes, expiresAt, own: null, aliased: null };
      this.#begin(topicKey, bytes, 0, bytes.length, header, count, traits);
      this.#run.isFromRing = false;
      this.#deliverAtQos0(session, identifiers, keepsRetain);
      this.#end();
    });
  }

  /** The arena, which is held, would grow for a form of its own, or others wait already. */
  #hasToWait({ receiver }: Session, identifiers: readonly number[] | undefined): boolean {
    const { bytesMax, count } = this.#run;
    const bytes = bytesMax + count * growthMax(receiver, identifiers);
    return this.#afterHold.isAny || this.#arena.isCrowded(bytes);
  }

  /** @returns false when there is no room for them: they were dropped. */
  #putOff(
    session: Session,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): boolean {
    this.#run.settle();
    const { count, topicKey, start } = this.#run;
    const kept = this.#run.keep(this.#queuedTotal, start, count);
    if (this.#afterHold.add({ session, identifiers, keepsRetain, topicKey }, kept)) return true;
    this.#loseSlow(session, count);
    return false;
  }

  /** @returns false when they were dropped. */
  #deliverAtQos0(
    session: Session,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): boolean {
    const outlet = session.outlet!;
    const { count } = this.#run;
    if (outlet.slowQueue !== null) {
      return this.#deliverSlow(session, outlet.slowQueue, identifiers, keepsRetain);
    }
    if (outlet.isStalled || (this.#impatience !== 0 && !this.#isWaitedFor(outlet))) {
      this.#loseSlow(session, count);
      return false;
    }
    if (this.#goesAsItIs(session, identifiers, keepsRetain)) {
      // What is laid out for others meanwhile may have filled the arena and begun it anew.
      if (this.#qos0At < 0 || this.#qos0Rewinds !== this.#arena.rewinds) this.#layOut();
      outlet.append(this.#qos0At, this.#qos0End, count);
    } else {
      if (this.#arena.isHeld && this.#hasToWait(session, identifiers))
        return this.#putOff(session, identifiers, keepsRetain);
      const tooLong = count - this.#forms.deliverQos0(session, identifiers, keepsRetain);
      if (tooLong > 0) this.#counters.add(Counter.droppedOversize, tooLong);
    }
    return true;
  }

  #loseSlow(session: Session, count: number): void {
    if (count > 0) this.drops.note(session, count);
    this.#counters.add(Counter.droppedSlowConsumer, count);
  }

  /** Its reader is behind, and loses others than the newest. @returns true: that is kept. */
  #deliverSlow(
    session: Session,
    queue: SlowQueue,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): boolean {
    this.#run.settle();
    const { count, topicKey, start, buffer } = this.#run;
    const older = queue.isLatest ? count - 1 : 0;
    const from = framesEnd(buffer, start, older);
    const kept = this.#run.keep(this.#queuedTotal, from, count - older);
    this.#loseSlow(session, older + queue.add(topicKey, kept, identifiers, keepsRetain));
    session.outlet!.wake();
    return true;
  }

  /** Delivers at QoS 1 or 2. @returns false when the last of them were dropped. */
  #deliverAbove(
    session: Session,
    qos: 1 | 2,
    identifiers: readonly number[] | undefined,
    keepsRetain: boolean,
  ): boolean {
    let run = this.#run;
    const { count } = run;
    const direct = Math.min(
      count,
      directRoom(this.#arena, session, identifiers, run.bytesMax, count),
    );
    let isAsItIs = this.#goesAsItIs(session, identifiers, keepsRetain);
    if (direct < count || isAsItIs) run.settle();
    if (direct < count && !isAsItIs) {
      const other = this.#forms.inVersionOf(session, identifiers, keepsRetain);
      if (other !== null) {
        run = other;
        isAsItIs = true;
      }
    }
    let from = run.start;
    if (direct > 0) {
      from = isAsItIs
        ? this.#deliverDirect(run, session, qos, direct)
        : this.#forms.deliverDirect(
            session,
            identifiers,
            keepsRetain,
            qos,
            direct,
            this.#clock.now,
          );
      if (direct === count) return true;
    }
    const kept = run.keep(this.#queuedTotal, from, count - direct);
    return this.#deliverRun(session, kept, qos, keepsRetain, identifiers) === 0;
  }

  /** Lays the run into the arena as QoS 0 frames without RETAIN [MQTT-3.3.1-9]. */
  #layOut(): void {
    const arena = this.#arena;
    this.#run.settle();
    const { buffer, start, end, header } = this.#run;
    if (header === PUBLISH_QOS0) {
      this.#qos0At = arena.copy(buffer, start, end);
    } else {
      const at = arena.reserve(end - start);
      if ((header & QOS_MASK) === 0) {
        copyRunWithHeader(buffer, start, end, arena.buffer, at, PUBLISH_QOS0);
      } else {
        arena.shrink(copyRunAsQos0(buffer, start, end, arena.buffer, at));
      }
      this.#qos0At = at;
    }
    this.#qos0End = arena.position;
    this.#qos0Rewinds = arena.rewinds;
  }

  /** The last `dropped` messages of a run found no room in a queue. */
  #countDropped(session: Session, run: Run, dropped: number): void {
    this.drops.note(session, dropped);
    const { maxQueuedBytes } = session.limits;
    countDropped(this.#counters, this.#queuedTotal, maxQueuedBytes, run, dropped);
  }

  /** Whether the publisher waits when this outlet is over its mark. */
  #isWaitedFor(outlet: Outlet): boolean {
    if (this.#impatience === Impatience.none || !outlet.isHeavy) return true;
    return this.#impatience === Impatience.withLagging && !outlet.isLagging;
  }

  /**
   * Sends messages at once, past the queue: the ordinary case of a client that keeps up and whose
   * session needs no copy to send again. What one session was given whole of a ring is the source
   * for the next: V8 copies out of shared memory word by word, several times slower.
   * @returns where the messages behind them begin.
   */
  #deliverDirect(run: DeliveredRun, session: Session, qos: 1 | 2, direct: number): number {
    const arena = this.#arena;
    const { buffer, start, bytes, count } = run;
    const isWhole = direct === count;
    const at = arena.reserve(bytes);
    const window = session.openWindow();
    const now = this.#clock.now;
    const isCopied = run.copyAt >= 0 && run.copyRewinds === arena.rewinds;
    const source = isCopied ? arena.buffer : buffer;
    const first = isCopied ? run.copyAt : start;
    const last = first + bytes;
    const header = PUBLISH_QOS0 | (qos << QOS_SHIFT);
    const from = window.sendDirect(
      source,
      first,
      last,
      direct,
      isWhole,
      header,
      arena.buffer,
      at,
      now,
    );
    arena.shrink(at + from - first);
    if (run.isFromRing && isWhole) {
      run.copyAt = at;
      run.copyRewinds = arena.rewinds;
    }
    session.outlet!.append(at, arena.position, direct);
    return start + from - first;
  }

  /**
   * Queues a run, and lays out at once what the window allows: behind what was published before at
   * another QoS, before what is published next.
   * @returns how many of the last of it were dropped.
   */
  #deliverRun(
    session: Session,
    run: Run,
    qos: 1 | 2,
    keepsRetain: boolean,
    identifiers: readonly number[] | undefined,
    membership?: Membership,
  ): number {
    const isPaced = session.outlet !== null && this.#isWaitedFor(session.outlet);
    const dropped = session.enqueue(run, qos, keepsRetain, isPaced, identifiers, membership);
    if (dropped > 0) this.#countDropped(session, run, dropped);
    if (session.displaced > 0) this.#loseSlow(session, session.displaced);
    const growth = run.count * growthMax(session.receiver, identifiers);
    layOutWindow(session, this.#arena, run.bytes.length + growth, this.#clock.now);
    return dropped;
  }
}
