/** The shapes of `subscribe`: what people write is understood, or refused with the right way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client } from '../../../src/client/index.js';
import * as packets from '../../support/packets.js';
import { eventually } from '../../support/waiting.js';
import { connected } from './harness.js';

type Call = (client: Client, handler: () => void) => Promise<unknown>;

const ONE: readonly [string, Call][] = [
  ["'a', handler, options", (client, handler) => client.subscribe('a', handler, { qos: 1 })],
  ["'a', options, handler", (client, handler) => client.subscribe('a', { qos: 1 }, handler)],
  ["'a', options", (client) => client.subscribe('a', { qos: 1 })],
  ["'a', undefined, options", (client) => client.subscribe('a', undefined, { qos: 1 })],
  ["'a', null, options", (client) => client.subscribe('a', null, { qos: 1 })],
  ["['a'], options", (client) => client.subscribe(['a'], { qos: 1 })],
  ['{ filter, qos }', (client) => client.subscribe({ filter: 'a', qos: 1 })],
  [
    '{ filter, qos }, handler',
    (client, handler) => client.subscribe({ filter: 'a', qos: 1 }, handler),
  ],
  ['[{ filter, qos }]', (client) => client.subscribe([{ filter: 'a', qos: 1 }])],
  ['{ a: { qos } }', (client) => client.subscribe({ a: { qos: 1 } })],
  ['{ a: {} }, options', (client) => client.subscribe({ a: {} }, { qos: 1 })],
  ['{ a: { qos, handler } }', (client, handler) => client.subscribe({ a: { qos: 1, handler } })],
];
for (const [name, call] of ONE) {
  test(`subscribe(${name}) asks for QoS 1`, async (t) => {
    const { client, connection } = await connected(t);
    let calls = 0;
    const subscribed = call(client, () => {
      calls++;
    });
    let events = 0;
    client.on('message', () => {
      events++;
    });
    await connection.expect(packets.subscribe(1, ['a', 1]));
    connection.send(packets.suback(1, 1), packets.publish({ topic: 'a', qos: 1, packetId: 1 }));
    assert.deepEqual(await subscribed, [{ filter: 'a', qos: 1 }]);
    await eventually(() => events === 1, 'the message');
    assert.equal(calls, name.includes('handler') ? 1 : 0);
  });
}

test('several filters, each with what is its own, and a filter called "filter"', async (t) => {
  const { client, connection } = await connected(t);
  client.subscribe({ 'a/#': { qos: 2 }, 'b/+': {} }, { qos: 1 }).catch(() => {});
  await connection.expect(packets.subscribe(1, ['a/#', 2], ['b/+', 1]));
  client.subscribe(['a', { filter: 'b', qos: 2 }, 'c'], { qos: 1 }).catch(() => {});
  await connection.expect(packets.subscribe(2, ['a', 1], ['b', 2], ['c', 1]));
  client.subscribe({ filter: { qos: 1 } }).catch(() => {});
  await connection.expect(packets.subscribe(3, ['filter', 1]));
});

const WRONG: readonly [readonly unknown[], RegExp][] = [
  [[], /the filter is undefined/],
  [['a', 1], /an argument of subscribe is 1/],
  [['a', 'b'], /an argument of subscribe is 'b'/],
  [['a', { QoS: 1 }], /QoS is no option/],
  [['a', () => {}, () => {}], /a second function/],
  [['a', { qos: 1 }, { qos: 1 }], /an argument of subscribe is an object/],
  [['a', null, null, 'b'], /has 4 arguments/],
  [[{ topic: 'a', qos: 1 }], /topic is no property of a filter/],
  [[{ a: 1 }], /a is no property of a filter/],
  [[{ qos: 1 }], /the filter of an object is undefined/],
  [[{}], /the filter of an object is undefined/],
  [[{ a: { qos: 1, nl: true } }], /nl is no property of 'a'/],
  [[{ filter: 'a', handler: 'h' }], /the handler of 'a' is 'h'/],
  [[new Map([['a', { qos: 1 }]])], /the filter is \[object Map\]/],
  [[['a', 1]], /a filter is 1/],
  [[[]], /at least one filter/],
];
for (const [given, fault] of WRONG) {
  test(`subscribe with ${fault.source} is a TypeError that shows the right way`, async (t) => {
    const { client, connection } = await connected(t);
    await assert.rejects(Reflect.apply(client.subscribe, client, given), (error) => {
      assert(error instanceof TypeError);
      assert.match(error.message, fault);
      assert.match(error.message, /the right way is subscribe\('a\/#', { qos: 1 }, handler\)/);
      return true;
    });
    await client.publish('end', '');
    await connection.expect(packets.publish({ topic: 'end' }));
  });
}

test('unsubscribe, publish and messages refuse what would be passed over', async (t) => {
  const { client, connection } = await connected(t);
  const call = (name: 'unsubscribe' | 'publish' | 'messages', ...given: unknown[]): unknown =>
    Reflect.apply(client[name], client, given);
  await assert.rejects(async () => call('unsubscribe', { a: {} }), /right way is unsubscribe/);
  await assert.rejects(async () => call('unsubscribe', 3), TypeError);
  await assert.rejects(async () => call('publish', 'a', 'x', 1), /{ qos: 1, retain: true }/);
  assert.throws(() => call('messages', 'a', 1), /messages\('a\/#', { qos: 1 }\)/);
  await client.publish('end', '');
  await connection.expect(packets.publish({ topic: 'end' }));
});
