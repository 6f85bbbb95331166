import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkMessage,
  Publications,
  type ServerMessage,
} from '../../../src/primary/publications.js';

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
  test('resolve when their shard confirms them, and reject with its error', async () => {
    const publications = new Publications();
    const ids: number[] = [];
    const send = (id: number) => ids.push(id) > 0;
    const first = publications.add(0, send);
    const second = publications.add(0, send);
    publications.confirm(ids[1], 'no');
    publications.confirm(ids[0], undefined);
    await first;
    await assert.rejects(second, { code: 'SURGEMQ_NOT_PUBLISHED', message: 'no' });
  });

  test('reject at once when the shard is down', async () => {
    await assert.rejects(
      new Publications().add(0, () => false),
      { code: 'SURGEMQ_NOT_PUBLISHED' },
    );
  });

  test('of a shard that dies reject, those of others wait on', async () => {
    const publications = new Publications();
    const ids: number[] = [];
    const send = (id: number) => ids.push(id) > 0;
    const lost = publications.add(0, send);
    const kept = publications.add(1, send);
    publications.shardDied(0);
    await assert.rejects(lost, /shard 0 ended before/);
    publications.confirm(ids[1], undefined);
    await kept;
  });
});
