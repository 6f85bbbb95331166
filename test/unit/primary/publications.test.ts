import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { PROGRAM_BYTES_AHEAD, PROGRAM_BYTES_WAITING_MAX } from '../../../src/base/limits.js';
import {
  checkMessage,
  Publications,
  type ServerMessage,
} from '../../../src/primary/publications.js';
import { numbers } from '../../support/suite.js';

const MAX_BYTES = 64;
const check = (message: ServerMessage) => checkMessage(message, MAX_BYTES);

describe('a message of the embedding program', () => {
  test('gets defaults', () => {
    assert.deepEqual(check({ topic: 'a/b' }), {
      topic: 'a/b',
      payload: new Uint8Array(),
      qos: 0,
      retain: false,
    });
  });

  test('text becomes UTF-8', () => {
    assert.deepEqual(check({ topic: 'ü', payload: 'ä' }).payload, new Uint8Array([0xc3, 0xa4]));
  });

  test('bytes are copied, and only they', () => {
    const shared = Buffer.from('0123456789');
    const { payload } = check({ topic: 'a', payload: shared.subarray(2, 4) });
    shared.fill(0);
    assert.equal(Buffer.from(payload).toString(), '23');
    assert.equal(payload.buffer.byteLength, 2);
  });

  const wrong: [string, unknown, RegExp][] = [
    ['no topic', { topic: '' }, /no Topic Name/],
    ['a wildcard', { topic: 'a/+' }, /no Topic Name/],
    ['a NUL', { topic: 'a\0' }, /no Topic Name/],
    ['a lone surrogate', { topic: 'a\ud800' }, /Unicode/],
    ['a topic that is no string', { topic: 7 }, /must be a string/],
    ['QoS 3', { topic: 'a', qos: 3 }, /qos must be 0, 1 or 2/],
    ['a retain that is no boolean', { topic: 'a', retain: 1 }, /retain must be/],
    ['a payload of another kind', { topic: 'a', payload: 7 }, /payload must be/],
    ['too many bytes', { topic: 'a', payload: 'x'.repeat(MAX_BYTES) }, /maxPacketBytes \(64\)/],
  ];
  for (const [what, message, expected] of wrong) {
    test(`is refused with ${what}`, () => {
      assert.throws(() => check(message as ServerMessage), expected);
    });
  }

  test('may fill the largest packet exactly', () => {
    const payload = 'x'.repeat(MAX_BYTES - 5 - 2 - 1 - 2);
    check({ topic: 'a', payload, qos: 1 });
    assert.throws(() => check({ topic: 'a', payload: `${payload}x`, qos: 1 }), RangeError);
  });
});

describe('publications', () => {
  let sent: [id: number, topic: string][];
  let shardIndex: number;
  let publications: Publications;

  beforeEach(() => {
    sent = [];
    shardIndex = 0;
    publications = new Publications((id, { topic }) => {
      if (shardIndex >= 0) sent.push([id, topic]);
      return shardIndex;
    });
  });

  const message = (topic: string, bytes = 0) => {
    return { topic, payload: new Uint8Array(bytes), qos: 0 as const, retain: false };
  };

  test('resolve when their shard confirms them, and reject with its error', async () => {
    const first = publications.add(message('a'));
    const second = publications.add(message('b'));
    publications.confirm(sent[1]![0], 'no');
    publications.confirm(sent[0]![0], undefined);
    await first;
    await assert.rejects(second, { code: 'SURGEMQ_NOT_PUBLISHED', message: 'no' });
  });

  test('reject at once when the shard is down', async () => {
    shardIndex = -1;
    await assert.rejects(publications.add(message('a')), { code: 'SURGEMQ_NOT_PUBLISHED' });
  });

  test('of a shard that dies reject, those of others wait on', async () => {
    const lost = publications.add(message('a'));
    shardIndex = 1;
    const kept = publications.add(message('b'));
    publications.shardDied(0);
    await assert.rejects(lost, /shard 0 ended before/);
    publications.confirm(sent[1]![0], undefined);
    await kept;
  });

  test('wait in their order while a shard has as much as may be ahead', async () => {
    const topics = numbers(1, 40);
    const all = topics.map((topic) => publications.add(message(topic, PROGRAM_BYTES_AHEAD / 10)));
    assert.equal(sent.length, 10);
    for (let at = 0; at < topics.length; at++) {
      assert.ok(sent.length <= at + 10);
      publications.confirm(sent[at]![0], undefined);
    }
    await Promise.all(all);
    assert.deepEqual(
      sent.map(([, topic]) => topic),
      topics,
    );
  });

  test('go to another shard when that dies, and all of them before the server closes', async () => {
    const first = publications.add(message('a', PROGRAM_BYTES_AHEAD));
    const others = ['b', 'c', 'd'].map((topic) =>
      publications.add(message(topic, PROGRAM_BYTES_AHEAD)),
    );
    shardIndex = 1;
    publications.shardDied(0);
    await assert.rejects(first, /shard 0 ended/);
    publications.sendAll();
    assert.deepEqual(
      sent.map(([, topic]) => topic),
      ['a', 'b', 'c', 'd'],
    );
    for (const [id] of sent) publications.confirm(id, undefined);
    await Promise.all(others);
  });

  test('reject beyond what may wait', async () => {
    const bytes = 16 * 1_024 * 1_024;
    const all: Promise<void>[] = [];
    // The first is with the shard.
    for (let n = 0; n <= PROGRAM_BYTES_WAITING_MAX / bytes; n++) {
      all.push(publications.add(message(`${n}`, bytes)));
    }
    await assert.rejects(all.pop()!, /await what publish returns/);
    publications.sendAll();
    for (const [id] of sent) publications.confirm(id, undefined);
    await Promise.all(all);
  });
});
