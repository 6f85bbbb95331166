/** A retained message as the topics provider keeps it. */
import { DUP } from '../protocol/fixed-header.js';

/**
 * The whole PUBLISH frame (RETAIN set, packet id meaningless) as a latin1 string: on V8's heap it
 * costs its bytes and a few words, where a small Buffer costs some 200 bytes or keeps an 8 KiB slab
 * alive.
 */
export type RetainedMessage = string;

/** Turns the frame in [start, end), whose RETAIN is set, into a retained message. */
export function toRetainedMessage(buffer: Buffer, start: number, end: number): RetainedMessage {
  return buffer.toString('latin1', start, end);
}

/**
 * The frame of a retained message: a first delivery, whatever the publisher's was [MQTT-3.3.1-3].
 */
export function toFrame(message: RetainedMessage): Buffer {
  const frame = Buffer.from(message, 'latin1');
  frame[0] &= ~DUP;
  return frame;
}
