/**
 * Which messages of a window give way to newer ones, where the policy for slow consumers is not to
 * refuse the newest: the oldest when as much waits as may, or all but the newest of each topic once
 * more waits than an outbox may hold. What is in flight stays.
 */
import { PUBLISH } from '../protocol/fixed-header.js';
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { topicKeyOf } from './delivery-form.js';
import type { QueuedTotal } from './queued-total.js';
import { framesEnd } from './run-queue.js';
import type { WindowLimits } from './window-limits.js';
import type { WindowMessages } from './window-messages.js';

/** Topics whose entries have left are forgotten when they are so many, and most of all. */
const GONE_TOPICS_MIN = 64;

/** A window, as far as messages of it may give way; see OutgoingWindow. */
interface GivingWay {
  readonly messages: WindowMessages;
  readonly limits: WindowLimits;
  readonly total: QueuedTotal;
  readonly queuedBytes: number;
  newest: NewestOfTopics | null;
  displaced: number;
  roomFor(isConnected: boolean): number;
  take(
    run: Run,
    qos: 1 | 2,
    retain: boolean,
    isConnected: boolean,
    isPaced: boolean,
    identifiers: readonly number[] | undefined,
    membership: undefined,
  ): number;
}

/**
 * `OutgoingWindow.enqueue`, where older messages give way to a run, of the run itself too: how many
 * have is in `displaced`.
 */
export function enqueueNewer(
  window: GivingWay,
  run: Run,
  qos: 1 | 2,
  retain: boolean,
  isConnected: boolean,
  isPaced: boolean,
  identifiers: readonly number[] | undefined,
): number {
  const { messages, total } = window;
  const { maxQueuedMessages, maxQueuedBytes: bytesMax } = window.limits;
  const newest = keepNewest(window);
  const messagesMax = isPaced
    ? Number.POSITIVE_INFINITY
    : maxQueuedMessages + window.roomFor(isConnected);
  const last = lastOf(run, newest === null ? messagesMax : 1, bytesMax, total);
  if (last === null) {
    return window.take(run, qos, retain, isConnected, isPaced, identifiers, undefined);
  }
  const { count, bytes } = last;
  window.displaced = run.count - count;
  const header = PUBLISH | (qos << 1) | (retain ? 1 : 0);
  const bounds = { bytesMax, hasRoom: total.hasRoomFor(last) };
  let refused = 0;
  if (newest?.replace(messages, last, header, identifiers, bounds) === true) {
    window.displaced++;
  } else {
    window.displaced += makeRoom(messages, count, bytes.length, messagesMax, bytesMax);
    refused = window.take(last, qos, retain, isConnected, isPaced, identifiers, undefined);
    if (refused === 0) newest?.noteLast(messages);
  }
  if (last !== run) total.delivered(last);
  return refused;
}

/** What keeps each topic's newest alone, once more waits than an outbox may hold. */
function keepNewest(window: GivingWay): NewestOfTopics | null {
  const { slowConsumerPolicy, outboxBytes = Number.POSITIVE_INFINITY } = window.limits;
  if (slowConsumerPolicy !== 'latest') window.newest = null;
  else if (window.newest !== null && window.queuedBytes <= outboxBytes / 2) window.newest = null;
  else if (window.queuedBytes > outboxBytes) window.newest ??= new NewestOfTopics();
  return window.newest;
}

/**
 * The last messages of a run that are not more than `countMax` and `bytesMax`, in a run of their
 * own, for which `QueuedTotal.delivered` must follow; the run itself where that is all of them.
 * @returns null where not even the last is so short.
 */
function lastOf(run: Run, countMax: number, bytesMax: number, total: QueuedTotal): Run | null {
  const { bytes, count, header, topicLength, propertyBytes, expiresAt } = run;
  let passed = Math.max(0, count - countMax);
  let position = framesEnd(bytes, 0, passed);
  for (; passed < count && bytes.length - position > bytesMax; passed++) {
    position = frameEnd(bytes, position);
  }
  if (passed === 0) return run;
  if (passed === count) return null;
  const end = bytes.length;
  const left = count - passed;
  return total.copyRun(bytes, position, end, header, topicLength, left, propertyBytes, expiresAt);
}

/**
 * Has the oldest runs that wait give way, as far as they are to: until `count` messages of `bytes`
 * are within the bounds, or nothing more waits that may.
 * @returns how many messages have given way.
 */
function makeRoom(
  messages: WindowMessages,
  count: number,
  bytes: number,
  messagesMax: number,
  bytesMax: number,
): number {
  let displaced = 0;
  while (messages.queuedMessages + count > messagesMax || messages.queuedBytes + bytes > bytesMax) {
    const dropped = messages.dropOldest();
    if (dropped === 0) break;
    displaced += dropped;
  }
  return displaced;
}

/** The newest message of each topic, of a window that keeps no other of it. */
export class NewestOfTopics {
  /** By topic: how many entries the window had had before its own. */
  readonly #entries = new Map<string, number>();

  /**
   * A newer message takes the place of one that waits, and its turn. What it takes of the shard's
   * memory is what that took, or there is room for more.
   * @returns false where nothing of its topic waits, or there is no room.
   */
  replace(
    messages: WindowMessages,
    run: Run,
    header: number,
    identifiers: readonly number[] | undefined,
    { bytesMax, hasRoom }: { readonly bytesMax: number; readonly hasRoom: boolean },
  ): boolean {
    const entry = this.#entries.get(topicKeyOf(run));
    if (entry === undefined) return false;
    const index = entry - messages.runs.left;
    // What is before that is in flight, or has left.
    if (index < messages.sendEntry) return false;
    const more = run.bytes.length - messages.runs.bytesAt(index);
    if (more > 0 && (!hasRoom || messages.queuedBytes + more > bytesMax)) return false;
    messages.replace(index, run, header, identifiers);
    return true;
  }

  /** The window's last entry is the newest of its topic. */
  noteLast(messages: WindowMessages): void {
    const { runs } = messages;
    this.#entries.set(topicKeyOf(runs.runAt(runs.length - 1)), runs.left + runs.length - 1);
    const waiting = runs.length - messages.sendEntry;
    if (this.#entries.size <= 2 * waiting + GONE_TOPICS_MIN) return;
    const first = runs.left + messages.sendEntry;
    for (const [topicKey, entry] of this.#entries) {
      if (entry < first) this.#entries.delete(topicKey);
    }
  }
}
