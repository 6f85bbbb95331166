/**
 * Order, loss and duplicates: what one publisher says on a topic arrives in that order, whatever
 * happens between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from '../support/broker.js';
import { type Message, publish, pubrel, type QoS } from '../support/packets.js';
import { describeTheme, numbers } from '../support/suite.js';
import { type TestClient, Type } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

/** A small generator of numbers from 0 to `below` - 1: the same ones in every run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

/**
 * Checks what a subscriber that came and went has received: all of it, in order, repeats only with
 * DUP.
 */
function checkAtLeastOnce(messages: readonly Message[], count: number): void {
  let last = 0;
  for (const { payload, dup } of messages) {
    const value = Number(payload);
    if (value === last + 1) last = value;
    else assert.ok(value <= last && dup, `${value} after ${last}, DUP ${dup}`);
  }
  assert.equal(last, count);
}

describeTheme('order', (theme) => {
  for (const [qos, count] of [
    [0, 6_000],
    [1, 3_000],
    [2, 1_500],
  ] as const) {
    // [MQTT-4.6.0-5] [MQTT-4.6.0-6]
    test(`QoS ${qos} keeps the order of each publisher and topic on every shard`, async () => {
      const topic = unique('order');
      const subscribers = [];
      for (let n = 0; n < 3; n++) {
        const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
        await subscriber.subscribe([`${topic}/+`, qos]);
        subscribers.push(subscriber);
      }
      const publishers = [];
      for (let n = 0; n < 3; n++)
        publishers.push(await theme.broker.client({ clientId: unique('publisher') }));
      await Promise.all(
        publishers.map(async (publisher, who) => {
          // Runs of several lengths on three topics by turns.
          for (let at = 0, run = 1; at < count; at += run, run = (run % 97) + 7) {
            const payloads = numbers(at + 1, Math.min(at + run, count)).map((n) => `${who} ${n}`);
            await publisher.publishAll(`${topic}/${at % 3}`, payloads, { qos });
          }
        }),
      );
      for (const subscriber of subscribers) {
        await subscriber.until(() => subscriber.messages.length >= 3 * count, 'all messages');
        const last = new Map<string, number>();
        for (const { topic: name, payload } of subscriber.messages) {
          const [who, value] = payload.split(' ');
          const key = `${who} ${name}`;
          assert.ok(Number(value) > (last.get(key) ?? 0), `${payload} after ${last.get(key)}`);
          last.set(key, Number(value));
        }
        assert.equal(new Set(subscriber.payloads).size, 3 * count, 'each of them once');
      }
    });
  }

  /**
   * A subscriber that connects, reads a while, and goes: by a cut, DISCONNECT or a takeover, over
   * and over.
   * @param onProgress is told how many messages have come.
   */
  async function comeAndGo(
    clientId: string,
    count: number,
    onProgress: (messages: number) => void,
  ): Promise<Message[]> {
    const next = sequence(count);
    const messages: Message[] = [];
    const received = new Set<number>();
    const isComplete = (client: TestClient) => client.payloads.at(-1) === String(count);
    let abandoned: TestClient | undefined;
    for (let isDone = false; !isDone; ) {
      const client = await theme.broker.client({ clientId, cleanSession: false, received });
      assert.equal(client.sessionPresent, true);
      await abandoned?.untilClosed();
      const before = messages.length;
      client.onMessage = () => onProgress(before + client.messages.length);
      onProgress(before + client.messages.length);
      const enough = client.messages.length + next(250);
      await client.until(() => client.messages.length >= enough || isComplete(client), 'messages');
      abandoned = undefined;
      const how = next(3);
      if (how === 0) await client.cut();
      else if (how === 1) await client.disconnect();
      else {
        // Left open: the next connection takes over. What still comes on this one, nobody reads.
        client.acknowledge = false;
        client.raw.onPacket = () => {};
        abandoned = client;
      }
      messages.push(...client.messages);
      // Not before: the last message may have come while the client was leaving.
      isDone = isComplete(client);
    }
    return messages;
  }

  for (const [qos, count] of [
    [1, 4_000],
    [2, 2_500],
  ] as const) {
    // [MQTT-4.6.0-1] [MQTT-4.6.0-6] [MQTT-4.4.0-1] [MQTT-3.1.2-5] [MQTT-4.3.3-1]
    test(`a subscriber that comes and goes gets all of QoS ${qos} in order`, async () => {
      const clientId = unique('flapping');
      const topic = unique('flapping');
      const first = await theme.broker.client({ clientId, cleanSession: false });
      await first.subscribe([topic, qos]);
      await first.cut();
      const publisher = await theme.broker.client({ clientId: unique('publisher') });
      let progress = 0;
      const published = (async () => {
        for (let at = 0; at < count; at += 20) {
          // Not far ahead: the subscriber is to come and go while messages are published.
          await eventually(() => at - progress < 300, 'the subscriber to keep up');
          await publisher.publishAll(topic, numbers(at + 1, at + 20), { qos });
        }
      })();
      const messages = await comeAndGo(clientId, count, (messages) => {
        progress = messages;
      });
      await published;
      if (qos === 1) checkAtLeastOnce(messages, count);
      else {
        assert.deepEqual(
          messages.map(({ payload }) => payload),
          numbers(1, count),
        );
      }
    });
  }

  // [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.4.0-1]
  test('a QoS 2 publisher may lose its connection at any step: all arrives once', async () => {
    const topic = unique('publisher');
    const clientId = unique('publisher');
    const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 2]);
    const next = sequence(3);
    let client = await theme.broker.client({ clientId, cleanSession: false });
    /** Goes on over a new connection, sometimes without waiting for the old one to end. */
    const reconnect = async () => {
      const old = client;
      if (next(2) === 0) await old.cut();
      client = await theme.broker.client({ clientId, cleanSession: false });
    };
    for (let n = 1; n <= 150; n++) {
      const packetId = (n % 5) + 1;
      const fields = { topic, payload: String(n), qos: 2, packetId };
      client.raw.send(publish(fields));
      const step = next(4);
      if (step === 0) {
        await reconnect();
        client.raw.send(publish({ ...fields, dup: true }));
      }
      await client.takeAck(Type.pubrec, packetId);
      if (step === 1) {
        await reconnect();
        client.raw.send(publish({ ...fields, dup: true }));
        await client.takeAck(Type.pubrec, packetId);
      }
      client.raw.send(pubrel(packetId));
      if (step === 2) {
        await reconnect();
        client.raw.send(pubrel(packetId));
      }
      await client.takeAck(Type.pubcomp, packetId);
    }
    await subscriber.until(() => subscriber.payloads.at(-1) === '150', 'all messages');
    assert.deepEqual(subscriber.payloads, numbers(1, 150));
  });

  // The specification promises order for one topic and QoS; the broker keeps it among them as well
  // while the subscriber's window has room.
  test('messages of mixed QoS arrive in the order in which they were acknowledged', async () => {
    const topic = unique('mixed');
    const subscriber = await theme.broker.client({ clientId: unique('subscriber') });
    await subscriber.subscribe([topic, 2]);
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    const next = sequence(5);
    for (const payload of numbers(1, 400)) {
      await publisher.publish(topic, payload, { qos: next(3) as QoS });
    }
    await subscriber.until(() => subscriber.payloads.at(-1) === '400', 'all messages');
    assert.deepEqual(subscriber.payloads, numbers(1, 400));
  });

  // [MQTT-4.6.0-6]: from the queue of the absent client to live delivery without a seam.
  test('messages that waited and messages that come live follow each other in order', async () => {
    const clientId = unique('seam');
    const topic = unique('seam');
    const publisher = await theme.broker.client({ clientId: unique('publisher') });
    for (const qos of [1, 2] as const satisfies QoS[]) {
      for (let round = 0; round < 15; round++) {
        const name = `${topic}/${qos}/${round}`;
        const first = await theme.broker.client({ clientId, cleanSession: false });
        await first.subscribe([name, qos]);
        await first.disconnect();
        await publisher.publishAll(name, numbers(1, 100), { qos });
        const published = (async () => {
          for (let at = 100; at < 200; at += 5) {
            await publisher.publishAll(name, numbers(at + 1, at + 5), { qos });
          }
        })();
        const next = await theme.broker.client({ clientId, cleanSession: false });
        await published;
        await next.until(() => next.payloads.at(-1) === '200', 'all messages');
        assert.deepEqual(next.payloads, numbers(1, 200));
        await next.unsubscribe(name);
        await next.disconnect();
      }
    }
  });
});
