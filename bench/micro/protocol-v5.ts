/** MQTT 5.0 on the floor of bytes, a message: scanning runs, laying them out for receivers. */
import type { FrameSink } from '../../src/protocol/frame-scan.js';
import { encodePublish } from '../../src/protocol/publish-frame.js';
import {
  encodePacket5,
  FrameScan5,
  type Properties,
  PublishForm,
  PublishView,
  Sender,
  writeAck5,
} from '../../src/protocol/v5/index.js';
import { type MicroResult, type MicroSize, measure } from './micro.js';

const TOPIC = 'plant/7/line/3/x';
const PAYLOAD = Buffer.alloc(64, 'x');
const MESSAGES: Readonly<Record<MicroSize, number>> = { small: 40, large: 2_000 };
const PACKET_BYTES_MAX = 1_048_576;
const USER_PROPERTY: Properties = { userProperties: [['name', 'a value']] };

/** Adds up what it is given, so that the scan's work is used. */
class CountingSink implements FrameSink {
  messages = 0;
  onRun(
    _buffer: Buffer,
    _start: number,
    _end: number,
    _topicStart: number,
    _topicLength: number,
    _header: number,
    count: number,
  ): boolean {
    this.messages += count;
    return true;
  }
  onAcks(_type: number, count: number): boolean {
    this.messages += count;
    return true;
  }
  onFrame(): boolean {
    return true;
  }
}

function publishes(count: number, qos: 0 | 1, propertiesOf: (index: number) => Properties): Buffer {
  const frames = Array.from({ length: count }, (_, index) =>
    encodePacket5(
      {
        type: 'publish',
        topic: TOPIC,
        payload: PAYLOAD,
        qos,
        retain: false,
        dup: false,
        packetId: qos === 0 ? 0 : index + 1,
        properties: propertiesOf(index),
      },
      Sender.client,
    ),
  );
  return Buffer.concat(frames);
}

function acks(count: number, reasonCode: number): Buffer {
  const bytes = Buffer.alloc(count * 5);
  let at = 0;
  for (let index = 0; index < count; index++) at = writeAck5(bytes, at, 4, index + 1, reasonCode);
  return bytes.subarray(0, at);
}

function scans(size: MicroSize): MicroResult[] {
  const count = MESSAGES[size];
  const scan = new FrameScan5(PACKET_BYTES_MAX, Sender.client);
  const sink = new CountingSink();
  const loads: readonly (readonly [string, Buffer])[] = [
    ['QoS 0', publishes(count, 0, () => ({}))],
    ['QoS 1', publishes(count, 1, () => ({}))],
    ['QoS 0, a User Property', publishes(count, 0, () => USER_PROPERTY)],
    [
      'QoS 0, another User Property each',
      publishes(count, 0, (index) => ({ userProperties: [['name', String(index % 10)]] })),
    ],
    ['PUBACK', acks(count, 0)],
    ['PUBACK with a reason code', acks(count, 0x10)],
  ];
  return loads.map(([name, bytes]) =>
    measure(`scan 5.0 ${name}`, size, count, () => {
      sink.messages = 0;
      scan.scan(bytes, 0, bytes.length, sink);
      return sink.messages;
    }),
  );
}

/** A run in the middle of a read buffer, as they lie. */
function layouts(size: MicroSize): MicroResult[] {
  const count = MESSAGES[size];
  const start = 1_000;
  const margin = Buffer.alloc(start);
  const old = Array.from({ length: count }, (_, index) =>
    encodePublish(TOPIC, PAYLOAD, 0x32, index + 1),
  );
  const runs = {
    '3.x': Buffer.concat([margin, ...old, margin]),
    '5.0': Buffer.concat([margin, publishes(count, 1, () => USER_PROPERTY), margin]),
  };
  const view = new PublishView();
  const cases = [
    ['3.x', 5, false],
    ['5.0', 4, false],
    ['5.0', 5, false],
    ['5.0', 5, true],
  ] as const;
  return cases.map(([from, to, isAliased]) => {
    const source = runs[from];
    const end = source.length - start;
    view.readTrusted(source, start, from === '3.x' ? 4 : 5);
    const { payloadOffset } = view;
    const form = new PublishForm();
    form.version = to;
    form.setTopic(source, view.topicStart, view.topicLength);
    form.setProperties(source, view.propertiesStart, view.propertiesLength);
    if (isAliased) {
      form.topicAlias = 1;
      form.isTopicOmitted = true;
      form.messageExpirySeconds = 60;
    }
    const target = Buffer.alloc(form.runRoom(source, start, end, payloadOffset, 0x32));
    const what = isAliased ? ' with an alias and expiry' : '';
    return measure(`lay out ${from} for ${to}${what}`, size, count, () =>
      form.writeRun(source, start, end, payloadOffset, target, 0, 0x32, 1),
    );
  });
}

/** Times both, in nanoseconds a message. */
export function run(size: MicroSize): MicroResult[] {
  return [...scans(size), ...layouts(size)];
}
