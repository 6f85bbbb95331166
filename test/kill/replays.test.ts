/** What is retained comes to who has had a SUBACK for it, when the broker is killed meanwhile. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { PacketType } from '../../src/protocol/packet.js';
import { Faults } from '../support/kill/faults.js';
import { KillableBroker } from '../support/kill/killable-broker.js';
import {
  connect,
  DISCONNECT,
  parsePublish,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  subscribe,
} from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { Changes } from '../support/waiting.js';

const ID = 1;
/** Several parts of 64 KiB a shard, and more than a window holds. */
const TOPICS = 4_000;
const PAYLOAD = 'x'.repeat(100);

/** A client whose session outlives its connections and the broker's processes. */
class Subscriber {
  readonly #qos: number;
  readonly #changes = new Changes();
  #client: RawClient | null = null;
  /** How often each topic has come: of QoS 2 what was not the same packet again. */
  readonly came = new Map<string, number>();
  /** Packet ids of QoS 2 whose PUBREL has not come [MQTT-4.3.3-2]. */
  readonly #held = new Set<number>();
  #messages = 0;
  #isSubscribed = false;

  constructor(qos: number) {
    this.#qos = qos;
  }

  async open(port: number): Promise<void> {
    const client = await RawClient.open({ host: '127.0.0.1', port });
    this.#client = client;
    client.onPacket = (packet) => {
      if (client !== this.#client) return;
      this.#onPacket(client, packet);
      this.#changes.notify();
    };
    client.send(connect({ clientId: 'subscriber', cleanSession: false }));
  }

  #onPacket(client: RawClient, packet: Buffer): void {
    const kind = packet[0]! >> 4;
    if (kind === PacketType.suback) this.#isSubscribed = true;
    if (kind === PacketType.pubrel) {
      this.#held.delete(packet.readUInt16BE(2));
      client.send(pubcomp(packet.readUInt16BE(2)));
    }
    if (kind !== PacketType.publish) return;
    const { topic, packetId } = parsePublish(packet);
    client.send(this.#qos === 1 ? puback(packetId) : pubrec(packetId));
    this.#messages++;
    if (this.#held.has(packetId)) return;
    if (this.#qos === 2) this.#held.add(packetId);
    this.came.set(topic, (this.came.get(topic) ?? 0) + 1);
  }

  /** Asks for all; resolves when that is acknowledged. */
  async subscribe(): Promise<void> {
    this.#client!.send(subscribe(ID, ['t/#', this.#qos]));
    await this.#until(() => this.#isSubscribed, 'a SUBACK');
  }

  /** So many messages have come, again ones too. */
  has(messages: number): Promise<void> {
    return this.#until(() => this.#messages >= messages, `${messages} messages`);
  }

  /** Every topic has come, and no message is left in the middle of its handshake. */
  hasAll(): Promise<void> {
    return this.#until(() => this.came.size === TOPICS && this.#held.size === 0, 'all topics');
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    await this.#changes.until(
      () => condition() || undefined,
      () => `${what}, after ${this.#messages} messages of ${this.came.size} topics`,
    );
  }

  /** Hears no more. */
  leave(): void {
    this.#client = null;
  }
}

/** Retains a message of each topic; resolves when all are acknowledged. */
async function retainAll(port: number, qos: 1 | 2): Promise<void> {
  const client = await RawClient.open({ host: '127.0.0.1', port });
  const changes = new Changes();
  let acknowledged = 0;
  client.onPacket = (packet) => {
    const kind = packet[0]! >> 4;
    if (kind === PacketType.pubrec) client.send(pubrel(packet.readUInt16BE(2)));
    if (kind === PacketType.puback || kind === PacketType.pubcomp) acknowledged++;
    if (kind === PacketType.connack) send();
    changes.notify();
  };
  const send = () => {
    for (let number = 1; number <= TOPICS; number++) {
      const fields = { topic: `t/${number}`, payload: PAYLOAD, qos, retain: true };
      client.send(publish({ ...fields, packetId: number }));
    }
  };
  client.send(connect({ clientId: '', cleanSession: true }));
  await changes.until(
    () => acknowledged === TOPICS || undefined,
    () => `${acknowledged} acks`,
  );
  client.send(DISCONNECT);
}

describe('a replay of retained messages', () => {
  for (const workers of [1, 2]) {
    for (const qos of [1, 2] as const) {
      // MQTT-3.3.1-6, MQTT-4.3.2-1, MQTT-4.3.3-2
      test(`goes on behind kills, with ${workers} workers at QoS ${qos}`, async (context) => {
        await killDuringReplay(context, workers, qos);
      });
    }
  }
});

async function killDuringReplay(context: TestContext, workers: number, qos: 1 | 2): Promise<void> {
  const faults = new Faults();
  const plan = { workers, environment: { SURGEMQ_SESSIONS: 'lmdb' }, command: null };
  const broker = await KillableBroker.at(plan, faults);
  context.after(async () => {
    await broker.stop();
    broker.remove();
  });
  const again = async () => {
    await broker.kill();
    subscriber.leave();
    await broker.start();
    await subscriber.open(broker.port);
  };
  const subscriber = new Subscriber(qos);
  await broker.start();
  await retainAll(broker.port, qos);
  await subscriber.open(broker.port);
  await subscriber.subscribe();
  await again();
  await subscriber.has(1_000);
  await again();
  await subscriber.hasAll();
  if (qos === 2)
    assert.deepEqual(
      [...subscriber.came].filter(([, times]) => times > 1),
      [],
    );
  assert.equal(faults.total, 0, faults.lines.join('\n'));
}
