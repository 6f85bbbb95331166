/**
 * Takeover: a client id that connects again, on the same shard or another, has its old connection
 * closed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IS_MOSQUITTO, unique } from '../support/broker.js';
import { connect, publish, pubrel } from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { describeTheme, numbers } from '../support/suite.js';
import { Type } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

describeTheme('takeover', (theme) => {
  // [MQTT-3.1.4-2] [MQTT-3.1.4-3]
  test('the old connection is closed and the new one goes on with its session', async () => {
    const clientId = unique('taken');
    const topic = unique('taken');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    let holder = await theme.broker.client({ clientId, cleanSession: false });
    await holder.subscribe([topic, 1]);
    for (let n = 0; n < theme.workers * 3; n++) {
      const next = await theme.broker.client({ clientId, cleanSession: false });
      assert.equal(next.sessionPresent, true);
      await holder.untilClosed();
      await publisher.publish(topic, String(n), { qos: 1 });
      assert.equal((await next.nextMessage()).payload, String(n));
      // The broker has seen the PUBACK before the next connection comes.
      await next.ping();
      holder = next;
    }
  });

  // [MQTT-3.2.2-1] [MQTT-3.1.2-6]
  test('a clean session takes the client id and throws the old session away', async () => {
    const clientId = unique('clean');
    const topic = unique('clean');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const old = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await old.subscribe([topic, 1], [`${topic}/2`, 2]);
    await publisher.publish(topic, 'unacknowledged', { qos: 1 });
    await old.nextMessage();
    const clean = await theme.broker.client({ clientId, cleanSession: true });
    assert.equal(clean.sessionPresent, false);
    await old.untilClosed();
    await publisher.publish(topic, 'no', { qos: 1 });
    await clean.subscribe([`${topic}/end`, 1]);
    await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
    assert.deepEqual(await clean.messagesUntil('end'), []);
  });

  // [MQTT-3.1.2-6]: a clean session lasts as long as its connection.
  test('a clean session that is taken over leaves nothing to the next', async () => {
    const clientId = unique('left');
    const topic = unique('left');
    const clean = await theme.broker.client({ clientId, cleanSession: true });
    await clean.subscribe([topic, 1]);
    const next = await theme.broker.client({ clientId, cleanSession: false });
    assert.equal(next.sessionPresent, false);
    await clean.untilClosed();
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    await publisher.publish(topic, 'no', { qos: 1 });
    await next.subscribe([`${topic}/end`, 1]);
    await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
    assert.deepEqual(await next.messagesUntil('end'), []);
  });

  // [MQTT-4.4.0-1] [MQTT-4.6.0-1]
  test('what the old connection had not acknowledged is sent again on the new one', async () => {
    const clientId = unique('inflight');
    const topic = unique('inflight');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    let holder = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
    await holder.subscribe([topic, 2]);
    await publisher.publishAll(topic, numbers(1, 30), { qos: 1 });
    await publisher.publishAll(topic, numbers(31, 60), { qos: 2 });
    const sent = await holder.nextMessages(60);
    for (let n = 0; n < theme.workers + 1; n++) {
      const next = await theme.broker.client({ clientId, cleanSession: false, acknowledge: false });
      const again = await next.nextMessages(60);
      assert.deepEqual(
        again.map(({ packetId, payload, dup }) => [packetId, payload, dup]),
        sent.map(({ packetId, payload }) => [packetId, payload, true]),
      );
      await holder.untilClosed();
      holder = next;
    }
  });

  // [MQTT-4.3.3-2]
  test('QoS 2 packet ids received by the old connection are known to the new one', async () => {
    const clientId = unique('incoming');
    const topic = unique('incoming');
    const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 2]);
    const old = await theme.broker.client({ clientId, cleanSession: false });
    old.raw.send(publish({ topic, payload: 'm', qos: 2, packetId: 5 }));
    await old.takeAck(Type.pubrec, 5);
    const next = await theme.broker.client({ clientId, cleanSession: false });
    next.raw.send(publish({ topic, payload: 'm', qos: 2, packetId: 5, dup: true }));
    await next.takeAck(Type.pubrec, 5);
    next.raw.send(pubrel(5));
    await next.takeAck(Type.pubcomp, 5);
    await next.publish(topic, 'end', { qos: 2 });
    await subscriber.messagesUntil('end');
    assert.deepEqual(subscriber.payloads, ['m', 'end']);
  });

  // [MQTT-3.1.4-2]
  test('of many connections with one client id at once a single one stays, and works', async () => {
    const clientId = unique('storm');
    const topic = unique('storm');
    const clients = await Promise.all(Array.from({ length: 24 }, () => theme.broker.raw()));
    for (const client of clients) client.send(connect({ clientId, cleanSession: false }));
    const isOpen = (client: RawClient) => !client.isClosed;
    await eventually(() => clients.filter(isOpen).length === 1, 'one connection to be left');
    const [winner] = clients.filter(isOpen);
    assert.equal((await winner.readPacket('CONNACK')).toString('hex').slice(0, 4), '2002');
    winner.send('82 06 0001 0001 78 01');
    await winner.expect('90 03 0001 01');
    // The session is whole: it can be resumed, by one that waits its turn.
    const next = await theme.broker.client({ clientId, cleanSession: false });
    assert.equal(next.sessionPresent, true);
    await next.subscribe([topic, 1]);
    await next.publish(topic, 'm', { qos: 1 });
    assert.equal((await next.nextMessage()).payload, 'm');
  });

  test('storms of clean and persistent sessions leave one connection a client id', async () => {
    const ids = [unique('mixed'), unique('mixed'), unique('mixed')];
    const clients = await Promise.all(Array.from({ length: 60 }, () => theme.broker.raw()));
    for (const [n, client] of clients.entries()) {
      client.send(connect({ clientId: ids[n % 3], cleanSession: n % 2 === 0 }));
    }
    const isOpen = (client: RawClient) => !client.isClosed;
    await eventually(() => clients.filter(isOpen).length === 3, 'one connection a client id');
    for (const client of clients.filter(isOpen)) {
      await client.readPacket('CONNACK');
      client.send('c0 00');
      await client.expect('d0 00');
    }
    if (IS_MOSQUITTO) return;
    const { server } = theme.broker;
    await eventually(() => server.stats().connectionsOpen === 3, 'the others to be forgotten');
  });

  // [MQTT-3.1.4-2]: the client that is thrown out has gone before the new one was accepted.
  test('a client that vanishes while its client id is taken harms nobody', async () => {
    const clientId = unique('vanish');
    const rounds = 20;
    for (let n = 0; n < rounds; n++) {
      const old = await theme.broker.client({ clientId, cleanSession: n % 3 === 0 });
      const hasty = await RawClient.open(theme.broker);
      hasty.send(connect({ clientId, cleanSession: false }));
      await Promise.all([old.cut(), hasty.cut()]);
    }
    // The CONNECT of a hasty one may be read by its shard after this one's by another: each takes
    // the client id once at most.
    let isHere = false;
    for (let attempt = 0; attempt <= rounds && !isHere; attempt++) {
      const last = await theme.broker.client({ clientId, cleanSession: true });
      assert.equal(last.sessionPresent, false);
      isHere = await last.ping().then(
        () => true,
        () => false,
      );
    }
    assert.ok(isHere, 'the client id is free again');
  });
});
