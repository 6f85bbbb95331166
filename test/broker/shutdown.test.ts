/**
 * Closing a server that has clients: what it has acknowledged is delivered, then everybody is
 * closed.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Broker, startBroker, unique, WORKER_COUNTS } from '../support/broker.js';
import { PINGREQ, puback, publish } from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { numbers } from '../support/suite.js';
import { Type } from '../support/test-client.js';
import { within } from '../support/waiting.js';

/** What a close has to complain of: that a shard did not end by itself, and was ended. */
function closingWarnings({ logs }: Broker): string[] {
  return logs.map(({ message }) => message).filter((message) => message.includes('in time'));
}

for (const workers of WORKER_COUNTS) {
  describe(`close, ${workers === 1 ? '1 worker' : `${workers} workers`}`, () => {
    test('every message that was acknowledged reaches its subscribers first', async () => {
      const broker = await startBroker({ workers });
      const topic = unique('acknowledged');
      const subscribers = [];
      for (let n = 0; n < 3; n++) {
        const subscriber = await broker.client({ clientId: unique('subscriber') });
        await subscriber.subscribe([topic, n]);
        subscribers.push(subscriber);
      }
      const publisher = await broker.client({ clientId: unique('publisher') });
      const packets = numbers(1, 5_000).map((payload) =>
        publish({ topic, payload, qos: 1, packetId: Number(payload) }),
      );
      publisher.raw.send(...packets);
      await publisher.until(() => publisher.acks.length >= 500, 'some acknowledgements');
      const closed = broker.server.close();
      await publisher.untilClosed();
      for (const subscriber of subscribers) await subscriber.untilClosed();
      await closed;
      const acknowledged = publisher.acks.filter(({ type }) => type === Type.puback).length;
      for (const subscriber of subscribers) {
        const received = subscriber.payloads.length;
        assert.ok(received >= acknowledged, `${acknowledged} acknowledged, ${received} received`);
        assert.deepEqual(subscriber.payloads, numbers(1, received));
      }
      await broker.close();
    });

    test('the log says what was only in memory and goes, and is silent otherwise', async () => {
      const broker = await startBroker({ workers });
      const topic = unique('gone');
      const absent = await broker.client({ clientId: unique('absent'), cleanSession: false });
      await absent.subscribe([topic, 1]);
      await absent.disconnect();
      const publisher = await broker.client({ clientId: unique('publisher') });
      for (const payload of ['1', '2', '3']) await publisher.publish(topic, payload, { qos: 1 });
      await publisher.publish(unique('kept'), 'x', { qos: 1, retain: true });
      await broker.server.close();
      const told = (logs: typeof broker.logs) =>
        logs
          .filter(({ message }) => message.includes('only in memory'))
          .map(({ fields }) => fields);
      const gone = { sessions: 1, queuedMessages: 3, inflightMessages: 0, retainedMessages: 1 };
      assert.deepEqual(told(broker.logs), [gone]);
      await broker.close();
      const other = await startBroker({ workers });
      await other.client({ clientId: unique('clean') });
      await other.close();
      assert.deepEqual(told(other.logs), []);
    });

    test('connections are refused afterwards, and those not connected yet are closed', async () => {
      const broker = await startBroker({ workers });
      const silent = await broker.raw();
      const client = await broker.client({ clientId: unique('client') });
      await broker.server.close();
      await silent.expectClose();
      await client.untilClosed();
      await assert.rejects(RawClient.open(broker), /ECONNREFUSED/);
      await broker.close();
    });

    // A client takes an answer for a sign that what it has sent before has come.
    test('nothing is answered behind a publication that is not taken any more', async () => {
      const broker = await startBroker({ workers });
      const topic = unique('late');
      const { raw } = await broker.client({ clientId: unique('publisher') });
      const answers: number[] = [];
      raw.onPacket = (packet) => answers.push(packet[0] >> 4);
      const closed = broker.server.close();
      const sendMore = setInterval(() => {
        raw.send(publish({ topic, payload: 'x', qos: 1, packetId: 1 }), PINGREQ);
      }, 1);
      await raw.untilClosed();
      clearInterval(sendMore);
      await closed;
      const expected = answers.map((_, at) => (at % 2 === 0 ? Type.puback : Type.pingresp));
      assert.deepEqual(answers, expected);
      await broker.close();
    });

    test('a client that does not read does not hold the close up for ever', async () => {
      // Long: it is the client's silence that ends the wait, not the time for all.
      const timeouts = { stopMs: 600_000 };
      const broker = await startBroker({ workers, slowConsumerTimeout: 0.1 }, { timeouts });
      const topic = unique('slow');
      const slow = await broker.client({ clientId: unique('slow') });
      await slow.subscribe([topic, 0]);
      const publisher = await broker.client({ clientId: unique('publisher') });
      slow.raw.pauseReading();
      await publisher.publishAll(
        topic,
        numbers(1, 800).map((n) => n.padEnd(16_384)),
      );
      // It stays connected meanwhile: a test that ends its clients first has nobody to wait for.
      await within(broker.server.close(), 'the server to close');
      slow.raw.resumeReading();
      await slow.untilClosed();
      assert.ok(slow.messages.length < 800, 'nothing was left for a client that does not read');
      assert.deepEqual(closingWarnings(broker), []);
      await broker.close();
    });

    test('a client that is slow without end holds the close up for its time only', async () => {
      const broker = await startBroker({ workers, maxInflight: 1 }, { timeouts: { stopMs: 300 } });
      const topic = unique('slow');
      const slow = await broker.client({ clientId: unique('slow'), acknowledge: false });
      await slow.subscribe([topic, 1]);
      // Each acknowledgement is a step forward, and there are more than the time allows for.
      slow.onMessage = ({ packetId }) => setTimeout(() => slow.raw.send(puback(packetId)), 30);
      const publisher = await broker.client({ clientId: unique('publisher') });
      await publisher.publishAll(topic, numbers(1, 5_000), { qos: 1 });
      await within(broker.server.close(), 'the server to close');
      await slow.untilClosed();
      assert.ok(slow.messages.length < 5_000, 'all was delivered: nothing held the close up');
      assert.deepEqual(closingWarnings(broker), []);
      await broker.close();
    });
  });
}
