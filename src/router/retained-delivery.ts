/** One retained message to one session that has subscribed. */
import { Counter, type Counters } from '../base/counters.js';
import { QOS_MASK, RETAIN } from '../protocol/fixed-header.js';
import { bodyOf, copyRunAsQos0, copyRunWithHeader } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { propertyBytesOf } from '../protocol/v5/index.js';
import {
  goesAsItIs,
  growthMax,
  hasExpired,
  payloadOffsetOf,
  prepareForm,
} from '../sessions/delivery-form.js';
import type { QueuedTotal } from '../sessions/queued-total.js';
import type { Session } from '../sessions/session.js';
import { type Grant, grantedQos, identifierOf } from '../topics/grant.js';
import type { ClientDrops } from './client-drops.js';
import { layOutWindow } from './lay-out-window.js';
import type { RetainedFrame } from './retained-message.js';
import type { TurnArena } from './turn-arena.js';

const PUBLISH_QOS0_RETAINED = 0x31;

/** What it works with; all of one shard. */
export interface RetainedDeliveryParts {
  readonly arena: TurnArena;
  readonly counters: Counters;
  readonly queuedTotal: QueuedTotal;
  readonly drops: ClientDrops;
  /** Coarse time in milliseconds. */
  readonly clock: { readonly now: number };
}

/**
 * Sends a retained message with RETAIN set [MQTT-3.3.1-8], at the lower of its own and the granted
 * QoS, with the identifier of the subscription [MQTT-3.3.4-3]; not where it may not be read.
 * @returns the QoS that it was sent or queued at; -1: it was not, and that is counted.
 */
export function sendRetained(
  parts: RetainedDeliveryParts,
  session: Session,
  topicKey: string,
  { frame, isOf5, expiresAt }: RetainedFrame,
  grant: Grant,
): number {
  const { arena, counters, clock } = parts;
  if (session.rights !== null && !session.rights.mayRead(topicKey)) {
    counters.add(Counter.deniedDeliveries, 1);
    return -1;
  }
  if (hasExpired(expiresAt)) {
    counters.add(Counter.droppedMessageExpired, 1);
    return -1;
  }
  const header = frame[0] & ~RETAIN;
  const topicLength = topicKey.length;
  const propertyBytes = isOf5
    ? propertyBytesOf(frame, 0, bodyOf(frame, 0) + 2, topicLength, header)
    : 0;
  const run: Run = { bytes: frame, header, topicLength, count: 1, propertyBytes, expiresAt };
  const identifier = identifierOf(grant);
  const identifiers = identifier === 0 ? undefined : [identifier];
  const qos = Math.min((header >> 1) & 3, grantedQos(grant));
  if (qos === 0) {
    if (session.outlet !== null) sendAtQos0(parts, session, topicKey, run, identifiers);
    return 0;
  }
  const dropped = session.enqueue(run, qos as 1 | 2, true, true, identifiers);
  counters.add(Counter.droppedSlowConsumer, session.displaced);
  if (dropped > 0) {
    countDropped(parts, session, dropped);
    return -1;
  }
  // Before what comes live next, at whatever QoS.
  const growth = growthMax(session.receiver, identifiers);
  layOutWindow(session, arena, frame.length + growth, clock.now);
  return qos;
}

function sendAtQos0(
  { arena, counters }: RetainedDeliveryParts,
  session: Session,
  topicKey: string,
  run: Run,
  identifiers: readonly number[] | undefined,
): void {
  const { receiver } = session;
  const outlet = session.outlet!;
  const { bytes, header, propertyBytes, expiresAt } = run;
  const end = bytes.length;
  const at = arena.reserve(end + growthMax(receiver, identifiers));
  if (!goesAsItIs(receiver, propertyBytes, expiresAt, identifiers, end)) {
    const form = prepareForm(receiver, run, bytes, 0, identifiers, topicKey);
    const offset = payloadOffsetOf(run, header);
    const { buffer } = arena;
    arena.shrink(form.writeRun(bytes, 0, end, offset, buffer, at, PUBLISH_QOS0_RETAINED, 0));
    if (form.writtenCount === 0) {
      if (form.topicAlias !== 0) receiver?.aliases?.forget(topicKey);
      counters.add(Counter.droppedOversize, 1);
      return;
    }
  } else if ((header & QOS_MASK) === 0) {
    arena.shrink(copyRunWithHeader(bytes, 0, end, arena.buffer, at, PUBLISH_QOS0_RETAINED));
  } else {
    arena.shrink(copyRunAsQos0(bytes, 0, end, arena.buffer, at));
    arena.buffer[at] = PUBLISH_QOS0_RETAINED;
  }
  outlet.append(at, arena.position, 1);
}

/** Counts them for this reason alone, whatever bound it was. */
function countDropped(
  { counters, queuedTotal, drops }: RetainedDeliveryParts,
  session: Session,
  dropped: number,
): void {
  counters.add(Counter.droppedReplay, dropped);
  queuedTotal.takeRefused();
  drops.note(session, dropped);
}
