/** Debian's Mosquitto as a bridge of the broker, in its default: protocol level 0x84. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBroker, WORKER_COUNTS } from '../support/broker.js';
import { startMosquitto } from '../support/mosquitto.js';
import type { QoS } from '../support/packets.js';
import { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

const BRIDGE = 'bridge';
const MESSAGES = 60;

/** Payloads that name the side, the QoS and a number. */
function payloads(side: string, qos: QoS, round: number): string[] {
  return Array.from({ length: MESSAGES }, (_, n) => `${side}-${qos}-${round}-${n}`);
}

for (const workers of WORKER_COUNTS) {
  test(`a bridge loses and echoes nothing when it is cut, ${workers} workers`, async () => {
    await using broker = await startBroker({ workers });
    let connects = 0;
    broker.server.on('connected', (clientId) => {
      if (clientId === BRIDGE) connects++;
    });
    // Of QoS 2 it drops what comes ahead of its own limit, without a word in 3.1.1.
    const mosquitto = await startMosquitto(1_024, [
      `connection ${BRIDGE}`,
      `address ${broker.host}:${broker.port}`,
      'topic bridged/# both 2',
      `remote_clientid ${BRIDGE}`,
      'cleansession false',
      'try_private true',
      'notifications false',
      'restart_timeout 1',
    ]);
    try {
      await eventually(
        () => connects === 1 && broker.server.stats().subscriptions === 1,
        'the bridge to subscribe',
      );
      const near = await TestClient.connect(broker);
      const far = await TestClient.connect(mosquitto);
      await near.subscribe(['bridged/#', 2]);
      await far.subscribe(['bridged/#', 2]);
      const sent: string[] = [];
      for (let round = 0; round < 3; round++) {
        // What is of QoS 0 may be lost with a connection.
        for (const qos of round === 0 ? ([0, 1, 2] as const) : ([1, 2] as const)) {
          const [here, there] = [payloads('near', qos, round), payloads('far', qos, round)];
          sent.push(...here, ...there);
          const publishing = Promise.all([
            near.publishAll('bridged/a', here, { qos }),
            far.publishAll('bridged/b', there, { qos }),
          ]);
          if (round > 0) broker.server.kick(BRIDGE);
          await publishing;
        }
        if (round > 0) await eventually(() => connects > round, 'the bridge to come back');
      }
      for (const client of [near, far]) {
        const received = () => new Set(client.payloads);
        const missing = () => sent.filter((payload) => !received().has(payload));
        await eventually(() => missing().length === 0, 'all messages to be here');
        const copies = new Map<string, number>();
        for (const payload of client.payloads) {
          copies.set(payload, (copies.get(payload) ?? 0) + 1);
        }
        // Of QoS 1 some may come twice when a connection breaks; of all others each comes once.
        const twice = [...copies].filter(([payload, count]) => {
          return count > 1 && !/^\w+-1-[12]/.test(payload);
        });
        assert.deepEqual(twice, []);
        await client.cut();
      }
    } finally {
      await mosquitto.close();
    }
  });
}
