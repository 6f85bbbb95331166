/** What was acknowledged for a group of Shared Subscriptions, when the broker is killed. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { PacketType } from '../../src/protocol/packet.js';
import { Faults } from '../support/kill/faults.js';
import { KillableBroker } from '../support/kill/killable-broker.js';
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
} from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { Changes } from '../support/waiting.js';

/** Of a client's SUBSCRIBE and PUBLISH packets. */
const ID = 1;

/** A client, and what has come to it. */
class Member {
  readonly client: RawClient;
  /** Payloads, in the order in which they came. */
  readonly got: string[] = [];
  /** Packet ids that they had. */
  readonly packetIds: number[] = [];
  readonly #changes = new Changes();
  #released = 0;
  /** Packets of other kinds. */
  readonly #others: Buffer[] = [];

  constructor(client: RawClient, acknowledges: boolean) {
    this.client = client;
    client.onPacket = (packet) => {
      this.#onPacket(packet, acknowledges);
      this.#changes.notify();
    };
  }

  #onPacket(packet: Buffer, acknowledges: boolean): void {
    const kind = packet[0]! >> 4;
    if (kind === PacketType.pubrel && acknowledges) {
      this.#released++;
      this.client.send(pubcomp(packet.readUInt16BE(2)));
    }
    if (kind !== PacketType.publish) this.#others.push(packet);
    if (kind !== PacketType.publish) return;
    const { payload, qos, packetId } = parsePublish(packet);
    this.got.push(payload);
    this.packetIds.push(packetId);
    if (acknowledges) this.client.send(qos === 1 ? puback(packetId) : pubrec(packetId));
  }

  async has(count: number): Promise<void> {
    await this.#changes.until(
      () => (this.got.length >= count ? true : undefined),
      () => `${count} messages instead of ${this.got.length}`,
    );
  }

  /** PUBREL has come for so many: they cannot come again. */
  async hasReleased(count: number): Promise<void> {
    await this.#changes.until(
      () => (this.#released >= count ? true : undefined),
      () => `${count} PUBRELs instead of ${this.#released}`,
    );
  }

  async expect(expected: Buffer): Promise<void> {
    await this.#changes.until(
      () => this.#others.some((packet) => packet.equals(expected)) || undefined,
      () => `packet ${expected.toString('hex')}`,
    );
  }

  /** Whatever the broker has for it now has come. */
  async flushed(): Promise<void> {
    this.client.send(PINGREQ);
    await this.expect(PINGRESP);
  }
}

class Fixture {
  readonly broker: KillableBroker;
  readonly faults: Faults;

  constructor(broker: KillableBroker, faults: Faults) {
    this.broker = broker;
    this.faults = faults;
  }

  static async start(context: TestContext, workers: number): Promise<Fixture> {
    const faults = new Faults();
    const plan = { workers, environment: { SURGEMQ_SESSIONS: 'lmdb' }, command: null };
    const broker = await KillableBroker.at(plan, faults);
    context.after(async () => {
      await broker.stop();
      broker.remove();
    });
    await broker.start();
    return new Fixture(broker, faults);
  }

  async again(): Promise<void> {
    await this.broker.kill();
    await this.broker.start();
  }

  async #open(clientId: string, isKnown: boolean, acknowledges: boolean): Promise<Member> {
    const client = await RawClient.open({ host: '127.0.0.1', port: this.broker.port });
    const member = new Member(client, acknowledges);
    client.send(connect({ clientId, cleanSession: clientId === '' }));
    await member.expect(connack(isKnown, 0));
    return member;
  }

  /** A member that acknowledges nothing. @param clientId empty: its session is not kept. */
  async member(clientId: string, filter: string): Promise<Member> {
    const member = await this.#open(clientId, false, false);
    member.client.send(subscribe(ID, [filter, 2]));
    await member.expect(suback(ID, 2));
    return member;
  }

  /** One whose session is kept, and whose client is away. */
  async away(clientId: string, filter: string): Promise<void> {
    const { client } = await this.member(clientId, filter);
    client.send(DISCONNECT);
    await client.untilClosed();
  }

  /** It comes back, and acknowledges all. */
  back(clientId: string): Promise<Member> {
    return this.#open(clientId, true, true);
  }

  /** Publishes all, and has them acknowledged. */
  async publish(topic: string, payloads: readonly string[], qos: 1 | 2): Promise<void> {
    const { client } = await this.#open('', false, false);
    const acks: Buffer[] = [];
    const changes = new Changes();
    client.onPacket = (packet) => {
      acks.push(packet);
      changes.notify();
    };
    const ids = payloads.map((_, at) => at + 1);
    const expect = async (ack: (id: number) => Buffer) => {
      const all = () => (acks.length >= ids.length ? true : undefined);
      await changes.until(all, () => `acks of ${topic}`);
      assert.deepEqual(acks.splice(0), ids.map(ack));
    };
    client.send(
      ...ids.map((id) => publish({ topic, payload: payloads[id - 1]!, qos, packetId: id })),
    );
    await expect(qos === 1 ? puback : pubrec);
    if (qos === 2) {
      client.send(...ids.map(pubrel));
      await expect(pubcomp);
    }
    await client.cut();
  }
}

function numbered(name: string, count: number, length = 0): string[] {
  return Array.from({ length: count }, (_, at) => `${name} ${at} `.padEnd(length, '.'));
}

for (const workers of [1, 2]) {
  describe(`a group with ${workers} workers, killed`, () => {
    // Some of these groups and their members are on one shard, and some on two.
    const groups = ['a', 'b', 'c', 'd'];

    test('has what waited for its members, once and in order', async (context) => {
      const fixture = await Fixture.start(context, workers);
      const payloads = numbered('first', 200, 2_000);
      const others = numbered('second', 50);
      for (const name of groups) await fixture.away(name, `$share/${name}/${name}`);
      for (const name of groups) {
        await fixture.publish(name, payloads, 2);
        await fixture.publish(name, others, 1);
      }
      await fixture.again();
      for (const name of groups) {
        const member = await fixture.back(name);
        await member.has(payloads.length + others.length);
        await fixture.publish(name, ['last'], 2);
        await member.has(payloads.length + others.length + 1);
        await member.hasReleased(payloads.length + 1);
        assert.deepEqual(member.got, [...payloads, ...others, 'last']);
      }
      await fixture.again();
      for (const name of groups) {
        const member = await fixture.back(name);
        await member.flushed();
        // At QoS 1 they may.
        const again = member.got.filter((payload) => !payload.startsWith('second'));
        assert.deepEqual(again, []);
      }
      assert.deepEqual(fixture.faults.lines, []);
    });

    // [MQTT-4.8.2-4]: a member that keeps nothing dies with the broker.
    test('gives to others what a member had that keeps nothing', async (context) => {
      const fixture = await Fixture.start(context, workers);
      const payloads = numbered('m', 40);
      for (const name of groups) {
        const filter = `$share/${name}/${name}`;
        await fixture.away(name, filter);
        const clean = await fixture.member('', filter);
        await fixture.publish(name, payloads, 1);
        await clean.has(20);
      }
      await fixture.again();
      for (const name of groups) {
        const member = await fixture.back(name);
        await member.has(payloads.length);
        assert.deepEqual([...member.got].sort(), [...payloads].sort());
      }
      assert.deepEqual(fixture.faults.lines, []);
    });

    test('gives a member what it had, and to others what it gave back', async (context) => {
      const fixture = await Fixture.start(context, workers);
      const payloads = numbered('m', 10);
      const members: Member[] = [];
      for (const name of groups) {
        const filter = `$share/${name}/${name}`;
        await fixture.away(`${name}-other`, filter);
        const member = await fixture.member(name, filter);
        await fixture.publish(name, payloads, 2);
        await member.has(payloads.length);
        // Others are cut off by the death of the broker.
        if (name < 'c') {
          member.client.send(DISCONNECT);
          await member.client.untilClosed();
        }
        members.push(member);
      }
      await fixture.again();
      for (const [at, name] of groups.entries()) {
        const member = await fixture.back(name);
        await member.has(payloads.length);
        const other = await fixture.back(`${name}-other`);
        await fixture.publish(name, ['x', 'y'], 2);
        await member.has(payloads.length + 1);
        await other.has(1);
        for (const each of [member, other]) await each.flushed();
        assert.deepEqual([...member.got, ...other.got].sort(), [...payloads, 'x', 'y'].sort());
        // What had an id has it still, and nothing else has: its client may not know it to be free.
        const before = members[at]!;
        for (const [index, id] of member.packetIds.entries()) {
          const then = before.packetIds.indexOf(id);
          if (then >= 0) assert.equal(member.got[index], before.got[then]);
        }
      }
      assert.deepEqual(fixture.faults.lines, []);
    });
  });
}
