/**
 * The frame scan, a message: what every byte that a client sends costs before anything is done with
 * it.
 */
import { writeAck } from '../../src/protocol/ack-frame.js';
import { FrameScan, type FrameSink } from '../../src/protocol/frame-scan.js';
import { PacketType } from '../../src/protocol/packet.js';
import { encodePublish } from '../../src/protocol/publish-frame.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

const PAYLOAD_BYTES = 64;
/** As much as one read of a socket brings. */
const READ_BYTES: Readonly<Record<MicroSize, number>> = { small: 4_096, large: 262_144 };
const PACKET_BYTES_MAX = 1_048_576;

/** What a scan is given: bytes, and how often it is called for them. */
interface Load {
  readonly name: string;
  readonly bytes: Buffer;
  readonly messages: number;
  /** Frames a scan call sees: all of them, or 1 as from a quiet client. */
  readonly framesPerScan: number;
}

/** Adds up what it is given, so that the scan's work is used. */
class CountingSink implements FrameSink {
  messages = 0;
  runs = 0;
  acks = 0;
  onRun(
    _buffer: Buffer,
    _start: number,
    _end: number,
    _topicStart: number,
    _topicLength: number,
    _header: number,
    count: number,
  ): boolean {
    this.runs++;
    this.messages += count;
    return true;
  }
  onAcks(_type: number, count: number): boolean {
    this.acks += count;
    return true;
  }
  onFrame(): boolean {
    return true;
  }
}

/**
 * PUBLISH frames until a read is full; `topicOf` and `payloadOf` may vary with the message's
 * number.
 */
function publishLoad(
  name: string,
  size: MicroSize,
  header: number,
  topicOf: (index: number) => string,
  payloadBytesOf: (index: number) => number = () => PAYLOAD_BYTES,
  framesPerScan = Number.POSITIVE_INFINITY,
): Load {
  const frames: Buffer[] = [];
  let bytes = 0;
  for (let index = 0; bytes < READ_BYTES[size]; index++) {
    const payload = Buffer.alloc(payloadBytesOf(index), index);
    const frame = encodePublish(topicOf(index), payload, header, (index % 65_535) + 1);
    frames.push(frame);
    bytes += frame.length;
  }
  return { name, bytes: Buffer.concat(frames), messages: frames.length, framesPerScan };
}

function ackLoad(size: MicroSize): Load {
  const bytes = Buffer.alloc(READ_BYTES[size]);
  let at = 0;
  let messages = 0;
  while (at < bytes.length) {
    messages++;
    at = writeAck(bytes, at, PacketType.puback, (messages % 65_535) + 1);
  }
  return { name: 'PUBACK', bytes, messages, framesPerScan: Number.POSITIVE_INFINITY };
}

function loads(size: MicroSize): Load[] {
  const oneTopic = () => 'plant/7/line/3/x';
  const longTopic = () => 'a-very-long-topic-name/of-some-sixty-four-bytes/plant/7/line/3/x';
  const ownTopic = (index: number) => `plant/7/line/3/${index % 10}`;
  const varied = (index: number) => 32 + (index % 64);
  return [
    publishLoad('QoS 0, 16 B topic', size, 0x30, oneTopic),
    publishLoad('QoS 1, 16 B topic', size, 0x32, oneTopic),
    publishLoad('QoS 0, 64 B topic', size, 0x30, longTopic),
    publishLoad('QoS 0, 32 to 95 B payload', size, 0x30, oneTopic, varied),
    publishLoad('QoS 0, 1 KiB payload', size, 0x30, oneTopic, () => 1_024),
    publishLoad('QoS 0, another topic each', size, 0x30, ownTopic),
    publishLoad('QoS 1, another topic each', size, 0x32, ownTopic),
    publishLoad('QoS 0, one a scan', size, 0x30, oneTopic, undefined, 1),
    ackLoad(size),
  ];
}

/** Times the scan, in nanoseconds a message, for runs of many, runs of one, and acks. */
export function run(size: MicroSize): MicroResult[] {
  const scan = new FrameScan(PACKET_BYTES_MAX);
  const sink = new CountingSink();
  return loads(size).map(({ name, bytes, messages, framesPerScan }) => {
    const frameBytes = bytes.length / messages;
    const step = framesPerScan === 1 ? frameBytes : bytes.length;
    return measure(`scan ${name}`, size, messages, () => {
      sink.messages = 0;
      sink.acks = 0;
      for (let at = 0; at < bytes.length; at += step) scan.scan(bytes, at, at + step, sink);
      return sink.messages + sink.acks;
    });
  });
}
