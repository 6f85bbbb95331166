/** How long a session of MQTT 5.0 outlives its connections. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import {
  connack,
  connect,
  DISCONNECT,
  frame,
  hex,
  PINGREQ,
  PINGRESP,
  puback,
} from '../support/packets.js';
import {
  connect5,
  filterAck5,
  parsePublish5,
  parseSaid,
  prop,
  properties,
  publish5,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { eventually } from '../support/waiting.js';

const NEVER = 0xffff_ffff;

function expiry(seconds: number): Buffer {
  return prop.uint32(0x11, seconds);
}

function disconnect(code: number, block: Buffer): Buffer {
  return frame(0xe0, Buffer.from([code]), properties(block));
}

for (const workers of [1, 3]) {
  describe(`a session of MQTT 5.0, ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers, maxSessionExpiry: 0 });
    });
    after(() => broker.close());

    /** Connects; the client's Session Present. */
    async function open(
      clientId: string,
      seconds: number,
      cleanStart = false,
    ): Promise<[RawClient, boolean]> {
      const client = await broker.raw();
      client.send(connect5({ clientId, cleanStart, properties: expiry(seconds) }));
      const said = parseSaid(await client.readPacket('CONNACK'));
      assert.equal(said.code, 0);
      return [client, said.sessionPresent];
    }

    async function leave(client: RawClient, packet: Buffer): Promise<void> {
      client.send(packet);
      await client.expectClose();
    }

    // [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.1.2-23]
    test('is kept for as long as its client has asked, whatever Clean Start was', async () => {
      const clientId = unique('kept');
      const [first, wasThere] = await open(clientId, 60, true);
      assert.equal(wasThere, false);
      await leave(first, DISCONNECT);
      const [second, isThere] = await open(clientId, NEVER);
      assert.equal(isThere, true);
      await leave(second, DISCONNECT);
      const [third, isThereAgain] = await open(clientId, 0);
      assert.equal(isThereAgain, true);
      await leave(third, DISCONNECT);
      // It has ended with the last connection.
      const [fourth, isGone] = await open(clientId, 60);
      assert.equal(isGone, false);
      await leave(fourth, DISCONNECT);
      const [, isDiscarded] = await open(clientId, 60, true);
      assert.equal(isDiscarded, false);
    });

    test('ends when its time is over', async () => {
      const clientId = unique('short');
      const [client] = await open(clientId, 1);
      const { expiredSessions } = broker.server.stats();
      await leave(client, DISCONNECT);
      await eventually(
        () => broker.server.stats().expiredSessions > expiredSessions,
        'the session to expire',
      );
      assert.equal((await open(clientId, 1))[1], false);
    });

    // 3.14.2.2.2
    test('can be kept for longer, or not, by DISCONNECT', async () => {
      const clientId = unique('changed');
      const [first] = await open(clientId, 1);
      await leave(first, disconnect(0, expiry(60)));
      const [second, isThere] = await open(clientId, 60);
      assert.equal(isThere, true);
      await leave(second, disconnect(0, expiry(0)));
      assert.equal((await open(clientId, 60))[1], false);
    });

    // 3.14.2.2.2
    test('that was to end with its connection is not kept by DISCONNECT', async () => {
      const [client] = await open(unique('none'), 0);
      client.send(disconnect(0, expiry(1)));
      const said = parseSaid(await client.readPacket());
      assert.deepEqual([said.type, said.code], [14, 0x82]);
      await client.expectClose();
    });

    // [MQTT-3.3.4-9]: what was sent on another connection counts when it is sent again.
    test('is resumed by no more messages than its client takes now', async () => {
      const clientId = unique('few');
      const topic = unique('few');
      const [first] = await open(clientId, 60);
      first.send(subscribe5(1, [[topic, 1]]));
      await first.expect(filterAck5(0x90, 1, [1]));
      const [publisher] = await open(unique('publisher'), 0);
      for (const [at, payload] of ['a', 'b', 'c', 'd'].entries()) {
        publisher.send(publish5({ topic, payload, qos: 1, packetId: at + 1 }));
        await publisher.expect(puback(at + 1));
        await first.readPacket('PUBLISH');
      }
      await leave(first, DISCONNECT);
      const second = await broker.raw();
      const block = Buffer.concat([expiry(60), prop.uint16(0x21, 2)]);
      second.send(connect5({ clientId, cleanStart: false, properties: block }));
      assert.equal(parseSaid(await second.readPacket('CONNACK')).sessionPresent, true);
      const next = async () => parsePublish5(await second.readPacket('PUBLISH'));
      const [a, b] = [await next(), await next()];
      second.send(PINGREQ);
      await second.expect(PINGRESP);
      second.send(puback(a.packetId));
      const c = await next();
      second.send(PINGREQ);
      await second.expect(PINGRESP);
      second.send(puback(b.packetId), puback(c.packetId));
      const all = [a, b, c, await next()];
      assert.deepEqual(
        all.map(({ payload, dup }) => [payload, dup]),
        ['a', 'b', 'c', 'd'].map((payload) => [payload, true]),
      );
    });

    test('may be taken up by a 3.1.1 client, and one of that by 5.0', async () => {
      const clientId = unique('both');
      const [first] = await open(clientId, 60);
      await leave(first, DISCONNECT);
      const old = await broker.raw();
      old.send(connect({ clientId, cleanSession: false }));
      await old.expect(connack(true, 0));
      await leave(old, DISCONNECT);
      assert.equal((await open(clientId, 0))[1], true);
    });
  });
}

// 3.2.2.3.2
test('a session is kept no longer than maxSessionExpiry, in 3.1.1 too', async () => {
  await using broker = await startBroker({ workers: 1, maxSessionExpiry: 1, sessionExpiry: 0 });
  const clients = [await broker.raw(), await broker.raw()] as const;
  clients[0].send(connect5({ clientId: 'new', properties: expiry(NEVER) }));
  const said = parseSaid(await clients[0].readPacket());
  assert.equal(said.properties.get(0x11), 1);
  clients[1].send(connect({ clientId: 'old', cleanSession: false }));
  await clients[1].expect(connack(false, 0));
  // Longer than that is shortened, too.
  clients[0].send(disconnect(0, expiry(60)));
  clients[1].send(hex('e0 00'));
  await Promise.all(clients.map((client) => client.expectClose()));
  await eventually(() => broker.server.stats().expiredSessions === 2, 'both to expire');
});

test('sessions that are to be kept count in maxSessions, whatever Clean Start says', async () => {
  await using broker = await startBroker({ workers: 1, maxSessions: 1 });
  async function codeOf(clientId: string, cleanStart: boolean, seconds: number): Promise<number> {
    const client = await broker.raw();
    client.send(connect5({ clientId, cleanStart, properties: expiry(seconds) }));
    return parseSaid(await client.readPacket()).code;
  }
  assert.equal(await codeOf('a', true, 60), 0);
  assert.equal(await codeOf('b', true, 60), 0x97);
  assert.equal(await codeOf('c', false, 0), 0);
});
