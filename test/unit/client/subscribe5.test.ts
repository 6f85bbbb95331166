/** SUBSCRIBE of MQTT 5.0 in the client: options, identifiers, Shared Subscriptions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerLimitError } from '../../../src/client/index.js';
import { connack, frame, hex, lengthPrefixed } from '../../support/packets.js';
import { event, outcome, start } from './harness.js';
import { accept5, connected5, publish5 } from './harness5.js';

test('SUBSCRIBE has the options and the identifier of the call, made again as well', async (t) => {
  // [MQTT 5.0, 3.8.3.1]: QoS 1, No Local 4, Retain As Published 8, Retain Handling 2 << 4.
  const { server, client, connection } = await connected5(t);
  const first = client.subscribe(['a', { filter: 'b', noLocal: false, qos: 0 }], () => {}, {
    qos: 1,
    noLocal: true,
    retainAsPublished: true,
    retainHandling: 2,
    subscriptionIdentifier: 200,
  });
  await connection.expect('82 0e 0001 03 0bc801 0001 61 2d 0001 62 28');
  connection.send(hex('90 05 0001 00 01 00'));
  await first;
  const second = client.subscribe('c', () => {});
  await connection.expect('82 07 0002 00 0001 63 00');
  connection.send(hex('90 04 0002 00 00'));
  await second;
  connection.cut();
  const { connection: other } = await accept5(server);
  // One packet has one identifier.
  await other.expect('82 0e 0003 03 0bc801 0001 61 2d 0001 62 28');
  await other.expect('82 07 0004 00 0001 63 00');
});

test('options of 5.0 that 3.1.1 has not reject there, and nothing is subscribed', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 5 });
  const early = outcome(client.subscribe('a', () => {}, { noLocal: true }));
  const plain = client.subscribe('b', () => {});
  const done = client.connect();
  const first = await server.accept();
  await first.readPacket();
  first.send(connack(false, 1));
  const second = await server.acceptClient();
  await done;
  await second.expect('82 06 0001 0001 62 00');
  second.send(hex('90 03 0001 00'));
  await plain;
  assert.match(String(early.state), /only MQTT 5\.0 has them/);
  await assert.rejects(
    client.subscribe('c', () => {}, { subscriptionIdentifier: 1 }),
    /only MQTT 5\.0 has them/,
  );
  second.cut();
  const third = await server.acceptClient();
  await third.expect('82 06 0002 0001 62 00');
});

test('wrong options are told as such', async (t) => {
  const { client } = await start(t);
  for (const [options, told] of [
    [{ noLocal: 1 }, /noLocal is 1; allowed: true or false/],
    [{ retainHandling: 3 }, /retainHandling is 3; allowed: 0, 1 or 2/],
    [{ subscriptionIdentifier: 0 }, /subscriptionIdentifier is 0; allowed: 1 to 268435455/],
  ] as const) {
    await assert.rejects(client.subscribe('a', options as object), told);
  }
});

test('the handler of a Shared Subscription gets what the group is sent', async (t) => {
  // [MQTT 5.0, 4.8.2]: the topic matches the filter behind the name of the group.
  const { client, connection } = await connected5(t);
  const seen: string[] = [];
  const done = client.subscribe('$share/g/a/+', ({ topic, payload }) => {
    seen.push(`${topic} ${payload}`);
  });
  await connection.expect(
    frame(0x82, hex('0001 00'), lengthPrefixed('$share/g/a/+'), Buffer.from([0])),
  );
  connection.send(hex('90 04 0001 00 00'));
  await done;
  connection.send(publish5('a/b', 'x'), publish5('b/b', 'y'), publish5('a/c', 'z', { qos: 1 }));
  await connection.expect('40 02 0001');
  assert.deepEqual(seen, ['a/b x', 'a/c z']);
});

test('SUBSCRIBE and UNSUBSCRIBE have the user properties of the call', async (t) => {
  const { server, client, connection } = await connected5(t);
  const userProperties = [['k', 'v']] as const;
  const granted = client.subscribe('a', { userProperties });
  const block = '26 0001 6b 0001 76';
  await connection.expect(`82 0e 0001 07 ${block} 0001 61 00`);
  connection.send(hex('90 04 0001 00 00'));
  await granted;
  // Made again with them as well.
  connection.cut();
  const { connection: next } = await accept5(server);
  await next.expect(`82 0e 0002 07 ${block} 0001 61 00`);
  next.send(hex('90 04 0002 00 00'));
  const gone = client.unsubscribe('a', { userProperties });
  await next.expect(`a2 0d 0003 07 ${block} 0001 61`);
  next.send(hex('b0 04 0003 00 00'));
  await gone;
  const wrong = { userProperties: [['k']] } as unknown as { userProperties: [string, string][] };
  await assert.rejects(client.subscribe('a', wrong), /pair of strings/);
  await assert.rejects(client.unsubscribe('a', wrong), /pair of strings/);
});

// [MQTT 5.0, 3.2.2.3.11 to 3.2.2.3.13]: to ask for them all the same is a Protocol Error.
test('what the server has not is not subscribed to, and the rest is', async (t) => {
  const { client, connection } = await connected5(t, {}, '28 00 29 00 2a 00');
  const refused = async (filter: string, code: number, options = {}): Promise<void> => {
    await assert.rejects(client.subscribe(filter, options), (error: unknown) => {
      assert(error instanceof ServerLimitError);
      assert.equal(error.reasonCode, code);
      return true;
    });
  };
  await refused('a/#', 0xa2);
  await refused('+/a', 0xa2);
  await refused('$share/g/a', 0x9e);
  await refused('a', 0xa1, { subscriptionIdentifier: 1 });
  const granted = client.subscribe('a');
  await connection.expect('82 07 0001 00 0001 61 00');
  connection.send(hex('90 04 0001 00 00'));
  await granted;
});

test('a queued SUBSCRIBE that the server cannot serve rejects when it is known', async (t) => {
  const { server, client } = await start(t, { protocolVersion: 5 });
  const queued = assert.rejects(client.subscribe('a/#'), ServerLimitError);
  await Promise.all([accept5(server, '28 00'), client.connect(), queued]);
});

test('a subscription that the server cannot make again is lost, and said to be', async (t) => {
  const { server, client, connection } = await connected5(t);
  const granted = client.subscribe(['a/#', 'b']);
  await connection.readPacket();
  connection.send(hex('90 05 0001 00 00 00'));
  await granted;
  const lost = event(client, 'error');
  connection.cut();
  const { connection: next } = await accept5(server, '28 00');
  await next.expect('82 07 0002 00 0001 62 00');
  assert((await lost) instanceof ServerLimitError);
});
