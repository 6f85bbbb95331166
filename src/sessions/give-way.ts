/**
 * Which messages of a window give way to newer ones, where the policy for slow consumers is not to
 * refuse the newest: the oldest when as much waits as may, or all but the newest of each topic once
 * more waits than an outbox may hold. What is in flight stays.
 */
import { GIVING_WAY_FOR_BYTES_MAX } from '../base/limits.js';
import { PUBLISH } from '../protocol/fixed-header.js';
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { topicKeyOf } from './delivery-form.js';
import type { QueuedTotal } from './queued-total.js';
import { framesEnd } from './run-queue.js';
import type { WindowLimits } from './window-limits.js';
import { NONE_WAITS, type WindowMessages } from './window-messages.js';

/** Topics whose entries have left are forgotten when they are so many, and most of all. */
const GONE_TOPICS_MIN = 64;

/** A window, as far as messages of it may give way; see OutgoingWindow. */
interface GivingWay {
  readonly messages: WindowMessages;
  readonly limits: WindowLimits;
  readonly total: QueuedTotal;
  readonly waiting: number;
  readonly waitingBytes: number;
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
    isForced: boolean,
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
    return window.take(run, qos, retain, isConnected, isPaced, identifiers, undefined, false);
  }
  window.displaced = run.count - last.count;
  const header = PUBLISH | (qos << 1) | (retain ? 1 : 0);
  const bounds = { bytesLeft: bytesMax - window.waitingBytes, hasRoom: total.hasRoomFor(last) };
  let refused = 0;
  if (newest?.replace(messages, last, header, identifiers, bounds) === true) {
    window.displaced++;
  } else {
    window.displaced += makeRoom(window, last, messagesMax, bytesMax);
    // What is on its way to disk cannot be taken away before it is there: the next one finds it.
    const isForced = messages.isUnread;
    refused = window.take(
      last,
      qos,
      retain,
      isConnected,
      isPaced,
      identifiers,
      undefined,
      isForced,
    );
    if (refused === 0) newest?.noteLast(messages, last);
  }
  if (last !== run) total.delivered(last);
  return refused;
}

/** What keeps each topic's newest alone, once more waits than an outbox may hold. */
function keepNewest(window: GivingWay): NewestOfTopics | null {
  const { slowConsumerPolicy, outboxBytes = Number.POSITIVE_INFINITY } = window.limits;
  if (slowConsumerPolicy !== 'latest') window.newest = null;
  else if (window.newest !== null && window.waitingBytes <= outboxBytes / 2) window.newest = null;
  else if (window.waitingBytes > outboxBytes) window.newest ??= new NewestOfTopics();
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
 * Has the oldest runs that wait give way, as far as they are to: until a run is within the bounds,
 * or nothing more waits that may.
 * @returns how many messages have given way.
 */
function makeRoom(
  window: GivingWay,
  { count, bytes }: Run,
  messagesMax: number,
  bytesMax: number,
): number {
  let displaced = 0;
  while (window.waiting + count > messagesMax || window.waitingBytes + bytes.length > bytesMax) {
    const dropped = window.messages.dropOldest();
    if (dropped === NONE_WAITS) break;
    displaced += dropped;
  }
  return displaced;
}

/**
 * Has the oldest runs that wait give way until `count` messages have, and as many bytes, or nothing
 * more waits that may. @returns how many have.
 */
export function giveWay(messages: WindowMessages, count: number, bytes: number): number {
  let displaced = 0;
  let bytesLeft = bytes;
  let runsLeft = GIVING_WAY_FOR_BYTES_MAX;
  while (displaced < count || (bytesLeft > 0 && runsLeft-- > 0)) {
    // What is read for it would count as come.
    if (messages.isUnread) messages.kept?.refill();
    const before = messages.queuedBytes;
    const dropped = messages.dropOldest();
    if (dropped === NONE_WAITS) break;
    displaced += dropped;
    bytesLeft -= before - messages.queuedBytes;
  }
  return displaced;
}

/** The newest of a topic, where it waits. */
interface Newest {
  /** How many entries the window had had before its own; ON_DISK: it is not in the window. */
  entry: number;
  /** Where a store keeps it: see KeptQueue. */
  readonly position: number;
  bytes: number;
}

const ON_DISK = -1;

/** The newest message of each topic, of a window that keeps no other of it. */
export class NewestOfTopics {
  readonly #topics = new Map<string, Newest>();

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
    { bytesLeft, hasRoom }: { readonly bytesLeft: number; readonly hasRoom: boolean },
  ): boolean {
    const newest = this.#topics.get(topicKeyOf(run));
    if (newest === undefined || !isWaiting(messages, newest)) return false;
    const { kept } = messages;
    const { entry, position } = newest;
    const index = entry - messages.runs.left;
    // What a store keeps is sent when it is durable: it has to be left alone for that long.
    const isNext = entry === ON_DISK ? messages.isUnread : index === messages.sendEntry;
    if (kept !== null && isNext && position === messages.sent + kept.hole) return false;
    const more = run.bytes.length - newest.bytes;
    const isRoom = more <= bytesLeft && (hasRoom || entry === ON_DISK);
    if (more > 0 && !isRoom) return false;
    if (entry !== ON_DISK) messages.replace(index, run, header, identifiers);
    kept?.onReplaced(position, run, header, more, identifiers);
    newest.bytes = run.bytes.length;
    return true;
  }

  /** The last message that waits is the newest of its topic. */
  noteLast(messages: WindowMessages, run: Run): void {
    const { runs, kept } = messages;
    const isOnDisk = messages.kept !== null && messages.kept.onDisk > 0;
    const entry = isOnDisk ? ON_DISK : runs.left + runs.length - 1;
    const position = kept === null ? 0 : kept.next - 1;
    this.#topics.set(topicKeyOf(run), { entry, position, bytes: run.bytes.length });
    const onDisk = kept === null ? 0 : kept.onDisk;
    const waiting = runs.length - messages.sendEntry + onDisk;
    if (this.#topics.size <= 2 * waiting + GONE_TOPICS_MIN) return;
    for (const [topicKey, newest] of this.#topics) {
      if (!isWaiting(messages, newest)) this.#topics.delete(topicKey);
    }
  }

  /** The window has taken its last entry from disk, which begins at a position. */
  noteTaken({ runs }: WindowMessages, run: Run, position: number): void {
    const newest = this.#topics.get(topicKeyOf(run));
    if (newest?.position === position) newest.entry = runs.left + runs.length - 1;
  }
}

/** Whether it is not in flight, and has not left. */
function isWaiting(messages: WindowMessages, { entry, position }: Newest): boolean {
  const { runs, kept, sendEntry } = messages;
  if (entry !== ON_DISK) return entry - runs.left >= sendEntry;
  return kept !== null && position >= kept.diskFrom;
}
