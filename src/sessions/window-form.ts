/** How a window lays out messages that do not leave with the bytes that it keeps. */
import { frameEnd } from '../protocol/publish-frame.js';
import type { Run } from '../protocol/run.js';
import {
  framesWithinGrown,
  goesAsItIs,
  growthMax,
  payloadOffsetOf,
  prepareForm,
  topicKeyOf,
} from './delivery-form.js';
import type { Receiver } from './receiver.js';
import { framesEnd } from './run-queue.js';

/** What `writeInForm` has done. One is used again and again. */
export interface FormOutcome {
  /** Messages written. */
  written: number;
  /** Messages that are too long for the receiver, behind them. */
  tooLong: number;
  /** The position in the run's bytes behind both. */
  position: number;
  /** Where the target is filled up to. */
  out: number;
}

/** A thread has one. */
const outcome: FormOutcome = { written: 0, tooLong: 0, position: 0, out: 0 };

/**
 * Messages of this thread's windows that were not sent, as they had expired, were too long for
 * their receiver, or may not be read any more. Who counts them sets it to 0.
 */
export const passed = { expired: 0, tooLong: 0, denied: 0 };

/** Whether messages of a run leave with their bytes, but for first byte and packet id. */
export function leavesAsItIs(
  run: Run,
  receiver: Receiver | null,
  identifiers: readonly number[] | undefined,
): boolean {
  const { propertyBytes, expiresAt, bytes } = run;
  return goesAsItIs(receiver, propertyBytes, expiresAt, identifiers, bytes.length);
}

/** Bytes of room that `writeInForm` needs for the frame at `position` at most. */
export function formBytesMax(
  run: Run,
  position: number,
  receiver: Receiver | null,
  identifiers: readonly number[] | undefined,
): number {
  return frameEnd(run.bytes, position) - position + growthMax(receiver, identifiers);
}

/**
 * Writes up to `count` messages of a run, from byte `from` on, to target[at, end), as many as fit;
 * stops at one that is too long for the receiver, and passes it where it is the first.
 * @param isFirstTime false for messages that are sent again: with their topic, and whole.
 * @returns `outcome`.
 */
export function writeInForm(
  run: Run,
  from: number,
  count: number,
  receiver: Receiver | null,
  identifiers: readonly number[] | undefined,
  target: Buffer,
  at: number,
  end: number,
  header: number,
  firstPacketId: number,
  isFirstTime: boolean,
): FormOutcome {
  const { bytes } = run;
  outcome.written = 0;
  outcome.tooLong = 0;
  outcome.position = from;
  outcome.out = at;
  const growth = growthMax(receiver, identifiers);
  const offset = payloadOffsetOf(run, bytes[from]);
  const isBounded = receiver !== null && bytes.length - from + growth > receiver.maximumPacketSize;
  const fitting = framesWithinGrown(bytes, from, count, end - at, growth);
  if (fitting === 0) return outcome;
  const topicKey = isFirstTime && receiver?.takesAliases === true ? topicKeyOf(run) : null;
  const form = prepareForm(receiver, run, bytes, from, identifiers, topicKey);
  // One at a time, where some may be too long: what is left out takes no packet id.
  const frames = isBounded ? 1 : fitting;
  const to = framesEnd(bytes, from, frames);
  outcome.out = form.writeRun(bytes, from, to, offset, target, at, header, firstPacketId);
  outcome.written = form.writtenCount;
  outcome.tooLong = frames - form.writtenCount;
  outcome.position = to;
  if (form.writtenCount === 0 && form.topicAlias !== 0) receiver?.aliases?.forget(run.topicKey!);
  return outcome;
}
