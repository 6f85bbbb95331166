/** The writing side of a window: which messages it may send, and their frames. */
import type { Rights } from '../access/rights.js';
import { ACK_BYTES, writeAck } from '../protocol/ack-frame.js';
import { DUP } from '../protocol/fixed-header.js';
import { PacketType } from '../protocol/packet.js';
import { copyRunWithIds, frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import { hasExpired, topicKeyOf } from './delivery-form.js';
import {
  AGAIN,
  AWAITING_PUBACK,
  AWAITING_PUBCOMP,
  AWAITING_PUBREC,
  STATE_MASK,
} from './inflight.js';
import { isGivenAway } from './membership.js';
import type { Receiver } from './receiver.js';
import { framesEnd, framesWithin } from './run-queue.js';
import { formBytesMax, leavesAsItIs, passed, writeInForm } from './window-form.js';
import type { WindowMessages } from './window-messages.js';

/** In place of a position: the receiver does not take so long a packet. */
const TOO_LONG = -1;
/** The receiver may not read it any more. */
const DENIED = -2;

/** What of a window is filled from. */
export interface Filled {
  readonly messages: WindowMessages;
  readonly receiver: Receiver | null;
  /** How many messages may be sent beside those in flight. */
  readonly room: number;
  /** How many messages may be sent again beside those that were since the client has come. */
  readonly roomAgain: number;
  /** What may be read, where that has to be asked. */
  rights: Rights | null;
  written: number;
}

/**
 * Writes messages that are sent for the first time, as many as fit target[at, end) and the window.
 * @param stamp bits of the deliveries' words. @returns the position behind the last frame.
 */
export function fillNew(
  window: Filled,
  target: Buffer,
  at: number,
  end: number,
  stamp: number,
): number {
  const messages = window.messages;
  const { inflight, runs } = messages;
  let out = at;
  while (messages.queuedMessages > 0) {
    const room = window.room;
    if (room <= 0) break;
    const entry = messages.sendEntry;
    const run = runs.runAt(entry);
    let count = Math.min(room, messages.mayBeSent);
    if (count <= 0) break;
    if (runs.hasMemberships && isGivenAway(runs.membershipAt(entry))) {
      messages.pass(count, framesEnd(run.bytes, messages.sendPosition, count));
      continue;
    }
    if (window.rights !== null && passDenied(window, window.rights, run, count)) continue;
    if (window.receiver !== null || run.propertyBytes !== 0) {
      const before = messages.queuedMessages;
      if (passExpired(window, run, count)) continue;
      if (!leavesAsItIs(run, window.receiver, runs.identifiersAt(entry))) {
        out = fillInForm(window, run, count, target, out, end, stamp);
        if (messages.queuedMessages === before) break;
        continue;
      }
    }
    const { bytes } = run;
    const header = runs.headerAt(entry);
    const from = messages.sendPosition;
    if (bytes.length - from > end - out) count = framesWithin(bytes, from, count, end - out);
    if (count === 0) break;
    const id = inflight.nextId;
    const { length } = bytes;
    const isWhole = from === 0 && count === run.count;
    const to = copyRunWithIds(bytes, from, length, count, isWhole, target, out, header, id);
    inflight.open(count, awaitedFor(header) | stamp);
    messages.passSent(count, to);
    window.written += count;
    out += to - from;
  }
  // What comes from here on is for those who may read it.
  if (messages.queuedMessages === 0 && !messages.isAnyOnDisk) window.rights = null;
  return out;
}

/** Passes the next `count` messages where they may not be read. @returns whether that is so. */
function passDenied(window: Filled, rights: Rights, run: Run, count: number): boolean {
  if (rights.mayRead(topicKeyOf(run))) return false;
  const messages = window.messages;
  messages.pass(count, framesEnd(run.bytes, messages.sendPosition, count));
  passed.denied += count;
  return true;
}

/** Passes the next `count` messages where their run has expired. @returns whether it has. */
function passExpired(window: Filled, { bytes, expiresAt }: Run, count: number): boolean {
  if (!hasExpired(expiresAt)) return false;
  const messages = window.messages;
  messages.pass(count, framesEnd(bytes, messages.sendPosition, count));
  passed.expired += count;
  return true;
}

/** Writes some of the next messages in the form of the receiver. @returns as `fill`. */
function fillInForm(
  window: Filled,
  run: Run,
  count: number,
  target: Buffer,
  at: number,
  end: number,
  stamp: number,
): number {
  const messages = window.messages;
  const { inflight, runs, sendEntry: entry } = messages;
  const header = runs.headerAt(entry);
  const { written, tooLong, position, out } = writeInForm(
    run,
    messages.sendPosition,
    count,
    window.receiver,
    runs.identifiersAt(entry),
    target,
    at,
    end,
    header,
    inflight.nextId,
    true,
  );
  if (written > 0) {
    inflight.open(written, awaitedFor(header) | stamp);
    messages.passSent(written, position);
    window.written += written;
  } else if (tooLong > 0) {
    messages.pass(tooLong, position);
    passed.tooLong += tooLong;
  }
  return out;
}

/** The same of messages that are to be sent again. */
export function fillAgain(
  window: Filled,
  target: Buffer,
  at: number,
  end: number,
  stamp: number,
): number {
  const messages = window.messages;
  const { inflight, runs } = messages;
  const { again } = messages;
  let out = at;
  while (inflight.marked > 0 && window.roomAgain > 0) {
    const state = again.seek(inflight, runs);
    const id = inflight.idAt(again.offset);
    if (state === AWAITING_PUBCOMP) {
      if (end - out < ACK_BYTES) break;
      out = writeAck(target, out, PacketType.pubrel, id);
    } else {
      const next = writeAgain(window, id, target, out, end);
      if (next < 0) {
        messages.end(id, state);
        if (next === TOO_LONG) passed.tooLong++;
        else passed.denied++;
        continue;
      }
      if (next === out) break;
      out = next;
    }
    // One marked by expire() keeps its first stamp, by which its expiries are counted.
    const sent = inflight.wordAt(again.offset) & ~(STATE_MASK | AGAIN);
    inflight.setWord(again.offset, state | (sent === 0 ? stamp : sent));
  }
  return out;
}

/**
 * Writes the message at the again-cursor, with DUP. @returns where it ends; `at` when it does not
 * fit, TOO_LONG or DENIED when its receiver is not sent it any more.
 */
function writeAgain(window: Filled, id: number, target: Buffer, at: number, end: number): number {
  const { runs, again } = window.messages;
  const { entry, position } = again;
  const run = runs.runAt(entry);
  const { bytes } = run;
  const header = runs.headerAt(entry) | DUP;
  const identifiers = runs.identifiersAt(entry);
  if (window.rights?.mayRead(topicKeyOf(run)) === false) return DENIED;
  if (!leavesAsItIs(run, window.receiver, identifiers)) {
    const { receiver } = window;
    const room = end - at;
    if (formBytesMax(run, position, receiver, identifiers) > room) return at;
    const { tooLong, out } = writeInForm(
      run,
      position,
      1,
      receiver,
      identifiers,
      target,
      at,
      end,
      header,
      id,
      false,
    );
    return tooLong > 0 ? TOO_LONG : out;
  }
  const to = frameEnd(bytes, position);
  if (to - position > end - at) return at;
  copyRunWithIds(bytes, position, to, 1, true, target, at, header, id);
  return at + to - position;
}

/** What a message sent with this first byte waits for. */
export function awaitedFor(header: number): number {
  return (header & 0x02) !== 0 ? AWAITING_PUBACK : AWAITING_PUBREC;
}
