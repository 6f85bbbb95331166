/** A retained message as the topics provider keeps it. */
import { RecordError } from '../base/errors.js';
import { DUP, QOS_MASK } from '../protocol/fixed-header.js';
import { frameEnd } from '../protocol/publish-frame.js';
import {
  RETAINED_OF_5 as OF_5,
  RETAINED_PREFIX_BYTES as PREFIX_BYTES,
} from '../protocol/retained-form.js';
import type { RunTraits } from './run-traits.js';

/**
 * The whole PUBLISH frame (RETAIN set, packet id meaningless) as a latin1 string: on V8's heap it
 * costs its bytes and a few words, where a small Buffer costs some 200 bytes or keeps an 8 KiB slab
 * alive. Before a frame of 5.0 stand OF_5, and the time when it expires as a double.
 */
export type RetainedMessage = string;

/** A retained message taken out, as something to send. */
export interface RetainedFrame {
  /** The frame, RETAIN set. */
  readonly frame: Buffer;
  /** It is one of 5.0. */
  readonly isOf5: boolean;
  /** As in Run. */
  readonly expiresAt: number;
}

/** Turns the frame of 3.x in [start, end), whose RETAIN is set, into a retained message. */
export function toRetainedMessage(buffer: Buffer, start: number, end: number): RetainedMessage {
  return buffer.toString('latin1', start, end);
}

/** The same of a frame of 5.0. @param expiresAt as in Run. */
export function toRetainedMessage5(
  buffer: Buffer,
  start: number,
  end: number,
  expiresAt: number,
): RetainedMessage {
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix[0] = OF_5;
  prefix.writeDoubleLE(expiresAt, 1);
  return Buffer.concat([prefix, buffer.subarray(start, end)]).toString('latin1');
}

/**
 * The frame of a retained message: a first delivery, whatever the publisher's was [MQTT-3.3.1-3].
 */
export function toFrame(message: RetainedMessage): RetainedFrame {
  const bytes = Buffer.from(message, 'latin1');
  const isOf5 = bytes[0] === OF_5;
  const frame = isOf5 ? bytes.subarray(PREFIX_BYTES) : bytes;
  frame[0] &= ~DUP;
  return { frame, isOf5, expiresAt: isOf5 ? bytes.readDoubleLE(1) : 0 };
}

/** When a retained message expires, 0: never. */
export function expiryOfRetained(message: RetainedMessage): number {
  if (message.charCodeAt(0) !== OF_5) return 0;
  return Buffer.from(message.slice(1, PREFIX_BYTES), 'latin1').readDoubleLE(0);
}

/**
 * Where the last message of a run begins, which is what its topic retains from then on; -1 where
 * its payload is empty, and clears the topic [MQTT-3.3.1-10, 3.3.1-11].
 * @throws RecordError when [start, end) is no run.
 */
export function findRetained(
  topicKey: string,
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
  { propertyBytes }: Readonly<RunTraits>,
): number {
  let last = start;
  let next = frameEnd(buffer, last);
  for (; next < end; next = frameEnd(buffer, last)) last = next;
  if (next !== end) throw new RecordError('the last frame to be retained does not end its run');
  let body = last + 1;
  while (buffer[body]! >= 0x80) body++;
  const idBytes = (header & QOS_MASK) === 0 ? 0 : 2;
  const payloadStart = body + 1 + 2 + topicKey.length + idBytes + propertyBytes;
  return payloadStart === end ? -1 : last;
}

/** Turns the last frame of a run, which begins at `last`, into a retained message. */
export function takeRetained(
  buffer: Buffer,
  last: number,
  end: number,
  { propertyBytes, expiresAt }: Readonly<RunTraits>,
): RetainedMessage {
  if (propertyBytes === 0) return toRetainedMessage(buffer, last, end);
  return toRetainedMessage5(buffer, last, end, expiresAt);
}
