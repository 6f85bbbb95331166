/** Records of a peer that are not what they should be: each costs itself, and nothing else. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pack } from 'msgpackr';
import { Counter } from '../../../src/base/counters.js';
import { encodePublish } from '../../../src/protocol/publish-frame.js';
import type { PeerLink } from '../../../src/router/peer-link.js';
import { RecordKind } from '../../../src/router/records.js';
import { ShardRecords } from '../../../src/shard/records-in.js';
import { Random, SEED } from '../../fuzz/random.js';
import { makeOutlet } from '../../support/outlet.js';
import { packetEnd, parsePublish } from '../../support/packets.js';
import { makePeer, makeShard, type WholeShard } from './whole-shard.js';

const TOPIC = 'a/b';
const NO_BYTES = Buffer.alloc(0);

interface Record {
  readonly kind: number;
  readonly words: readonly number[];
  readonly body: Buffer;
}

/** A run of messages with these payloads. */
function runOf(qos: number, retain: boolean, ...payloads: string[]): Record {
  const header = 0x30 | (qos << 1) | (retain ? 1 : 0);
  const frames = payloads.map((payload) => encodePublish(TOPIC, Buffer.from(payload), header, 7));
  const words = [9, header, TOPIC.length, payloads.length];
  return { kind: RecordKind.run, words, body: Buffer.concat(frames) };
}

/** A shard with a subscriber at every QoS, and its peer. */
class Setting {
  readonly #whole: WholeShard;
  readonly #peer: PeerLink;
  /** By granted QoS: the bytes received. */
  readonly received: Buffer[][] = [[], [], []];

  private constructor(whole: WholeShard) {
    this.#whole = whole;
    this.#peer = makePeer(whole);
    for (const qos of [0, 1, 2] as const) this.#subscribe(qos);
  }

  static async make(context: TestContext): Promise<Setting> {
    const whole = await makeShard('debug');
    context.after(() => whole.close());
    return new Setting(whole);
  }

  #subscribe(qos: 0 | 1 | 2): void {
    const { shard } = this.#whole;
    const session = shard.registry.create(`subscriber-${qos}`, 0, 4, qos);
    const outlet = makeOutlet({
      append: (start, end) => {
        this.received[qos].push(Buffer.from(shard.arena.buffer.subarray(start, end)));
      },
    });
    session.attach(outlet);
    shard.registry.subscribe(session, [[TOPIC, qos]], () => {});
  }

  /** The payloads received by the subscriber with this QoS. */
  payloads(qos: number): string[] {
    const bytes = Buffer.concat(this.received[qos]);
    const payloads: string[] = [];
    for (let at = 0, end = 0; at < bytes.length; at = end) {
      end = at + (packetEnd(bytes.subarray(at)) ?? bytes.length);
      payloads.push(parsePublish(bytes.subarray(at, end)).payload);
    }
    return payloads;
  }

  /** Sends records, and lets the shard take its turns. */
  async send(...records: readonly Record[]): Promise<void> {
    for (const { kind, words, body } of records) {
      const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = words;
      this.#peer.send(kind, 1, word0, word1, word2, word3, body, 0, body.length);
    }
    this.#peer.flush();
    for (let turns = 0; turns < 3; turns++) {
      this.#whole.shard.turn.schedule();
      await nextTurn();
      this.#peer.drain({ onRecord: () => {} }, 1_000_000);
      this.#peer.flush();
    }
  }

  get unreadable(): number {
    return this.#whole.shard.counters.get(Counter.unreadableRecords);
  }

  get logged(): object[] {
    return this.#whole.said.flatMap((each) =>
      each.kind === 'log' && each.level === 'error' ? [each.fields] : [],
    );
  }
}

const damaged: readonly [what: string, record: Record][] = [
  ['a kind that there is not', { kind: 200, words: [], body: NO_BYTES }],
  ['a run without bytes', { ...runOf(0, false, 'x'), body: NO_BYTES }],
  ['a run with another topic length', { ...runOf(1, false, 'x'), words: [9, 0x32, 4, 1] }],
  ['a run of fewer frames than it says', { ...runOf(2, false, 'x'), words: [9, 0x34, 3, 2] }],
  ['a run of more frames', { ...runOf(2, false, 'x', 'y'), words: [9, 0x34, 3, 1] }],
  ['a run whose header is another', { ...runOf(1, false, 'x'), words: [9, 0x34, 3, 1] }],
  ['a run that is no PUBLISH', { ...runOf(1, false, 'x'), words: [9, 0x40, 3, 1] }],
  [
    'a run whose topic is none',
    { ...runOf(0, false, 'x'), body: encodePublish('a+b', NO_BYTES, 0x30, 0) },
  ],
  [
    'an interest change that is no msgpack',
    { kind: RecordKind.interest, words: [1], body: Buffer.from('c1c1', 'hex') },
  ],
  [
    'an interest change without lists',
    { kind: RecordKind.interest, words: [1], body: pack({ added: 1, removed: [] }) },
  ],
  [
    'interest in what is no filter',
    { kind: RecordKind.interest, words: [1], body: pack({ added: ['a/#/b', 7], removed: [] }) },
  ],
  ['a slow-down that there is not', { kind: RecordKind.slowDown, words: [1, 7], body: NO_BYTES }],
  [
    'a question for what is no filter',
    { kind: RecordKind.retainedQuery, words: [1], body: Buffer.from('#/a') },
  ],
];

describe('records of a peer', () => {
  for (const [what, record] of damaged) {
    test(`${what} is left out, counted and logged; those around it arrive`, async (context) => {
      const setting = await Setting.make(context);
      await setting.send(runOf(2, false, 'before'), record, runOf(2, false, 'behind'));
      for (const qos of [0, 1, 2]) assert.deepEqual(setting.payloads(qos), ['before', 'behind']);
      assert.equal(setting.unreadable, 1);
      const [line, ...others] = setting.logged as [{ fromShard: number; kind: number }];
      assert.deepEqual(
        { fromShard: line.fromShard, kind: line.kind },
        { fromShard: 1, kind: record.kind },
      );
      assert.deepEqual(others, []);
    });
  }

  test('many that cannot be read are one line of the log', async (context) => {
    const setting = await Setting.make(context);
    for (let round = 0; round < 20; round++) {
      await setting.send({ kind: 200, words: [], body: NO_BYTES }, runOf(0, false, String(round)));
    }
    assert.equal(setting.unreadable, 20);
    assert.equal(setting.logged.length, 1);
    assert.equal(setting.payloads(0).length, 20);
  });

  // A fault of the delivery itself must be seen: the shard ends with it, as for any other bug.
  test('what is no fault of the record is thrown on', async (context) => {
    const whole = await makeShard();
    context.after(() => whole.close());
    const peer = makePeer(whole);
    peer.send(RecordKind.goOn, 1, 1, 1, 0, 0, NO_BYTES, 0, 0);
    peer.flush();
    const onRecord = () => {
      throw new TypeError('a bug');
    };
    whole.shard.link.drain({ onRecord: () => {} }, 0);
    assert.throws(() => whole.shard.link.drain({ onRecord }, 1_000), /a bug/);
    assert.equal(whole.shard.counters.get(Counter.unreadableRecords), 0);
  });

  test(`of any damage the shard survives, seed ${SEED}`, async (context) => {
    const random = new Random(SEED);
    const setting = await Setting.make(context);
    const filters = { added: [TOPIC, 'c/+'], removed: ['d'] };
    const samples: readonly Record[] = [
      runOf(0, false, 'x', 'y'),
      runOf(1, false, 'x'.repeat(100), 'y'.repeat(200), 'z'),
      runOf(2, true, 'x'),
      { kind: RecordKind.interest, words: [1], body: pack(filters) },
      { kind: RecordKind.interestConfirmed, words: [1], body: NO_BYTES },
      { kind: RecordKind.slowDown, words: [1, 1], body: NO_BYTES },
      { kind: RecordKind.goOn, words: [1, 2], body: NO_BYTES },
      { kind: RecordKind.retainedQuery, words: [1], body: Buffer.from('a/#') },
      { ...runOf(1, true, 'retained'), kind: RecordKind.retainedMessage },
      { kind: RecordKind.retainedPart, words: [1, 1], body: NO_BYTES },
      { kind: RecordKind.retainedMore, words: [1, 1], body: NO_BYTES },
    ];
    for (let round = 0; round < 1_500; round++) {
      const { kind, words, body } = random.pick(samples);
      const bytes = Buffer.from(body);
      for (let left = random.below(4); left > 0 && bytes.length > 0; left--) {
        bytes[random.below(bytes.length)] = random.pick([
          0,
          1,
          0x7f,
          0x80,
          0xff,
          random.below(256),
        ]);
      }
      const changed = words.map((word) => (random.onceIn(6) ? random.below(2 ** 32) : word));
      const cut = random.onceIn(6) ? random.below(bytes.length + 1) : bytes.length;
      await setting.send({ kind, words: changed, body: bytes.subarray(0, cut) });
      for (const received of setting.received) received.length = 0;
      await setting.send(runOf(0, false, `still here ${round}`));
      assert.deepEqual(setting.payloads(0), [`still here ${round}`]);
    }
    assert.ok(setting.unreadable > 100);
  });
});

describe('what other shards bring of sessions and subscriptions', () => {
  const kinds = [
    'interest',
    'handoverFilters',
    'handoverHead',
    'handoverRun',
    'handoverPart',
    'handoverMore',
  ] as const;
  for (const kind of kinds) {
    // A turn took all that lay in the ring, 12 to 56 ms of it.
    test(`is charged to the turn: ${kind}`, async (context) => {
      const whole = await makeShard('debug');
      context.after(() => whole.close());
      const { share } = whole.shard;
      const records = new ShardRecords(whole.shard);
      const body = pack({ added: [], removed: [] });
      share.begin(null, -1);
      assert.equal(records.isSpent, false);
      records.onRecord(1, RecordKind[kind], 1, 0, 0, 0, body, 0, body.length);
      assert.equal(records.isSpent, true);
    });
  }
});
