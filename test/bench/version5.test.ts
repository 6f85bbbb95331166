/** The load generator in MQTT 5.0: its frames with properties, aliases and shared subscriptions. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type FrameShape, frameFormat } from '../../bench/support/frame-format.js';
import { FrameForms } from '../../bench/support/frame-forms.js';
import { FrameWriter } from '../../bench/support/frame-writer.js';
import { AckBatch, Receiver, type ViewedBytes, viewedBytes } from '../../bench/support/receiver.js';
import { SequenceCheck } from '../../bench/support/sequence-check.js';
import { loadBenchSettings } from '../../bench/support/settings.js';
import type { PublishPacket5 } from '../../src/protocol/v5/index.js';
import { encodePacket5, parsePacket5, Sender } from '../../src/protocol/v5/index.js';
import { type Broker, startBroker } from '../support/broker.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { FakeBroker, type Mischief } from './fake-broker.js';
import { LOSING, runTiny } from './tiny.js';

let mosquitto: Mosquitto;
let ours: Broker;
before(async () => {
  mosquitto = await startMosquitto();
  ours = await startBroker({ workers: 2 });
});
after(() => Promise.all([mosquitto.close(), ours.close()]));

const SHAPE: FrameShape = {
  version: 5,
  topic: 'bench/topic',
  topicCount: 1,
  payloadBytes: 16,
  qos: 1,
  retain: false,
  userProperties: 2,
};

/** The packets that a publisher writes: so many in each fill of its chunk. */
function written(writer: FrameWriter, fills: readonly number[]): PublishPacket5[] {
  const packets: PublishPacket5[] = [];
  for (const count of fills) {
    const { chunk } = writer;
    const end = writer.fill(count, 7);
    for (let at = 0; at < end; at += end / count) {
      packets.push(parsePacket5(chunk, at, at + end / count, Sender.client) as PublishPacket5);
    }
  }
  return packets;
}

const PLAN = { publisher: 0, window: 10, batch: 0 };

test('a publisher of 5.0 has its user properties on each message', () => {
  const [first, second] = written(new FrameWriter({ ...SHAPE, ...PLAN }, 1_000), [2]);
  assert.deepEqual(first.properties, {
    userProperties: [
      ['property-00', 'value-of-prop-00'],
      ['property-01', 'value-of-prop-01'],
    ],
  });
  assert.deepEqual([first.packetId, second.packetId], [1, 2]);
  assert.deepEqual([first.payload.readUInt32LE(4), second.payload.readUInt32LE(4)], [0, 1]);
});

// [MQTT 5.0, 3.3.2.3.4]
test('a publisher names each topic once with its alias, then the alias stands for it', () => {
  const writer = new FrameWriter({ ...SHAPE, ...PLAN, topicCount: 3 }, 10_000, true);
  assert.equal(writer.frames, 3);
  const packets = written(writer, [2, 1, 4]);
  assert.deepEqual(
    packets.map(({ topic, properties }) => [topic, properties.topicAlias]),
    [
      ['bench/topic/0000000000', 1],
      ['bench/topic/0000000001', 2],
      ['bench/topic/0000000002', 3],
      ['', 1],
      ['', 2],
      ['', 3],
      ['', 1],
    ],
  );
  assert.deepEqual(
    packets.map(({ packetId, payload }) => [packetId, payload.readUInt32LE(4)]),
    [0, 1, 2, 3, 4, 5, 6].map((sequence) => [sequence + 1, sequence]),
  );
  writer.onConnect();
  assert.equal(written(writer, [1])[0].topic, 'bench/topic/0000000001');
});

/** A subscriber's PUBLISH: sequence `number` of publisher 0. */
function frame(number: number, given: Partial<PublishPacket5> = {}): Buffer {
  const payload = Buffer.alloc(SHAPE.payloadBytes);
  payload.writeUInt32LE(number, 4);
  const userProperties = [0, 1].map((n) => [`property-0${n}`, `value-of-prop-0${n}`] as const);
  const message = { topic: SHAPE.topic, payload, qos: 1, retain: false, dup: false } as const;
  const { properties = {}, ...rest } = given;
  return encodePacket5(
    {
      type: 'publish',
      ...message,
      packetId: number + 1,
      ...rest,
      properties: { userProperties, ...properties },
    },
    Sender.server,
  );
}

function viewed(frames: readonly Buffer[]): ViewedBytes {
  const bytes = Buffer.concat(frames);
  const read = viewedBytes(bytes.length);
  bytes.copy(read.bytes);
  return read;
}

/** Has a receiver take frames. @returns how many bytes it has left, and what it has counted. */
function taken(frames: readonly Buffer[]) {
  const check = new SequenceCheck('whole', 0, 1);
  const sampling = { latency: null, isSampled: false };
  const receiver = new Receiver(check, new FrameForms(SHAPE), 1, 0, sampling);
  const acks = new AckBatch(1_000);
  const read = viewed(frames);
  const left = read.bytes.length - receiver.take(read, 0, read.bytes.length, acks);
  const faults = check.takeFaults('s', new Float64Array([check.next[0]]));
  return { left, delivered: receiver.delivered, acks: acks.length / 4, faults };
}

test('a receiver takes frames in which an alias stands for the topic, in any order', () => {
  const alias = { topicAlias: 7 };
  const only = { topic: '', properties: alias };
  const forms: Partial<PublishPacket5>[] = [{}, { properties: alias }, only, only, {}, only];
  const frames = forms.map((form, number) => frame(number, form));
  assert.deepEqual(taken(frames), { left: 0, delivered: 6, acks: 6, faults: [] });
  const half = frame(6, only).subarray(0, 20);
  assert.equal(taken([...frames, half]).left, 20);
});

test('a receiver leaves frames with another property, another topic or none', () => {
  const others: Partial<PublishPacket5>[] = [
    { properties: { userProperties: [['property-00', 'value-of-prop-01']] } },
    { properties: { contentType: 'text' } },
    { topic: 'bench/topics' },
    { payload: Buffer.alloc(17) },
    { qos: 2 },
  ];
  for (const other of others) {
    const frames = [frame(0), frame(1, other)];
    const outcome = taken(frames);
    assert.deepEqual([outcome.left, outcome.delivered], [frames[1].length, 1]);
  }
});

test('what a subscriber of 3.1.1 gets from publishers of 5.0 has no properties', () => {
  const plain = frameFormat({ ...SHAPE, version: 4 });
  assert.equal(plain.length, 2 + 2 + SHAPE.topic.length + 2 + SHAPE.payloadBytes);
});

async function faultsOf(mischief: Mischief, flags: Readonly<Record<string, string>>) {
  await using broker = new FakeBroker(mischief, { topicAliasMaximum: 3 });
  const port = await broker.listen();
  const all = { warmup: '0', protocol: '5', ...flags };
  const [cell] = await runTiny(['one'], port, all);
  return cell.rounds[0].faults.map(({ lost, duplicated, reordered }) => [
    lost,
    duplicated,
    reordered,
  ]);
}

const ALIASED = { properties: '1', 'topic-alias': 'true' };

test('lost, doubled and swapped messages of 5.0 fail the run, with aliases too', async () => {
  for (const flags of [{ properties: '1' }, ALIASED, { ...ALIASED, 'topic-count': '3' }]) {
    const at = (index: number, what: ReturnType<Mischief>): Mischief => {
      return (number) => (number === index ? what : 'send');
    };
    assert.deepEqual(await faultsOf(() => 'send', flags), []);
    assert.deepEqual(await faultsOf(at(100, 'lose'), { ...flags, ...LOSING }), [[1, 0, 0]]);
    assert.deepEqual(await faultsOf(at(299, 'double'), flags), [[0, 1, 0]]);
    assert.deepEqual(await faultsOf(at(200, 'swap'), flags), [[0, 0, 1]]);
  }
});

test('a broker that takes fewer aliases than the load has topics ends the run', async () => {
  const flags = { ...ALIASED, 'topic-count': '4' };
  await assert.rejects(
    faultsOf(() => 'send', flags),
    /takes 3 topic aliases, not 4/,
  );
});

// The fake broker sends to all: each message comes to two members of its group.
test('a message that two members of a group get is a duplicate', async () => {
  await using broker = new FakeBroker(() => 'send');
  const flags = { clients: '2', shared: '2', protocol: '5', warmup: '0', messages: '10' };
  const [cell] = await runTiny(['fan-out'], await broker.listen(), flags);
  const { faults } = cell.rounds[0];
  assert.equal(
    faults.reduce((sum, { duplicated }) => sum + duplicated, 0),
    10,
  );
});

const LOADS: readonly Readonly<Record<string, string>>[] = [
  { protocol: '5', qos: '2', properties: '3' },
  { protocol: '5:4', qos: '1', properties: '1' },
  { protocol: '4:5' },
  { protocol: '5', 'topic-alias': 'true', 'topic-count': '10' },
  { protocol: '5', shared: '2', qos: '1' },
  { protocol: '4', shared: '2', 'load-threads': '2' },
];
for (const flags of LOADS) {
  const words = Object.entries(flags).map(([flag, value]) => `--${flag} ${value}`);
  for (const broker of ['Mosquitto', 'our broker']) {
    test(`${broker} delivers all of fan-out ${words.join(' ')}`, async () => {
      const all = { clients: '4', window: '10', messages: '100', warmup: '0', ...flags };
      const { port } = broker === 'Mosquitto' ? mosquitto : ours;
      const [cell] = await runTiny(['fan-out'], port, all);
      assert.deepEqual(cell.rounds[0].faults, []);
    });
  }
}

for (const pattern of ['connect', 'subscribe', 'retained', 'mixed', 'paced']) {
  test(`${pattern} goes through in 5.0`, async () => {
    const sizes = { clients: '4', count: '20', rate: '400', 'topic-count': '50' };
    const flags = { protocol: '5', messages: '0', warmup: '0', ...sizes };
    const [cell] = await runTiny([pattern], mosquitto.port, flags);
    assert.deepEqual(cell.rounds[0].faults, []);
  });
}

test('sharedsub-1K-5 has each message come to one of five subscribers', async () => {
  for (const protocol of ['4', '5']) {
    const flags = { protocol, clients: '20', messages: '2', warmup: '0' };
    const [cell] = await runTiny(['sharedsub-1K-5'], mosquitto.port, flags);
    const [{ faults, latency, measures }] = cell.rounds;
    assert.deepEqual(faults, []);
    assert.equal(latency?.count, 40);
    assert.equal(measures.find(({ name }) => name === 'lost')?.value, 0);
  }
});

test('settings that only 5.0 has are refused for 3.1.1', () => {
  const refused = (flags: Record<string, string>, why: RegExp): void => {
    assert.throws(() => loadBenchSettings(flags, {}), why);
  };
  refused({ properties: '1' }, /only publishers of 5\.0 can/);
  refused({ 'topic-alias': 'true' }, /only clients of 5\.0 know them/);
  refused({ protocol: '5', 'topic-alias': 'true', 'topic-count': '0' }, /need no alias/);
  refused({ protocol: '6' }, /allowed: 4, 5, 4:5, 5:4/);
});
