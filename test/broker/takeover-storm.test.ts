/** Clients that take one client id from each other as fast as they can: see shard/takeover.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connect, PINGREQ } from '../support/packets.js';
import { connect5 } from '../support/packets5.js';
import { RawClient } from '../support/raw-client.js';
import { Type } from '../support/test-client.js';
import { Changes, eventually } from '../support/waiting.js';

const CLIENTS = 20;
/** Connections of each, one behind the other. */
const ROUNDS = 25;
/** Too many claim the client id at once, in 3.1.1 and 5.0: nothing has begun. */
const COME_AGAIN: readonly number[] = [3, 0x89];
const DISCONNECT = 14;
const SESSION_TAKEN_OVER = 0x8e;

/** A connection, and what has come on it. */
class Claimant {
  readonly will: string;
  readonly raw: RawClient;
  /** The code of its CONNACK; -1 while there is none. */
  code = -1;
  /** The reason code of a DISCONNECT. */
  reason = -1;
  pongs = 0;
  readonly #changes = new Changes();

  private constructor(will: string, raw: RawClient) {
    this.will = will;
    this.raw = raw;
    raw.onClose = () => this.#changes.notify();
    raw.onPacket = (packet) => {
      const type = packet[0]! >> 4;
      if (type === Type.connack) this.code = packet[3]!;
      if (type === Type.pingresp) this.pongs++;
      if (type === DISCONNECT) this.reason = packet[2]!;
      this.#changes.notify();
    };
  }

  /** Connects, and waits for what is said to that. */
  static async connect(broker: Broker, clientId: string, is5: boolean): Promise<Claimant> {
    const payload = unique('will');
    const claimant = new Claimant(payload, await RawClient.open(broker));
    const will = { topic: `will/${clientId}`, payload, qos: 1 };
    claimant.raw.send(is5 ? connect5({ clientId, will }) : connect({ clientId, will }));
    await claimant.until(() => claimant.code >= 0 || claimant.raw.isClosed, 'a CONNACK');
    return claimant;
  }

  get isAccepted(): boolean {
    return this.code === 0;
  }

  until(holds: () => boolean, what: string): Promise<void> {
    return this.#changes.until(
      () => holds() || undefined,
      () => what,
    ) as Promise<unknown> as Promise<void>;
  }
}

/** Connects again and again, and closes nothing. */
async function storm(broker: Broker, clientId: string, is5: boolean): Promise<Claimant[]> {
  const claimants: Claimant[] = [];
  for (let n = 0; n < ROUNDS; n++) claimants.push(await Claimant.connect(broker, clientId, is5));
  return claimants;
}

for (const workers of [1, 2]) {
  describe(`twenty clients take one client id flat out, ${workers} workers`, () => {
    // [MQTT-3.1.4-2], [MQTT-3.1.2-8], [MQTT-3.1.2-10]
    test('one is left, each other one is closed and has its will published', async () => {
      await using broker = await startBroker({ workers });
      const clientId = unique('taken');
      const witness = await broker.client({ clientId: unique('witness') });
      await witness.subscribe([`will/${clientId}`, 1]);
      const storms = Array.from({ length: CLIENTS }, (_, n) =>
        storm(broker, clientId, n % 2 === 1),
      );
      const all = (await Promise.all(storms)).flat();
      const accepted = all.filter(({ isAccepted }) => isAccepted);
      for (const { code } of all) assert.ok(code === 0 || COME_AGAIN.includes(code), `${code}`);
      const isOpen = ({ raw }: Claimant) => !raw.isClosed;
      await eventually(() => all.filter(isOpen).length === 1, 'one connection to be left');
      const [winner] = all.filter(isOpen);
      assert.ok(winner!.isAccepted);
      winner!.raw.send(PINGREQ);
      await winner!.until(() => winner!.pongs === 1, 'a PINGRESP');
      const losers = accepted.filter((claimant) => claimant !== winner);
      for (const { reason } of losers) assert.ok([-1, SESSION_TAKEN_OVER].includes(reason));
      await witness.until(() => witness.messages.length >= losers.length, 'all wills');
      await eventually(() => broker.server.stats().connectionsOpen === 2, 'the others to be gone');
      const { clientIds, sessions, closed } = broker.server.stats();
      assert.deepEqual({ clientIds, sessions }, { clientIds: 2, sessions: 2 });
      assert.equal(closed['taken-over'], losers.length);
      // It can be taken over, and leaves nothing behind.
      const last = await broker.client({ clientId });
      await winner!.raw.untilClosed();
      await last.publish(`will/${clientId}`, 'end', { qos: 1 });
      const wills = (await witness.messagesUntil('end')).map(({ payload }) => payload);
      assert.deepEqual(wills.sort(), accepted.map(({ will }) => will).sort());
      await last.disconnect();
      await eventually(() => broker.server.stats().clientIds === 1, 'the client id to be free');
      assert.equal(broker.server.stats().sessions, 1);
      for (const { shardIndex, connectionsOpened } of broker.server.stats().shards) {
        assert.ok(connectionsOpened > ROUNDS, `shard ${shardIndex}: ${connectionsOpened}`);
      }
    });
  });
}
