/** Request and response [MQTT 5.0, 4.10]. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CapacityError, ClosedError, TimeoutError } from '../../../src/client/index.js';
import { parsePacket5, Sender } from '../../../src/protocol/v5/index.js';
import { hex, lengthPrefixed, word } from '../../support/packets.js';
import type { FakeConnection } from './fake-server.js';
import { connected, outcome } from './harness.js';
import { connected5, publish5 } from './harness5.js';

/** Reads the SUBSCRIBE that is made for replies, and grants it. @returns its topic. */
async function grant(connection: FakeConnection): Promise<string> {
  const frame = await connection.readPacket('SUBSCRIBE');
  const packet = parsePacket5(frame, 0, frame.length, Sender.client);
  assert(packet.type === 'subscribe');
  connection.send(Buffer.concat([hex('90 04'), word(packet.packetId), hex('00 01')]));
  return packet.subscriptions[0].filter;
}

async function readRequest(connection: FakeConnection) {
  const frame = await connection.readPacket('PUBLISH');
  const packet = parsePacket5(frame, 0, frame.length, Sender.client);
  assert(packet.type === 'publish');
  const { responseTopic, correlationData } = packet.properties;
  assert(responseTopic !== undefined && correlationData !== undefined);
  return { ...packet, responseTopic, correlationData };
}

function reply(topic: string, text: string, correlation: Buffer): Buffer {
  const block = Buffer.concat([hex('09'), word(correlation.length), correlation]);
  return publish5(topic, text, { block });
}

test('replies find their requests, in whatever order they come', async (t) => {
  const { client, connection } = await connected5(t);
  const first = client.request('a', '1', { properties: { contentType: 't' } });
  const second = client.request('a', '2');
  const topic = await grant(connection);
  const one = await readRequest(connection);
  const two = await readRequest(connection);
  assert.deepEqual([one.responseTopic, two.responseTopic], [topic, topic]);
  assert.equal(one.properties.contentType, 't');
  // One that nobody asked for, and one without correlation, are passed over.
  connection.send(reply(topic, 'who?', Buffer.from('none')), publish5(topic, 'what?'));
  connection.send(reply(topic, 'two', two.correlationData));
  connection.send(reply(topic, 'again', two.correlationData));
  connection.send(reply(topic, 'one', one.correlationData));
  assert.equal(`${(await second).payload}`, 'two');
  assert.equal(`${(await first).payload}`, 'one');
});

test('replies go where the Response Information of the server says', async (t) => {
  const information = Buffer.concat([hex('1a'), lengthPrefixed('replies/me')]);
  const { client, connection } = await connected5(t, {}, information);
  const asked = client.request('a', '');
  const topic = await grant(connection);
  assert.match(topic, /^replies\/me\/[0-9a-f]{24}$/);
  const { correlationData } = await readRequest(connection);
  connection.send(reply(topic, 'x', correlationData));
  await asked;
});

test('a request without a reply ends by its time, its signal, or with the client', async (t) => {
  const { client, connection } = await connected5(t);
  await assert.rejects(client.request('a', '', { timeoutMs: 1 }), TimeoutError);
  await grant(connection);
  const controller = new AbortController();
  const dropped = client.request('b', '', { signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(dropped, /enough/);
  const open = outcome(client.request('c', ''));
  assert.equal((await readRequest(connection)).topic, 'c');
  await client.disconnect({ drain: false });
  assert(open.state instanceof ClosedError);
});

test('more requests than the bound are refused, and any where 3.1.1 is spoken', async (t) => {
  const { client } = await connected5(t);
  const all = Array.from({ length: 1_024 }, () => outcome(client.request('a', '')));
  await assert.rejects(client.request('a', ''), CapacityError);
  assert(all.every(({ state }) => state === 'pending'));
  const { client: old } = await connected(t);
  await assert.rejects(old.request('a', ''), /only MQTT 5\.0 has them/);
});
