/** Makes runs for windows, and reads what windows write. */

import { pack, unpack } from 'msgpackr';
import { encodePublish, frameEnd } from '../../../src/protocol/publish-frame.js';
import type { Run } from '../../../src/protocol/run.js';
import { encodePacket5, Sender } from '../../../src/protocol/v5/index.js';
import { OutgoingWindow, type WindowLimits } from '../../../src/sessions/outgoing-window.js';

const TOPIC = 'a/b';

/**
 * A run whose messages have these payloads; its frames carry ids that no window may let through.
 */
export function runOf(payloads: readonly string[], qos: 1 | 2 = 1, topic = TOPIC): Run {
  const header = 0x30 | (qos << 1);
  const frames = payloads.map((payload) =>
    encodePublish(topic, Buffer.from(payload), header, 0xbeef),
  );
  return {
    bytes: Buffer.concat(frames),
    header,
    topicLength: topic.length,
    count: frames.length,
    propertyBytes: 0,
    expiresAt: 0,
  };
}

/** A run of 5.0 with the user property `k` = `v`, as it is kept. */
export function run5(payloads: readonly string[], expiresAt = 0, topic = TOPIC): Run {
  const frames = payloads.map((payload) =>
    encodePacket5(
      {
        type: 'publish',
        topic,
        payload: Buffer.from(payload),
        qos: 1,
        retain: false,
        dup: false,
        packetId: 0xbeef,
        properties: { userProperties: [['k', 'v']] },
      },
      Sender.client,
    ),
  );
  const bytes = Buffer.concat(frames);
  const { length: topicLength } = topic;
  return { bytes, header: 0x32, topicLength, count: frames.length, propertyBytes: 8, expiresAt };
}

/** A run of `count` messages with payloads first, first + 1, ... */
export function numberedRun(first: number, count: number, qos: 1 | 2 = 1): Run {
  return runOf(
    Array.from({ length: count }, (_, index) => String(first + index)),
    qos,
  );
}

/** A frame as a receiver sees it. */
export interface Seen {
  readonly type: 'publish' | 'pubrel';
  readonly qos: number;
  readonly dup: boolean;
  readonly retain: boolean;
  readonly packetId: number;
  readonly payload: string;
}

/** Reads whole PUBLISH and PUBREL frames. */
export function readFrames(bytes: Buffer): Seen[] {
  const seen: Seen[] = [];
  for (let position = 0, end = 0; position < bytes.length; position = end) {
    end = frameEnd(bytes, position);
    const header = bytes[position];
    let body = position + 1;
    while (bytes[body] >= 0x80) body++;
    body++;
    const isPublish = header >> 4 === 3;
    if (isPublish) body += 2 + TOPIC.length;
    seen.push({
      type: isPublish ? 'publish' : 'pubrel',
      qos: (header >> 1) & 3,
      dup: (header & 8) !== 0,
      retain: (header & 1) !== 0,
      packetId: bytes.readUInt16BE(body),
      payload: bytes.toString('latin1', body + 2, end),
    });
  }
  return seen;
}

/**
 * What one `fill` into `room` bytes writes, in the middle of a larger buffer whose rest must stay
 * as it is.
 */
export function fillBytes(window: OutgoingWindow, room: number, nowMs = 0): Buffer {
  const margin = 8;
  const target = Buffer.alloc(room + 2 * margin, 0xee);
  const end = window.fill(target, margin, margin + room, nowMs);
  const isOutside = (byte: number, index: number) =>
    byte === 0xee || (index >= margin && index < end);
  if (end < margin || end > margin + room || !target.every(isOutside)) {
    throw new Error('written outside of [at, end)');
  }
  return Buffer.from(target.subarray(margin, end));
}

/** The frames of one `fill` into `room` bytes. */
export function fillFrames(window: OutgoingWindow, room = 1_000_000, nowMs = 0): Seen[] {
  return readFrames(fillBytes(window, room, nowMs));
}

/** Short form of frames for comparisons: `7:payload`, `7:payload dup`, `7:pubrel`. */
export function brief(frames: readonly Seen[]): string[] {
  return frames.map(({ type, packetId, payload, dup }) =>
    type === 'pubrel' ? `${packetId}:pubrel` : `${packetId}:${payload}${dup ? ' dup' : ''}`,
  );
}

/** An empty window whose next packet id is `nextId`. */
export function windowFrom(nextId: number, limits: WindowLimits): OutgoingWindow {
  const window = new OutgoingWindow(limits);
  window.resume({ oldestId: nextId, states: new Uint8Array(0) });
  return window;
}

/** Moves a window as between shards: its head through msgpackr, its runs one by one. */
export function moveWindow(window: OutgoingWindow, limits: WindowLimits): OutgoingWindow {
  const head = unpack(pack(window.head()));
  const moved = new OutgoingWindow(limits);
  moveRuns(window, moved);
  moved.resume(head);
  return moved;
}

/** Appends copies of all runs of one window to another. */
export function moveRuns(
  from: { takeRun: OutgoingWindow['takeRun'] },
  to: { append: OutgoingWindow['append'] },
): void {
  for (let run = from.takeRun(); run !== null; run = from.takeRun()) {
    const { bytes, start, end, deliveryHeader, identifiers } = run;
    to.append(
      { ...run, bytes: Buffer.from(bytes.subarray(start, end)) },
      deliveryHeader,
      identifiers,
    );
  }
}
