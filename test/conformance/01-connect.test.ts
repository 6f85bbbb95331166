/** Connecting: what the broker makes of CONNECT and of what comes around it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { unique } from '../support/broker.js';
import {
  connack,
  connect,
  PINGREQ,
  PINGRESP,
  publish,
  suback,
  subscribe,
} from '../support/packets.js';
import { describeTheme } from '../support/suite.js';

describeTheme('connect', (theme) => {
  // [MQTT-3.1.4-4] [MQTT-3.2.0-1]
  test('CONNACK 0 is the first packet a client gets, on every shard', async () => {
    for (let n = 0; n < theme.workers * 2; n++) {
      const client = await theme.broker.raw();
      client.send(connect({ clientId: unique('first') }));
      await client.expect(connack(false, 0));
    }
  });

  // Section 3.1.4: clients are allowed to send packets before they receive CONNACK.
  test('packets sent with CONNECT are kept and handled after CONNACK', async () => {
    for (let n = 0; n < theme.workers; n++) {
      const client = await theme.broker.raw();
      const topic = unique('pipelined');
      const message = publish({ topic, payload: 'm' });
      client.send(
        connect({ clientId: unique('pipelined') }),
        subscribe(7, [topic, 0]),
        message,
        PINGREQ,
      );
      await client.expect(connack(false, 0));
      const rest = [
        await client.readPacket(),
        await client.readPacket(),
        await client.readPacket(),
      ];
      const wanted = [suback(7, 0), message, PINGRESP];
      assert.deepEqual(rest.map(String).sort(), wanted.map(String).sort());
    }
  });

  // Section 3.1.4
  test('a large message cut anywhere behind CONNECT arrives whole', async () => {
    const topic = unique('cut');
    const subscriber = await theme.broker.client({ clientId: unique('cut') });
    await subscriber.subscribe([topic, 1]);
    const payload = 'x'.repeat(300_000);
    const publisher = await theme.broker.raw();
    const bytes = Buffer.concat([
      connect({ clientId: unique('cut') }),
      publish({ topic, payload, qos: 1, packetId: 3 }),
    ]);
    await publisher.sendInPieces(bytes, 9_973);
    await publisher.expect(connack(false, 0));
    await publisher.expect('40 02 0003');
    assert.equal((await subscriber.nextMessage()).payload, payload);
  });

  // [MQTT-3.1.4-5]
  test('packets sent with a refused CONNECT are not processed', async () => {
    const topic = unique('refused');
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([topic, 0]);
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    for (const [fields, returnCode] of [
      [{ level: 9 }, 1],
      [{ clientId: '', cleanSession: false }, 2],
    ] as const) {
      const refused = await theme.broker.raw();
      refused.send(connect(fields), publish({ topic, payload: 'refused' }));
      await refused.expect(connack(false, returnCode));
      await refused.expectClose();
    }
    await publisher.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await watcher.messagesUntil('end'), []);
  });

  // [MQTT-3.1.3-6]
  test('clients without a client id are told apart', async () => {
    const clients = [];
    for (let n = 0; n < 6; n++) clients.push(await theme.broker.client({ clientId: '' }));
    for (const client of clients) {
      assert.equal(client.sessionPresent, false);
      await client.ping();
    }
  });

  // [MQTT-3.1.3-2] [MQTT-4.7.3-4]: no normalization, of client ids neither.
  test('client ids that only look alike are different clients', async () => {
    const name = unique('alike');
    const ids = [
      `${name}é`,
      `${name}e\u0301`,
      `${name}É`,
      `${name}é `,
      ` ${name}é`,
      `\ufeff${name}é`,
    ];
    const clients = [];
    for (const clientId of ids) clients.push(await theme.broker.client({ clientId }));
    for (const client of clients) await client.ping();
  });

  // [MQTT-3.1.3-5] [MQTT-3.1.3-4]
  test('client ids of 1 to 65,535 bytes are accepted', async () => {
    const ids = ['x', 'X'.repeat(23), 'y'.repeat(24), 'z'.repeat(65_535), 'a-b_c.d/e#f+g$', '火'];
    for (const clientId of ids) {
      const first = await theme.broker.client({ clientId, cleanSession: false });
      assert.equal(first.sessionPresent, false);
      await first.disconnect();
      const second = await theme.broker.client({ clientId, cleanSession: false });
      assert.equal(second.sessionPresent, true);
      await second.disconnect();
    }
  });

  // [MQTT-3.1.0-2]
  test('a second CONNECT closes the connection and its session stays usable', async () => {
    const clientId = unique('twice');
    const client = await theme.broker.raw();
    client.send(connect({ clientId, cleanSession: false }));
    await client.expect(connack(false, 0));
    client.send(connect({ clientId, cleanSession: false }));
    await client.expectClose();
    const next = await theme.broker.client({ clientId, cleanSession: false });
    assert.equal(next.sessionPresent, true);
  });

  // [MQTT-3.1.0-1]
  test('what is sent before CONNECT is not processed', async () => {
    const topic = unique('before');
    const watcher = await theme.broker.client({ clientId: unique('watcher') });
    await watcher.subscribe([topic, 0]);
    const early = await theme.broker.raw();
    early.send(publish({ topic, payload: 'early' }), connect({ clientId: unique('early') }));
    await early.expectClose();
    await watcher.publish(topic, 'end');
    assert.deepEqual(await watcher.messagesUntil('end'), []);
  });

  // [MQTT-3.2.2-4] [MQTT-3.2.2-5]
  test('a refusal says no session present, even if there is one', async () => {
    const clientId = unique('session');
    const client = await theme.broker.client({ clientId, cleanSession: false });
    await client.disconnect();
    const refused = await theme.broker.raw();
    refused.send(connect({ clientId, cleanSession: false, level: 9 }));
    await refused.expect(connack(false, 1));
    await refused.expectClose();
  });

  // [MQTT-3.1.2-1]
  test('3.1 and 3.1.1 clients talk to each other', async () => {
    const topic = unique('versions');
    const old = await theme.broker.client({ clientId: unique('old'), level: 3 });
    const recent = await theme.broker.client({ clientId: unique('recent') });
    await old.subscribe([topic, 2]);
    await recent.subscribe([topic, 2]);
    // One after the other: publications of two clients have no order between them [MQTT-4.6.0-6].
    await old.publish(topic, 'from old', { qos: 2 });
    for (const client of [old, recent]) {
      assert.equal((await client.nextMessage()).payload, 'from old');
    }
    await recent.publish(topic, 'from recent', { qos: 1 });
    for (const client of [old, recent]) {
      assert.equal((await client.nextMessage()).payload, 'from recent');
    }
  });
});

describeTheme(
  'connect time-out',
  (theme) => {
    // [MQTT-3.1.4], non normative: close if no CONNECT comes within a reasonable time.
    test('a connection that says nothing is closed', async () => {
      const clients = [];
      for (let n = 0; n < theme.workers; n++) clients.push(await theme.broker.raw());
      for (const client of clients) await client.expectClose();
    });

    test('a connection that trickles half a CONNECT is closed at the time-out', async () => {
      const client = await theme.broker.raw();
      const bytes = connect({ clientId: 'x'.repeat(1_000) });
      let sent = 0;
      // Ten seconds for all of it: each byte comes soon after the last, and still it is too late.
      for (; sent < bytes.length && !client.isClosed; sent++) {
        client.send(bytes.subarray(sent, sent + 1));
        await delay(10);
      }
      assert.ok(sent < bytes.length, 'closed before the whole CONNECT was sent');
      await client.expectClose();
    });

    test('a client that has connected in time is not closed', async () => {
      const early = await theme.broker.client({ clientId: unique('early') });
      const silent = await theme.broker.raw();
      await silent.expectClose();
      await early.ping();
    });
  },
  { connectTimeout: 0.7 },
);
