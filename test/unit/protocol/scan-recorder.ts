/** A sink that notes what a scan finds, and what it should find according to mqtt-packet. */
import assert from 'node:assert/strict';
import { PINGREQ } from '../../../src/protocol/ack-frame.js';
import { FrameScan, type FrameSink } from '../../../src/protocol/frame-scan.js';
import { frameEnd } from '../../../src/protocol/publish-frame.js';
import { oracleParse } from './arbitraries.js';

export const PACKET_BYTES_MAX = 4 * 1024 * 1024;

/** One call of the sink, with copies of what it was shown. */
export type Event =
  | { kind: 'run'; bytes: Buffer; topic: string; header: number; count: number; ids: number[] }
  | { kind: 'ack'; type: number; packetId: number }
  | { kind: 'frame'; bytes: Buffer };

/** Notes what it is given. `goOn` answers each call. */
export class Recorder implements FrameSink {
  readonly events: Event[] = [];
  readonly scan: FrameScan;
  goOn = true;
  constructor(scan: FrameScan) {
    this.scan = scan;
  }
  onRun(
    buffer: Buffer,
    start: number,
    end: number,
    topicStart: number,
    topicLength: number,
    header: number,
    count: number,
  ): boolean {
    this.events.push({
      kind: 'run',
      bytes: Buffer.from(buffer.subarray(start, end)),
      topic: buffer.toString('utf8', topicStart, topicStart + topicLength),
      header,
      count,
      ids: header >= 0x32 ? [...this.scan.packetIds.subarray(0, count)] : [],
    });
    return this.goOn;
  }
  onAcks(type: number, count: number): boolean {
    for (const packetId of this.scan.packetIds.subarray(0, count)) {
      this.events.push({ kind: 'ack', type, packetId });
    }
    return this.goOn;
  }
  onPings(count: number): boolean {
    for (let n = 0; n < count; n++) this.events.push({ kind: 'frame', bytes: PINGREQ });
    return this.goOn;
  }
  onFrame(buffer: Buffer, start: number, end: number): boolean {
    this.events.push({ kind: 'frame', bytes: Buffer.from(buffer.subarray(start, end)) });
    return this.goOn;
  }
}

export interface Scanned {
  readonly events: Event[];
  readonly error: unknown;
  /** Bytes consumed in all. */
  readonly consumed: number;
  readonly neededBytes: number;
}

/**
 * Scans `bytes` as they would come in chunks of `sizes` (then all the rest), each behind what was
 * left.
 */
export function scanInChunks(bytes: Buffer, sizes: readonly number[], stopEach = false): Scanned {
  const scan = new FrameScan(PACKET_BYTES_MAX);
  const recorder = new Recorder(scan);
  recorder.goOn = !stopEach;
  let arrived = 0;
  let consumed = 0;
  try {
    for (let i = 0; arrived < bytes.length; i++) {
      arrived = Math.min(bytes.length, arrived + (sizes[i] ?? bytes.length));
      // With other bytes around, none of which may be looked at, or nothing behind.
      const behind = i % 2 === 0 ? 9 : 0;
      const around = Buffer.concat([
        Buffer.alloc(3, 0x30),
        bytes.subarray(consumed, arrived),
        Buffer.alloc(behind, 0x30),
      ]);
      const end = around.length - behind;
      let position = 3;
      for (;;) {
        const before = recorder.events.length;
        const next = scan.scan(around, position, end, recorder);
        consumed += next - position;
        position = next;
        if (!stopEach || recorder.events.length === before) break;
        const [first, ...others] = recorder.events.slice(before);
        // Acks in a row are handed over in one call, and so are PINGREQs.
        const isOneCall = others.every((other) =>
          other.kind === 'ack'
            ? first.kind === 'ack' && other.type === first.type
            : isPing(other) && isPing(first),
        );
        assert.ok(isOneCall, 'one call, then stop');
      }
      checkNeededBytes(scan.neededBytes, bytes, consumed, arrived);
    }
    return { events: recorder.events, error: null, consumed, neededBytes: scan.neededBytes };
  } catch (error) {
    return { events: recorder.events, error, consumed, neededBytes: 0 };
  }
}

function isPing(event: Event): boolean {
  return event.kind === 'frame' && event.bytes.equals(PINGREQ);
}

function checkNeededBytes(neededBytes: number, bytes: Buffer, consumed: number, arrived: number) {
  if (consumed === arrived) {
    assert.equal(neededBytes, 0);
  } else if (neededBytes !== 0) {
    assert.equal(neededBytes, frameEnd(bytes, consumed) - consumed);
    assert.ok(neededBytes > arrived - consumed);
  } else {
    const lengthBytes = bytes.subarray(consumed + 1, arrived);
    assert.ok(
      lengthBytes.every((byte) => byte >= 0x80),
      'only an unfinished length is unknown',
    );
  }
}

/** The events with runs taken apart to single frames: the same however the bytes were cut. */
export function flatten(events: readonly Event[]): Event[] {
  return events.flatMap((event) => {
    if (event.kind !== 'run') return [event];
    const frames: Event[] = [];
    for (let at = 0; at < event.bytes.length; at = frameEnd(event.bytes, at)) {
      const ids = event.ids.slice(frames.length, frames.length + 1);
      frames.push({
        ...event,
        bytes: event.bytes.subarray(at, frameEnd(event.bytes, at)),
        count: 1,
        ids,
      });
    }
    assert.equal(frames.length, event.count);
    return frames;
  });
}

/** What a scan must say of `bytes`, as mqtt-packet parses them; runs as long as they can be. */
export function expectedEvents(bytes: Buffer): Event[] {
  const events: Event[] = [];
  let at = 0;
  for (const packet of oracleParse(bytes)) {
    const end = frameEnd(bytes, at);
    const frame = bytes.subarray(at, end);
    at = end;
    if (packet.cmd === 'publish') {
      const header = 0x30 | (packet.qos << 1) | Number(packet.retain);
      const ids = packet.qos === 0 ? [] : [packet.messageId ?? 0];
      const last = events.at(-1);
      if (last?.kind === 'run' && last.topic === packet.topic && last.header === header) {
        last.bytes = Buffer.concat([last.bytes, frame]);
        last.count++;
        last.ids.push(...ids);
      } else {
        events.push({ kind: 'run', bytes: frame, topic: packet.topic, header, count: 1, ids });
      }
    } else if (['puback', 'pubrec', 'pubrel', 'pubcomp'].includes(packet.cmd)) {
      events.push({ kind: 'ack', type: frame[0] >> 4, packetId: packet.messageId ?? 0 });
    } else {
      events.push({ kind: 'frame', bytes: frame });
    }
  }
  return events;
}

/** Scans `bytes` in one go. */
export function scanAll(bytes: Buffer): Scanned {
  return scanInChunks(bytes, []);
}
