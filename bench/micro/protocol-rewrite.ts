/** Rewriting runs of PUBLISH frames, a message: the copy that each QoS 1 or 2 subscriber gets. */
import {
  copyRunAsQos0,
  copyRunWithHeader,
  copyRunWithIds,
  encodePublish,
} from '../../src/protocol/publish-frame.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

const TOPIC = 'plant/7/line/3/x';
const ROUND_MESSAGES: Readonly<Record<MicroSize, number>> = { small: 100, large: 10_000 };
/** Frames in a run and bytes of payload in each. */
const SHAPES: readonly (readonly [number, number])[] = [
  [1, 64],
  [10, 64],
  [1_000, 64],
  [100, 1_024],
  [1, 16_384],
];

/** A run of QoS 1 frames. */
function qos1Run(count: number, payloadBytes: number): Buffer {
  const payload = Buffer.alloc(payloadBytes, 'x');
  const frames = Array.from({ length: count }, (_, i) =>
    encodePublish(TOPIC, payload, 0x32, i + 1),
  );
  return Buffer.concat(frames);
}

/** Times the rewriting functions and, as the floor, the bare copy; in nanoseconds a message. */
export function run(size: MicroSize): MicroResult[] {
  return SHAPES.flatMap(([count, payloadBytes]) => {
    const frames = qos1Run(count, payloadBytes);
    // In the middle of a read buffer, where runs lie: a copy of a part costs more than one of the
    // whole.
    const start = 1_000;
    const end = start + frames.length;
    const source = Buffer.concat([Buffer.alloc(start), frames, Buffer.alloc(1_000)]);
    const target = Buffer.alloc(frames.length);
    const runs = Math.ceil(ROUND_MESSAGES[size] / count);
    const shape = `${count} x ${payloadBytes} B`;
    const time = (name: string, once: () => number): MicroResult =>
      measure(`${name}, ${shape}`, size, runs * count, () => {
        let sum = 0;
        for (let i = 0; i < runs; i++) sum += once();
        return sum;
      });
    return [
      time('bare copy', () => source.copy(target, 0, start, end)),
      time('copyRunWithHeader', () => copyRunWithHeader(source, start, end, target, 0, 0x33)),
      time('copyRunWithIds', () =>
        copyRunWithIds(source, start, end, count, true, target, 0, 0x34, 65_000),
      ),
      time('copyRunAsQos0', () => copyRunAsQos0(source, start, end, target, 0)),
    ];
  });
}
