/** Shared Subscriptions [MQTT 5.0, 4.8.2], for clients of either version, over all workers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import {
  connack,
  connect,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  parsePublish,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  suback,
  subscribe,
  unsuback,
  unsubscribe,
} from '../support/packets.js';
import {
  connect5,
  filterAck5,
  parsePublish5,
  parseSaid,
  prop,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import { Changes } from '../support/waiting.js';

const PUBLISH = 3;

/** Waits until this holds; it is looked at with each change. */
async function until(changes: Changes, holds: () => boolean, what: string): Promise<void> {
  await changes.until(
    () => (holds() ? true : undefined),
    () => what,
  );
}

for (const workers of [1, 3]) {
  describe(`a shared subscription with ${workers} workers`, () => {
    let broker: Broker;
    before(async () => {
      broker = await startBroker({ workers, maxInflight: 20 });
    });
    after(() => broker.close());

    /** A client of 3.1.1. @param clientId that keeps its session; default: a clean one. */
    async function open(clientId?: string, isKnown = false, of = broker): Promise<RawClient> {
      const client = await of.raw();
      const isKept = clientId !== undefined;
      client.send(connect({ clientId: clientId ?? unique('m'), cleanSession: !isKept }));
      await client.expect(connack(isKnown, 0));
      return client;
    }

    async function member(filter: string, qos: number, clientId?: string): Promise<RawClient> {
      const client = await open(clientId);
      client.send(subscribe(1, [filter, qos]));
      await client.expect(suback(1, qos));
      return client;
    }

    /** Publishes messages with these payloads at QoS 1, each when the last is acknowledged. */
    async function publishAll(topic: string, payloads: readonly string[]): Promise<void> {
      const publisher = await open();
      for (const payload of payloads) {
        publisher.send(publish({ topic, payload, qos: 1, packetId: 1 }));
        await publisher.expect(puback(1));
      }
    }

    const numbers = (count: number) => Array.from({ length: count }, (_, at) => String(at));

    /** The payloads that come to a client until all others have come elsewhere; acknowledged. */
    function collect(client: RawClient, into: string[], changes: Changes): void {
      client.onPacket = (packet) => {
        if (packet[0] >> 4 !== PUBLISH) return;
        const { payload, packetId, qos } = parsePublish(packet);
        into.push(String(payload));
        if (qos === 1) client.send(puback(packetId!));
        changes.notify();
      };
    }

    test('gives each message to one member, to each as many as to the others', async () => {
      const topic = unique('even');
      const changes = new Changes();
      const got: string[][] = [[], [], [], []];
      for (const [at, list] of got.entries()) {
        collect(await member(`$share/g/${topic}`, at < 2 ? 1 : 0), list, changes);
      }
      const whole: string[] = [];
      collect(await member(topic, 1), whole, changes);
      const other: string[] = [];
      collect(await member(`$share/other/${topic}`, 1), other, changes);
      await publishAll(topic, numbers(40));
      await until(changes, () => got.flat().length >= 40 && whole.length === 40, 'all messages');
      await until(changes, () => other.length === 40, 'those of the other group');
      assert.deepEqual(
        got.map((list) => list.length),
        [10, 10, 10, 10],
      );
      assert.deepEqual(new Set(got.flat()).size, 40);
      for (const list of got) {
        assert.deepEqual(
          list,
          [...list].sort((one, two) => Number(one) - Number(two)),
        );
      }
    });

    // [MQTT-4.8.2-4] [MQTT-4.8.2-5]
    test('loses nothing, and gives nothing to two, while members keep leaving', async () => {
      const topic = unique('leaving');
      const filter = `$share/g/${topic}`;
      const changes = new Changes();
      const acknowledged: string[] = [];
      for (let at = 0; at < 4; at++) collect(await member(filter, 1), acknowledged, changes);
      let isOver = false;
      /** Takes some and leaves without acknowledging the last of them. */
      const leaver = async () => {
        while (!isOver) {
          const client = await open();
          let taken = 0;
          const left = new Promise<void>((resolve) => {
            client.onClose = resolve;
          });
          client.onPacket = (packet) => {
            if (packet[0] >> 4 !== PUBLISH || taken > 5) return;
            const { payload, packetId } = parsePublish(packet);
            if (taken++ === 5) {
              void client.cut();
              return;
            }
            acknowledged.push(String(payload));
            client.send(puback(packetId!));
            changes.notify();
          };
          client.send(subscribe(1, [filter, 1]));
          await Promise.race([left, over]);
          await client.cut();
        }
      };
      let end = () => {};
      const over = new Promise<void>((resolve) => {
        end = resolve;
      });
      const leavers = [leaver(), leaver()];
      await publishAll(topic, numbers(600));
      await until(changes, () => new Set(acknowledged).size === 600, 'all messages');
      isOver = true;
      end();
      await Promise.all(leavers);
      // One whose acknowledgement was on its way when its client had left may come twice.
      assert.ok(acknowledged.length < 660, `${acknowledged.length}`);
    });

    // Long pieces are on their way to members, or unacknowledged, when one of them leaves.
    test('loses nothing, and gives nothing to two, while members leave a flood', async () => {
      await using flooded = await startBroker({ workers });
      const openThere = () => open(undefined, false, flooded);
      const filter = '$share/g/flood';
      const changes = new Changes();
      const stayed: string[] = [];
      const received = new Set<string>();
      /** Acknowledges a message. @returns its payload; null: the packet was another. */
      const take = (client: RawClient, packet: Buffer): string | null => {
        if (packet[0] >> 4 !== PUBLISH) return null;
        const { payload, packetId } = parsePublish(packet);
        received.add(String(payload));
        client.send(puback(packetId!));
        changes.notify();
        return String(payload);
      };
      for (let at = 0; at < 4; at++) {
        const client = await openThere();
        client.send(subscribe(1, [filter, 1]));
        await client.expect(suback(1, 1));
        client.onPacket = (packet) => {
          const payload = take(client, packet);
          if (payload !== null) stayed.push(payload);
        };
      }
      let isOver = false;
      let ended = () => {};
      const over = new Promise<void>((resolve) => {
        ended = resolve;
      });
      /** Acknowledges some of what it gets, and leaves with the rest. */
      const leaver = async () => {
        while (!isOver) {
          const client = await openThere();
          const gone = new Promise<void>((resolve) => {
            client.onClose = resolve;
          });
          let taken = 0;
          client.onPacket = (packet) => {
            if (taken === 300 || take(client, packet) === null) return;
            if (++taken === 300) void client.cut();
          };
          client.send(subscribe(1, [filter, 1]));
          await Promise.race([gone, over]);
          await client.cut();
        }
      };
      const leavers = [leaver(), leaver()];
      const publisher = await openThere();
      const all = numbers(20_000);
      for (let from = 0; from < all.length; from += 500) {
        const batch = all.slice(from, from + 500);
        const frames = batch.map((payload, at) =>
          publish({ topic: 'flood', payload, qos: 1, packetId: at + 1 }),
        );
        publisher.send(Buffer.concat(frames));
        for (const at of batch.keys()) await publisher.expect(puback(at + 1));
      }
      await until(changes, () => received.size === all.length, 'all messages');
      isOver = true;
      ended();
      await Promise.all(leavers);
      assert.equal(new Set(stayed).size, stayed.length);
    });

    // [MQTT-4.8.2-5]
    test('of QoS 2 gives to another what was not received, and nothing that was', async () => {
      const topic = unique('twice');
      const filter = `$share/g/${topic}`;
      const first = await member(filter, 2);
      const publisher = await open();
      for (const packetId of [1, 2]) {
        publisher.send(publish({ topic, payload: String(packetId), qos: 2, packetId }));
        await publisher.expect(pubrec(packetId));
        publisher.send(pubrel(packetId));
        await publisher.expect(pubcomp(packetId));
      }
      const one = parsePublish(await first.readPacket('PUBLISH'));
      const two = parsePublish(await first.readPacket('PUBLISH'));
      assert.deepEqual([String(one.payload), String(two.payload)], ['1', '2']);
      first.send(pubrec(one.packetId!));
      await first.expect(pubrel(one.packetId!));
      const second = await member(filter, 2);
      await first.cut();
      const again = parsePublish(await second.readPacket('PUBLISH'));
      assert.deepEqual([String(again.payload), again.dup], ['2', false]);
      second.send(PINGREQ);
      await second.expect(PINGRESP);
    });

    test('outlives a member whose will is for its own group', async () => {
      const topic = unique('will');
      const filter = `$share/g/${topic}`;
      const clientId = unique('kept');
      const client = await broker.raw();
      const will = { topic, payload: 'last', qos: 1 as const };
      client.send(connect({ clientId, cleanSession: false, will }));
      await client.expect(connack(false, 0));
      client.send(subscribe(1, [filter, 1]));
      await client.expect(suback(1, 1));
      await client.cut();
      const next = await member(filter, 1);
      assert.equal(String(parsePublish(await next.readPacket('PUBLISH')).payload), 'last');
    });

    test('keeps messages while none of its members is here', async () => {
      const topic = unique('away');
      const filter = `$share/g/${topic}`;
      const clientId = unique('kept');
      const kept = await member(filter, 1, clientId);
      kept.send(DISCONNECT);
      await kept.expectClose();
      await publishAll(topic, numbers(30));
      const changes = new Changes();
      const got: string[] = [];
      const back = await broker.raw();
      collect(back, got, changes);
      back.send(connect({ clientId, cleanSession: false }));
      await until(changes, () => got.length === 30, 'what has waited');
      assert.deepEqual(got, numbers(30));
    });

    // [MQTT-3.10.4-2]
    test('gives what waits for a member that unsubscribes to the others', async () => {
      const topic = unique('ending');
      const filter = `$share/g/${topic}`;
      const stuck = await member(filter, 1);
      const changes = new Changes();
      let sent = 0;
      stuck.onPacket = (packet) => {
        if (packet[0] >> 4 === PUBLISH) sent++;
        changes.notify();
      };
      // It acknowledges nothing: what is beyond its window waits.
      await publishAll(topic, numbers(300));
      const got: string[] = [];
      collect(await member(filter, 1), got, changes);
      stuck.send(unsubscribe(2, filter));
      await until(changes, () => got.length + sent >= 300, 'the rest');
      assert.ok(got.length > 0);
      assert.equal(got.length + sent, 300);
    });

    // 4.8.2: no retained messages.
    test('is sent nothing that is retained, and names its identifier', async () => {
      const topic = unique('kept');
      const publisher = await open();
      publisher.send(publish({ topic, payload: 'kept', qos: 1, packetId: 1, retain: true }));
      await publisher.expect(puback(1));
      const client = await broker.raw();
      client.send(connect5({ clientId: unique('five') }));
      const { properties } = parseSaid(await client.readPacket('CONNACK'));
      assert.equal(properties.has(0x2a), false);
      client.send(subscribe5(1, [[`$share/g/${topic}`, 1]], prop.varint(0x0b, 300)));
      await client.expect(filterAck5(0x90, 1, [1]));
      publisher.send(publish({ topic, payload: 'live', qos: 1, packetId: 2 }));
      await publisher.expect(puback(2));
      const { payload, block } = parsePublish5(await client.readPacket('PUBLISH'));
      assert.deepEqual([payload, block], ['live', '0bac02']);
    });

    // [MQTT-3.8.3-4]
    test('with No Local closes with 0x82', async () => {
      const client = await broker.raw();
      client.send(connect5({ clientId: unique('five') }));
      await client.readPacket('CONNACK');
      client.send(subscribe5(1, [['$share/g/t', 0x05]]));
      assert.equal(parseSaid(await client.readPacket('DISCONNECT')).code, 0x82);
      await client.expectClose();
    });

    // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    test('needs a name without wildcards, and a filter', async () => {
      const client = await open();
      const wrong = [
        '$share/g',
        '$share//t',
        '$share/+/t',
        '$share/g#/t',
        '$share/g/',
        '$share/g/a#',
      ];
      client.send(subscribe(3, ...wrong.map((filter) => [filter, 1] as [string, number])));
      await client.expect(suback(3, ...wrong.map(() => 0x80)));
      client.send(unsubscribe(4, '$share/g/t'));
      await client.expect(unsuback(4));
    });
  });
}

for (const workers of [1, 3]) {
  describe(`strategies of shared subscriptions with ${workers} workers`, () => {
    /** Payloads that each of three members gets of ten messages on each of six topics. */
    async function dealt(
      sharedStrategy: 'sticky' | 'hash' | 'least',
      isStuck: (at: number) => boolean,
    ): Promise<string[][]> {
      await using broker = await startBroker({ workers, sharedStrategy });
      const changes = new Changes();
      const got: string[][] = [[], [], []];
      for (const [at, list] of got.entries()) {
        const client = await broker.raw();
        client.send(connect({ clientId: unique('m') }));
        await client.expect(connack(false, 0));
        client.send(subscribe(1, ['$share/g/+', 1]));
        await client.expect(suback(1, 1));
        client.onPacket = (packet) => {
          if (packet[0] >> 4 !== PUBLISH) return;
          const { payload, packetId } = parsePublish(packet);
          list.push(String(payload));
          if (!isStuck(at)) client.send(puback(packetId!));
          changes.notify();
        };
      }
      const publisher = await broker.raw();
      publisher.send(connect({ clientId: unique('p') }));
      await publisher.expect(connack(false, 0));
      for (let count = 1; count <= 60; count++) {
        const payload = `${count % 6}`;
        publisher.send(publish({ topic: `t${payload}`, payload, qos: 1, packetId: 1 }));
        await publisher.expect(puback(1));
        await until(changes, () => got.flat().length === count, 'it to come');
      }
      return got;
    }

    test('sticky: a topic goes to one member', async () => {
      const got = await dealt('sticky', () => false);
      const topics = got.map((list) => new Set(list));
      assert.equal(
        topics.reduce((sum, each) => sum + each.size, 0),
        6,
      );
    });

    test('hash: a publisher goes to one member', async () => {
      const got = await dealt('hash', () => false);
      assert.deepEqual(got.map((list) => list.length).sort(), [0, 0, 60]);
    });

    test('least: one that acknowledges nothing gets less than those that do', async () => {
      const got = await dealt('least', (at) => at === 0);
      assert.ok(got[0]!.length < 12, `${got.map((list) => list.length)}`);
    });
  });
}
