/** A retained message as the topics provider keeps it. */

/**
 * The whole PUBLISH frame (RETAIN set, packet id meaningless) as a latin1 string: on V8's heap it
 * costs its bytes and a few words, where a small Buffer costs some 200 bytes or keeps an 8 KiB slab
 * alive.
 */
export type RetainedMessage = string;

/** Turns the frame in [start, end) into a retained message with this header byte. */
export function toRetainedMessage(
  buffer: Buffer,
  start: number,
  end: number,
  header: number,
): RetainedMessage {
  const first = buffer[start];
  buffer[start] = header;
  const message = buffer.toString('latin1', start, end);
  buffer[start] = first;
  return message;
}

/** The frame of a retained message. */
export function toFrame(message: RetainedMessage): Buffer {
  return Buffer.from(message, 'latin1');
}
